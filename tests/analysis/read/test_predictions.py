"""predictions.parquet: every cell's answers beside the rows they are to, and what is left out."""

import json
import shutil

import numpy as np
import polars as pl
import pytest

from analysis.read import predictions
from analysis.read.collect import collect
from analysis.read.predictions import Wanted, write_predictions
from analysis.summarize import main
from stilt.data.load import load_splits
from stilt.folder import StudyFolder, read_study
from stilt.grid import load_grid
from stilt.records.pins import new_pin
from stilt.records.results import Result, read_record
from stilt.study import bind
from stilt.task import load_task
from tests.support.fake_study import make_study

REGRESSION = (
    'kind = "regression"\nmetric = "pearson"\ntext_a = "{a}"\nmax_length = 40\nepochs = 1\n'
    '[[data]]\ntrain = "close/train.jsonl"\ndev = "close/dev.jsonl"\n'
)


@pytest.fixture
def study(own_study, tmp_path, monkeypatch):
    """A study with made-up answers to the rows of a user's own tasks, and to some that are lost."""
    monkeypatch.delenv("STILT_DATA_DIR", raising=False)
    (own_study / "close.toml").write_text(REGRESSION)
    grid = own_study / "own.toml"
    text = grid.read_text().replace('"pairs", "endings"]', '"pairs", "endings", "close"]')
    grid.write_text(text.replace("seed = [12]", "seed = [12, 42]"))
    bound = bind(load_grid(str(grid)), "tiny", near=own_study)
    folder = StudyFolder(tmp_path / "root/own")
    pins = {}
    for name in ("pairs", "endings"):
        rows = load_splits(bound.tasks[name], own_study / "data")
        pins[name] = new_pin(rows.digest(), len(rows.train), rows.gold, rows.where)
    make_study(folder.path, bound=bound, pins=pins, dev_rows=9)
    folder.data_digest("").parent.mkdir()
    for name, pin in pins.items():
        folder.data_digest(name).write_text(pin.model_dump_json())
    return folder


def run(folder, **wanted):
    """The file's rows, and what is said of it."""
    folder.summary.mkdir(exist_ok=True)
    cells = folder.summary / "cells.parquet"
    collection = collect(folder, read_study(folder), into=cells)
    said = write_predictions(collection, cells, Wanted(predictions=True, **wanted))
    return pl.read_parquet(folder.summary / "predictions.parquet"), "\n".join(said)


def rows_of(frame, cell):
    return frame.filter(pl.col("cell").cast(pl.String) == cell).to_dicts()


def test_each_cell_has_a_row_for_each_dev_row_with_its_texts(study, own_study):
    frame, _ = run(study)
    known = read_study(study)
    assert frame["cell"].unique(maintain_order=True).cast(pl.String).sort().to_list() == sorted(
        known.cells
    )
    for cell in known.cells.values():
        found = rows_of(frame, cell.id)
        score = read_record(Result, study.result(cell.id)).dev
        assert [row["row"] for row in found] == list(range(1, len(found) + 1))
        point = cell.hyperparameters
        assert {(row["source"], row["target"], row["stage"]) for row in found} == {
            (cell.source, cell.target, "target")
        }
        assert {(row["learning_rate"], row["warmup_ratio"], row["seed"]) for row in found} == {
            (point.learning_rate, point.warmup_ratio, point.seed)
        }
        if cell.target == "close":
            continue
        assert "".join(row["gold"] for row in found) == score.gold
        assert "".join(row["prediction"] for row in found) == score.predictions
        assert sum(row["correct"] for row in found) / len(found) == pytest.approx(score.accuracy)
        dev = own_study / f"data/{cell.target}/dev.jsonl"
        written = [json.loads(line) for line in dev.read_text().splitlines()]
        if cell.target == "pairs":
            texts = [(row["a"], row["b"], None) for row in written]
        else:
            texts = [(row["ctx"], None, row["endings"]) for row in written]
        assert [(row["text_a"], row["text_b"], row["choices"]) for row in found] == texts


def test_regression_has_numbers_and_rows_that_are_lost_have_no_texts(study):
    frame, said = run(study)
    assert "predictions.parquet: without the texts of close: no data found" in said
    frame = frame.filter(pl.col("target").cast(pl.String) == "close")
    assert frame["text_a"].is_null().all()
    cell = frame["cell"].cast(pl.String)[0]
    score = read_record(Result, study.result(cell)).dev
    found = rows_of(frame, cell)
    assert " ".join(str(np.float32(row["gold_number"])) for row in found) == score.gold
    said = [float(number) for number in score.predictions.split()]
    assert [row["predicted_number"] for row in found] == pytest.approx(said)
    assert {(row["gold"], row["prediction"], row["correct"]) for row in found} == {
        (None, None, None)
    }


def test_a_file_written_in_many_parts_is_the_same(study, monkeypatch):
    whole, _ = run(study)
    monkeypatch.setattr(predictions, "GROUP", 30)
    assert whole.equals(run(study)[0])


def test_other_rows_than_those_answered_are_not_taken_for_them(study, own_study):
    path = own_study / "data/pairs/dev.jsonl"
    path.write_text(path.read_text().replace('"label": "0"', '"label": "1"', 1))
    frame, said = run(study, data_dir=own_study / "data")
    assert f"of pairs: {own_study}/data has other rows than those that were answered." in said
    pairs = frame.filter(pl.col("target").cast(pl.String) == "pairs")
    assert pairs["text_a"].is_null().all() and pairs["gold"].is_not_null().all()
    assert frame.filter(pl.col("target").cast(pl.String) == "endings")["text_a"].is_not_null().all()


def test_data_that_moved_is_read_from_the_folder_that_is_named(study, own_study, tmp_path):
    shutil.move(own_study / "data", tmp_path / "elsewhere")
    frame, said = run(study)
    assert frame["text_a"].is_null().all()
    assert "of pairs: no data found; --data-dir names the folder" in said
    frame, said = run(study, data_dir=tmp_path / "elsewhere")
    assert frame["text_a"].is_not_null().any() and "of pairs" not in said


@pytest.mark.parametrize("known_by", ["field", "file"])
def test_texts_that_need_credentials_are_copied_only_where_that_is_asked(
    study, own_study, known_by
):
    table = json.loads(study.study_file.read_text())
    task = table["tasks"]["pairs"]
    if known_by == "field":
        task["credentialed"] = True
    else:
        # of a study that an earlier version began
        train, dev = (own_study / f"data/pairs/{part}.jsonl" for part in ("train", "dev"))
        train.rename(train.with_name("mli_train_v1.jsonl"))
        dev.rename(dev.with_name("mli_dev_v1.jsonl"))
        task["data"][0] |= {"train": "pairs/mli_train_v1.jsonl", "dev": "pairs/mli_dev_v1.jsonl"}
    study.study_file.write_text(json.dumps(table))
    pairs = pl.col("target").cast(pl.String) == "pairs"
    frame, said = run(study)
    assert "without the texts of pairs: who reads them needs credentials" in said
    assert frame.filter(pairs)["text_a"].is_null().all()
    assert frame.filter(pairs)["prediction"].is_not_null().all()
    frame, said = run(study, credentialed=True)
    assert "of pairs" not in said
    assert frame.filter(pairs)["text_a"].is_not_null().all()


def test_mednli_needs_credentials_and_no_other_built_in_task_does():
    assert predictions.needs_credentials(load_task("mednli"))
    assert not any(
        predictions.needs_credentials(load_task(path.stem))
        for path in predictions.TASK_FOLDER.glob("*.toml")
        if path.stem != "mednli"
    )


def test_cells_without_predictions_are_counted_and_have_no_rows(study):
    gone = next(iter(read_study(study).cells))
    study.result(gone).unlink()
    frame, said = run(study)
    assert "predictions.parquet: 1 of 24 cells have no predictions." in said
    assert not rows_of(frame, gone)


def test_a_pool_has_the_predictions_of_its_studies_and_says_where_it_wrote_them(
    study, tmp_path, capsys
):
    second = study.path.with_name("second")
    shutil.copytree(study.path, second)
    table = json.loads((second / "study.json").read_text())
    (second / "study.json").write_text(json.dumps(table | {"name": "second"}))
    flags = ["--pool", "both", "--root", str(tmp_path / "root"), "--no-figures", "--predictions"]
    assert main([str(study.path), str(second), *flags]) == 0
    said = capsys.readouterr().err
    assert "predictions.parquet: without the texts of close: no data found" in said
    assert said.endswith(" predictions.parquet\n")
    pooled = pl.read_parquet(tmp_path / "root/both/summary/predictions.parquet")
    assert pooled.equals(run(study)[0])


def test_predictions_of_a_comparison_are_refused(study, capsys):
    assert main(["--compare", str(study.path), str(study.path), "--predictions"]) == 2
    assert "--predictions: goes without --compare." in capsys.readouterr().err

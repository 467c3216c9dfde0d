"""summarize.py --compare: two studies, cell by cell."""

import json
import shutil

import polars as pl
import pytest

from analysis.summarize import main
from stilt.folder import StudyFolder, read_study
from stilt.records.results import Result, TakenFrom, read_record, write_record
from stilt.task import TASK_FOLDER
from tests.support.fake_study import TINY, make_study


def run(*args: str) -> int:
    return main([*args, "--no-figures"])


def test_two_studies_are_compared_cell_by_cell(root, capsys):
    model = {"hub": "org/other", "revision": "1" * 40}
    make_study(root / "other", grid=TINY | {"model": model}, score=lambda cell: 0.75)
    make_study(root / "better", grid=TINY | {"model": model}, score=lambda cell: 0.8)
    assert run("--compare", "better", "other", "--root", str(root)) == 0
    shown = capsys.readouterr().out
    assert "better minus other" in shown
    assert "better: 16 cells: 16 scored." in shown
    table = json.loads((root / "better" / "summary" / "compare-other.json").read_text())
    rte = [row for row in table["differences"] if row["target"] == "rte"]
    assert [row["source"] for row in rte] == ["none", "hellaswag"]
    for row in rte:
        assert row["mean"] == pytest.approx(0.05)
        # two configurations without spread, 120 dev examples
        assert row["interval"] == "whole"
        assert row["mean_low"] < 0.05 < row["mean_high"]
        assert row["wins"] == 4


def test_a_study_compared_with_itself_does_not_differ(root, capsys):
    shutil.copytree(root / "tiny", root / "same")
    assert run("--compare", "tiny", "same", "--root", str(root), "--format", "csv") == 0
    frame = pl.read_csv(capsys.readouterr().out.encode())
    assert frame.height == 4
    assert set(frame["mean"]) == set(frame["best"]) == {0.0}
    assert set(frame["p_holm"]) == {1.0}
    assert set(frame["improvement"]) == {0.5}


def test_one_study_is_not_compared_by_two_of_its_names(root, capsys):
    assert run("--compare", "tiny", str(root / "tiny"), "--root", str(root)) == 2
    assert capsys.readouterr().err == (
        f"error: --compare tiny {root / 'tiny'}: one study, named twice.\n"
    )


def test_studies_without_a_common_cell_say_so(root, capsys):
    grid = TINY | {"blocks": [TINY["blocks"][0] | {"targets": ["wic"]}]}
    make_study(root / "other", grid=grid)
    assert run("--compare", "tiny", "other", "--root", str(root)) == 0
    assert "No cell of the one has the source, target" in capsys.readouterr().out


def own_task(folder, name, old, new):
    """A copy of a built-in task with one line changed, in a folder of one's own."""
    text = (TASK_FOLDER / f"{name}.toml").read_text()
    assert old in text
    folder.mkdir()
    (folder / f"{name}.toml").write_text(text.replace(old, new))
    return str(folder)


def test_studies_that_score_a_target_by_other_metrics_are_not_compared(
    root, tmp_path, monkeypatch, capsys
):
    tasks = own_task(tmp_path / "tasks", "cola", '"mcc"', '"accuracy"')
    monkeypatch.setenv("STILT_TASKS", tasks)
    make_study(root / "other", grid=TINY)
    assert run("--compare", "other", "tiny", "--root", str(root)) == 2
    assert capsys.readouterr().err == (
        "error: study other: task 'cola', field 'metric' = 'accuracy'; study tiny: 'mcc'. "
        "Scores of different metrics cannot be subtracted.\n"
    )


def test_what_else_differs_between_compared_studies_is_noted(root, tmp_path, monkeypatch, capsys):
    tasks = own_task(tmp_path / "tasks", "rte", "epochs     = 5", "epochs     = 9")
    monkeypatch.setenv("STILT_TASKS", tasks)
    make_study(root / "other", grid=TINY, dev_rows=90)
    for path in (root / "other" / "results").iterdir():
        path.write_text(path.read_text().replace("dddddddddddd", "eeeeeeeeeeee"))
    arguments = ("--compare", "tiny", "other", "--root", str(root))
    assert run(*arguments) == 2
    assert capsys.readouterr().err == (
        "error: Task rte has other rows in tiny (120 for dev) than in other (90). Differences of "
        "runs on other dev examples cannot be resampled by example; compare with --interval "
        "narrow, which holds each study's own examples fixed.\n"
    )
    assert run(*arguments, "--interval", "narrow") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Task rte is not the same in tiny and other: epochs = 5 and 9." in lines
    assert "Task rte has other rows in tiny (120 for dev) than in other (90)." in lines
    assert not any("no partner" in line for line in lines)


def test_cells_of_compared_studies_without_a_partner_are_counted(root, capsys):
    block = TINY["blocks"][0]
    seeds = [{"task": "hellaswag", "seeds": [12, 42]}]
    other = block | {"sources": ["none", *seeds], "learning_rate": [1e-5]}
    make_study(root / "other", grid=TINY | {"blocks": [other]})
    assert run("--compare", "tiny", "other", "--root", str(root)) == 0
    assert (
        "8 cells of tiny and 4 of other have no partner: "
        "tiny: none on rte 2 of 4, hellaswag on rte 2 of 4, "
        "none on cola 2 of 4, hellaswag on cola 2 of 4; "
        "other: hellaswag#12 on rte 2 of 2, hellaswag#12 on cola 2 of 2."
    ) in capsys.readouterr().out.splitlines()
    table = pl.read_csv(root / "tiny" / "summary" / "compare-other.csv")
    assert table.filter(pl.col("source") == "hellaswag")["pairs"].to_list() == [2, 2]


@pytest.mark.parametrize(("rate", "left"), [(1e-5, 2), (None, 0)])
def test_pairs_of_one_run_that_was_taken_over_are_counted_and_left_out(root, capsys, rate, left):
    make_study(root / "other", grid=TINY, score=lambda cell: 0.6)
    ours, theirs = StudyFolder(root / "tiny"), StudyFolder(root / "other")
    taken = TakenFrom(study="tiny", folder=str(ours.path), when="2026-11-21T00:00:00+00:00")
    for cell in read_study(ours).cells.values():
        if cell.source == "none" and rate in (None, cell.hyperparameters.learning_rate):
            record = read_record(Result, ours.result(cell.id))
            write_record(record.model_copy(update={"taken_from": taken}), theirs.result(cell.id))
    assert run("--compare", "other", "tiny", "--root", str(root)) == 0
    shown = capsys.readouterr().out
    assert f"{8 - 2 * left} pairs are the same run, taken over, and left out: " in shown
    frame = pl.read_csv(root / "other" / "summary" / "compare-tiny.csv")
    pairs = {(row["target"], row["source"]): row["pairs"] for row in frame.iter_rows(named=True)}
    kept = {("rte", "none"): left, ("cola", "none"): left} if left else {}
    assert pairs == kept | {("rte", "hellaswag"): 4, ("cola", "hellaswag"): 4}
    # runs that are the same do not make the others' differences smaller
    assert (frame["mean"] != 0).all()


def test_studies_that_share_all_their_runs_say_so(root, capsys):
    make_study(root / "other", grid=TINY)
    taken = TakenFrom(study="tiny", folder=".", when="2026-11-21T00:00:00+00:00")
    for path in StudyFolder(root / "other").results.iterdir():
        record = read_record(Result, path)
        write_record(record.model_copy(update={"taken_from": taken}), path)
    assert run("--compare", "other", "tiny", "--root", str(root)) == 0
    shown = capsys.readouterr().out
    assert "16 pairs are the same run" in shown
    assert "No cell of the one" not in shown

import shutil

import polars as pl
import pytest

from analysis.read.collect import collect
from analysis.read.columns import FRAME, NARROW, WIDE_COLUMNS
from stilt.folder import StudyFolder
from stilt.records.results import Failure, Result, read_record, write_record
from tests.support.fake_study import SMALL, TINY, fail_source, make_study
from tests.support.result_files import change, first_cell, row


def test_there_is_one_row_per_cell_in_the_order_of_the_grid(tmp_path):
    study = make_study(tmp_path / "s", missing=0.2, failed=0.2, diverged=0.2)
    found = collect(StudyFolder(tmp_path / "s"), study)
    assert found.cells["cell"].to_list() == list(study.cells)
    assert dict(found.cells.schema) == FRAME
    assert dict(found.sources.schema) == FRAME
    assert set(found.cells["status"]) == {"ok", "diverged", "failed", "missing"}
    assert found.problems == ()


def test_every_column_holds_what_the_result_file_says(tiny):
    folder, study = tiny
    found = collect(folder, study)
    for cell in study.cells.values():
        result = read_record(Result, folder.result(cell.id))
        assert result and result.dev and result.training and cell.hyperparameters
        table = row(found, cell.id)
        expected = {
            "study": "tiny",
            "stage": "target",
            "source": cell.source,
            "source_id": cell.source_id,
            "source_task": "hellaswag" if cell.source_id else None,
            "source_size": None,
            "source_seed": 42 if cell.source_id else None,
            "target": cell.target,
            "kind": study.tasks[cell.target].kind,
            "status": "ok",
            **cell.hyperparameters.model_dump(),
            **{
                name: getattr(result, name)
                for name in ("metric", "score", "majority", "chance", "classes")
            },
            **{name: getattr(result, name) for name in ("train_rows", "dev_rows", "data")},
            **{
                name: getattr(result.dev, name)
                for name in ("accuracy", "mcc", "predictions", "gold", "ties")
            },
            "dev_loss": result.dev.loss,
            "constant": len(set(result.dev.predictions)) == 1,
            **{
                name: getattr(result.training, name)
                for name in ("updates", "final_loss", "lowest_loss")
            },
            **{name: ", ".join(getattr(result.training, name)) for name in ("carried", "fresh")},
            "loss": [{"step": step, "value": value} for step, value in result.training.loss],
            "gradient_norm": [
                {"step": step, "value": value} for step, value in result.training.gradient_norm
            ],
            "chunk": result.training.chunk,
            "examples": cell.hyperparameters.batch_size,
            "tokens_real": result.training.tokens.real,
            "tokens_computed": result.training.tokens.computed,
            "seconds": pytest.approx(sum(result.timings.model_dump().values())),
            "train_seconds": result.timings.train,
            "taken_from": None,
            "start": None,
            **{
                name: getattr(result.provenance, name)
                for name in (
                    *("host", "job", "attempt", "device", "peak_memory"),
                    *("energy", "commit", "code"),
                )
            },
            **dict.fromkeys(("failure_kind", "failure_message", "log")),
        }
        assert {name: table[name] for name in expected} == expected
        assert table["started"].isoformat() == result.provenance.started
        assert set(expected) | {"cell", "started", "finished"} == set(FRAME)


def test_a_diverged_run_has_no_score_and_keeps_the_nulls_of_its_curve(tmp_path):
    study = make_study(tmp_path / "s", grid=TINY, diverged=1.0)
    cells = collect(StudyFolder(tmp_path / "s"), study).cells
    assert set(cells["status"]) == {"diverged"}
    assert cells["score"].null_count() == cells["predictions"].null_count() == 16
    assert cells["majority"].null_count() == 0
    assert cells["loss"][0][-1] == {"step": cells["updates"][0], "value": None}
    assert cells["loss"][0][0]["value"] > 0


def test_a_failed_cell_says_why_and_a_missing_one_says_nothing(tmp_path):
    study = make_study(tmp_path / "s", grid=TINY, failed=1.0)
    folder = StudyFolder(tmp_path / "s")
    some, other = list(study.cells)[:2]
    folder.failure(other).unlink()
    found = collect(folder, study)
    record = read_record(Failure, folder.failure(some))
    assert record
    table = row(found, some)
    assert table["status"] == "failed"
    assert table["failure_kind"] == record.kind
    assert table["failure_message"] == record.message
    assert (table["attempt"], table["host"]) == (record.attempts, record.host)
    assert table["finished"].isoformat() == record.finished
    assert table["log"] == f"logs/{some}.log"
    assert row(found, other)["status"] == "missing"
    assert row(found, other)["failure_kind"] is None
    # known of every cell, whether it has run or not
    assert found.cells["chance"].null_count() == found.cells["classes"].null_count() == 0


def test_a_result_wins_over_an_old_failure_of_the_same_cell(tiny):
    folder, study = tiny
    cell = first_cell(study)
    record = Failure(
        study=study.digest, cell=study.cells[cell], kind="oom", message="m", attempts=1,
        host="h", job=None, finished="2026-11-20T08:00:00Z",
    )  # fmt: skip
    write_record(record, folder.failure(cell))
    assert row(collect(folder, study), cell)["status"] == "ok"
    folder.result(cell).unlink()
    assert row(collect(folder, study), cell)["status"] == "failed"


def test_evaluations_are_cells_without_hyperparameters(tmp_path):
    study = make_study(tmp_path / "s", grid=SMALL | {"blocks": []})
    cells = collect(StudyFolder(tmp_path / "s"), study).cells
    assert cells["stage"].to_list() == ["evaluate", "evaluate"]
    assert cells["seed"].to_list() == [42, 42]
    for name in ("learning_rate", "batch_size", "loss", "updates", "final_loss"):
        assert cells[name].null_count() == 2
    assert cells["score"].null_count() == 0


def test_sources_are_a_frame_of_their_own(tmp_path):
    study = make_study(tmp_path / "s", sources=True)
    folder = StudyFolder(tmp_path / "s")
    names = [source.name for source in study.sources.values()]
    failed = study.source_named(names[0])
    assert failed
    fail_source(folder, study, failed)
    sources = collect(folder, study).sources
    assert sources["source"].to_list() == names == ["hellaswag", "hellaswag-p@1000"]
    assert sources["target"].to_list() == ["hellaswag", "hellaswag-p"]
    assert sources["status"].to_list() == ["failed", "ok"]
    assert sources["source_size"].to_list() == [None, 1000]
    assert sources["score"][1] > 0.5


def test_a_study_without_results_is_all_missing(tmp_path):
    study = make_study(tmp_path / "s", grid=TINY, missing=1.0, sources=False)
    shutil.rmtree(tmp_path / "s" / "results", ignore_errors=True)
    found = collect(StudyFolder(tmp_path / "s"), study)
    assert set(found.cells["status"]) == {"missing"}
    assert found.cells.height == 16
    assert set(found.sources["status"]) == {"missing"}


def test_only_the_wanted_columns_come(tiny):
    folder, study = tiny
    wanted = ["score", "cell", "target"]
    found = collect(folder, study, wanted)
    assert found.cells.columns == ["cell", "target", "score"]
    whole = collect(folder, study)
    assert whole.cells.select("cell", "target", "score").equals(found.cells)
    assert set(WIDE_COLUMNS) <= set(whole.cells.columns)


def test_all_columns_can_be_written_without_being_held_together(tmp_path, monkeypatch):
    study = make_study(tmp_path / "s", missing=0.2, failed=0.2, diverged=0.2)
    folder = StudyFolder(tmp_path / "s")
    refused = next(path for path in sorted(folder.results.iterdir()))
    change(refused, lambda table: table.update(study="abc"))
    whole = collect(folder, study)
    monkeypatch.setattr("analysis.read.collect.SLICE", 50)
    found = collect(folder, study, NARROW, into=tmp_path / "cells.parquet")
    assert found.cells.columns == list(NARROW)
    assert found.cells.equals(whole.cells.select(NARROW))
    written = pl.read_parquet(tmp_path / "cells.parquet")
    assert dict(written.schema) == FRAME
    assert written.equals(whole.cells)


def test_the_file_of_all_columns_is_written_again_where_it_would_differ(tmp_path):
    study = make_study(tmp_path / "s", missing=0.2, failed=0.2, points=4)
    folder, into = StudyFolder(tmp_path / "s"), tmp_path / "cells.parquet"

    def written():
        collect(folder, study, NARROW, into=into)
        return into.stat().st_ino, pl.read_parquet(into)

    first, whole = written()
    assert written()[0] == first
    result = sorted(folder.results.iterdir())[0]
    change(result, lambda table: table["training"]["loss"][0].__setitem__(1, 0.125))
    second, edited = written()
    assert second != first
    changed = edited.filter(edited["loss"].ne_missing(whole["loss"]))
    assert changed["cell"].to_list() == [result.stem]
    next(iter(folder.failures.glob("*.json"))).unlink()
    third, _ = written()
    assert third != second
    into.write_bytes(b"PAR1 cut off")
    assert written()[1].equals(collect(folder, study).cells)

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.read import cache
from analysis.read.collect import Collection, collect
from analysis.read.columns import FRAME, NARROW, WIDE_COLUMNS
from analysis.read.records import points, read_results
from stilt.errors import ResultError
from stilt.folder import StudyFolder
from stilt.records.results import Failure, Result, agrees, read_record, write_record
from stilt.study import Study
from tests.support.fake_study import SMALL, TINY, fail_source, make_study


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study]:
    path = tmp_path_factory.mktemp("studies") / "tiny"
    return path, make_study(path, grid=TINY | {"curve": True})


@pytest.fixture
def tiny(template: tuple[Path, Study], tmp_path: Path) -> tuple[StudyFolder, Study]:
    path, study = template
    shutil.copytree(path, tmp_path / "tiny")
    return StudyFolder(tmp_path / "tiny"), study


def first_cell(study: Study) -> str:
    return next(iter(study.cells))


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    table = json.loads(path.read_text())
    edit(table)
    path.write_text(json.dumps(table, separators=(",", ":")) + "\n")


def row(collection: Collection, cell: str) -> dict[str, Any]:
    return collection.cells.row(by_predicate=pl.col("cell") == cell, named=True)


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
            "loss": [{"step": step, "value": value} for step, value in result.training.loss],
            "gradient_norm": [
                {"step": step, "value": value} for step, value in result.training.gradient_norm
            ],
            "tokens_real": result.training.tokens.real,
            "tokens_computed": result.training.tokens.computed,
            "seconds": pytest.approx(sum(result.timings.model_dump().values())),
            "train_seconds": result.timings.train,
            **{
                name: getattr(result.provenance, name)
                for name in ("host", "job", "attempt", "device", "commit", "code")
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


# --- the cache


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Files that each call reads."""
    calls: list[list[str]] = []

    def counted(root: Path, files: list[str], batch: int) -> Any:
        calls.append(files)
        return read_results(root, files, batch)

    monkeypatch.setattr(cache, "read_results", counted)
    return calls


def test_a_second_call_reads_only_new_and_changed_files(tiny, reads):
    folder, study = tiny
    cells = list(study.cells)
    held_back = folder.result(cells[0]).read_bytes()
    folder.result(cells[0]).unlink()
    first = collect(folder, study)
    second = collect(folder, study)
    assert second.cells.equals(first.cells)
    folder.result(cells[0]).write_bytes(held_back)
    change(folder.result(cells[1]), lambda table: table["provenance"].update(host="elsewhere"))
    third = collect(folder, study)
    assert [len(files) for files in reads] == [15, 0, 2]
    assert row(third, cells[0])["status"] == "ok"
    assert row(third, cells[1])["host"] == "elsewhere"


def test_a_result_that_is_taken_away_is_missing_again(tiny):
    folder, study = tiny
    cell = first_cell(study)
    assert row(collect(folder, study), cell)["status"] == "ok"
    folder.result(cell).unlink()
    assert row(collect(folder, study), cell)["status"] == "missing"


def test_a_damaged_cache_is_read_again(tiny, reads):
    folder, study = tiny
    first = collect(folder, study)
    for part in (folder.summary / "cache").glob("*.parquet"):
        part.write_bytes(part.read_bytes()[:100])
    assert collect(folder, study).cells.equals(first.cells)
    assert [len(files) for files in reads] == [16, 16]


def test_many_small_parts_are_joined(tiny, monkeypatch):
    folder, study = tiny
    whole = collect(folder, study)
    shutil.rmtree(folder.summary)
    monkeypatch.setattr(cache, "PARTS", 5)
    with cache.locked(folder):
        lazy, problems = cache.cached_results(folder, batch=2)
        assert lazy.collect().height == 16
    assert problems == []
    assert len(list((folder.summary / "cache").glob("results-*.parquet"))) == 1
    assert collect(folder, study).cells.equals(whole.cells)


def test_what_other_code_cached_is_not_read(tiny, reads, monkeypatch):
    folder, study = tiny
    first = collect(folder, study)
    monkeypatch.setattr(cache, "code_version", lambda *_, text="": "newer")
    assert collect(folder, study).cells.equals(first.cells)
    assert [len(files) for files in reads] == [16, 16]
    names = {path.name for path in (folder.summary / "cache").glob("*.parquet")}
    assert names == {"grid-newer.parquet", "results-newer-000001.parquet"}


def test_calls_at_the_same_time_read_each_file_once(tiny, reads):
    folder, study = tiny
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: collect(folder, study), range(4)))
    assert sorted(len(files) for files in reads) == [0, 0, 0, 16]
    assert all(other.cells.equals(found[0].cells) for other in found)


# --- files that are no results


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def set_to(key: str, value: object) -> Callable[[Path], None]:
    return lambda path: change(path, lambda table: table.update({key: value}))


BAD: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "truncated": (cut_short, "truncated", "not a whole line of JSON"),
    "empty": (lambda path: path.write_bytes(b""), "empty", "not a whole line of JSON"),
    "blank": (lambda path: path.write_bytes(b"\n"), "empty", "not a whole line of JSON"),
    "binary": (lambda path: path.write_bytes(b"\xff\x00\xfe"), "foreign", "not a whole line"),
    "text": (lambda path: path.write_text("hello\n"), "foreign", "not a whole line of JSON"),
    "a list": (lambda path: path.write_text("[1, 2]\n"), "foreign", ""),
    "another program's": (lambda path: path.write_text('{"loss": 1}\n'), "foreign", "'cell'"),
    "newer": (set_to("schema_version", 2), "newer", "schema_version 2; this version reads 1"),
    "older": (set_to("schema_version", 0), "schema", "schema_version 0"),
    "wrong type": (set_to("classes", "two"), "schema", "field 'classes' = 'two'"),
    "extra field": (
        set_to("scores", [1]),
        "schema",
        "unknown field 'scores'. Did you mean 'score'",
    ),
    "missing field": (
        lambda path: change(path, lambda table: table.pop("majority")),
        "schema",
        "field 'majority' is missing",
    ),
    "wrong status": (set_to("status", "fine"), "schema", "field 'status' = 'fine'"),
    "null": (set_to("chance", None), "schema", "field 'chance'"),
    "not a number": (set_to("majority", float("nan")), "schema", "field 'majority'"),
    "ok without score": (set_to("score", None), "schema", "do not agree"),
    "score that is a percentage": (set_to("score", 72.5), "schema", "do not agree"),
    "accuracy that its predictions do not have": (
        lambda path: change(path, lambda t: t["dev"].update(accuracy=0.123, ties=0)),
        "schema",
        "do not agree",
    ),
    "score and accuracy that its predictions do not have": (
        lambda path: change(
            path,
            lambda t: (t.update(score=0.9875), t["dev"].update(score=0.9875, accuracy=0.9875)),
        ),
        "schema",
        "do not agree",
    ),
    "majority in percent": (set_to("majority", 52.7), "schema", "field 'majority' = 52.7"),
    "chance in percent": (set_to("chance", 50.0), "schema", "field 'chance' = 50.0"),
    "wrong row count": (set_to("dev_rows", 7), "schema", "do not agree"),
    "another study's": (set_to("study", "abc"), "study", "a result of study abc, not of this one"),
    "other hyperparameters": (
        lambda path: change(path, lambda t: t["cell"]["hyperparameters"].update(batch_size=99)),
        "grid",
        "batch_size=99, not 8",
    ),
    "another cell": (
        lambda path: change(path, lambda t: t["cell"].update(id="f" * 12)),
        "grid",
        "cell ffffffffffff is not in this grid",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_named_and_left_out_and_the_others_stay(tiny, what):
    folder, study = tiny
    whole = collect(folder, study).cells
    spoil, kind, message = BAD[what]
    cell = list(study.cells)[5]
    spoil(folder.result(cell))
    for _ in range(2):  # the second time from the cache
        found = collect(folder, study)
        assert [(p.file, p.kind) for p in found.problems] == [(f"results/{cell}.json", kind)]
        assert message in found.problems[0].message
        assert "\n" not in str(found.problems[0])
        assert row(found, cell)["status"] == "missing"
        assert row(found, cell)["score"] is None
        others = pl.col("cell") != cell
        assert found.cells.filter(others).equals(whole.filter(others))


def test_an_accuracy_with_ties_need_not_be_that_of_the_predictions(tiny):
    folder, study = tiny
    cell = next(c.id for c in study.cells.values() if c.target == "rte")
    spread = {"score": 0.75, "accuracy": 0.75, "ties": 3}
    change(folder.result(cell), lambda t: (t.update(score=0.75), t["dev"].update(spread)))
    found = collect(folder, study)
    assert found.problems == ()
    assert row(found, cell)["score"] == 0.75


def test_a_copy_of_a_result_is_counted_once(tiny):
    folder, study = tiny
    whole = collect(folder, study).cells
    cell = first_cell(study)
    shutil.copy(folder.result(cell), folder.results / "copy of it.json")
    found = collect(folder, study)
    assert found.cells.equals(whole)
    assert str(found.problems[0]) == (
        f"results/copy of it.json: holds cell {cell}, whose own file is results/{cell}.json"
    )
    assert found.problems[0].kind == "duplicate"


def test_other_files_among_the_results_are_named_and_hidden_ones_ignored(tiny):
    folder, study = tiny
    (folder.results / "notes.txt").write_text("x")
    (folder.results / "folder.json").mkdir()
    (folder.results / ".abc.json.xyz.part").write_text('{"schema')
    found = collect(folder, study)
    assert [(p.file, p.kind) for p in found.problems] == [
        ("results/folder.json", "foreign"),
        ("results/notes.txt", "foreign"),
    ]


def test_bad_failures_and_sources_are_named_too(tmp_path):
    study = make_study(tmp_path / "s", grid=TINY, failed=1.0)
    folder = StudyFolder(tmp_path / "s")
    some, other, third = list(study.cells)[:3]
    cut_short(folder.failure(some))
    change(folder.failure(other), lambda table: table.update(study="abc"))
    shutil.copy(folder.failure(third), folder.failures / "strange.json")
    source = next(iter(study.sources))
    change(folder.source(source) / "result.json", lambda table: table.update(study="abc"))
    found = collect(folder, study)
    assert {(p.file, p.kind) for p in found.problems} == {
        (f"failures/{some}.json", "truncated"),
        (f"failures/{other}.json", "study"),
        ("failures/strange.json", "grid"),
        (f"sources/{source}/result.json", "study"),
    }
    assert row(found, some)["status"] == "missing"
    assert row(found, third)["status"] == "failed"
    assert found.sources["status"].to_list() == ["missing"]


def test_a_result_written_by_hand_over_several_lines_is_read_all_the_same(tiny):
    folder, study = tiny
    whole = collect(folder, study).cells
    cell = first_cell(study)
    table = json.loads(folder.result(cell).read_text())
    folder.result(cell).write_text(json.dumps(table, indent=2, sort_keys=True))
    found = collect(folder, study)
    assert found.problems == ()
    assert found.cells.equals(whole)


def places(table: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key and index of a JSON value."""
    found = []
    steps = table.items() if isinstance(table, dict) else enumerate(table)
    for step, value in steps:
        found.append((*path, step))
        if isinstance(value, dict | list):
            found += places(value, (*path, step))
    return found


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-2, 2),
    st.sampled_from(["", "x", "ok", "1", "null", '"loss":[[', 'a"b":', "]]"]),
    st.sampled_from([[], {}, [[1, 2.0]], [[1.5, 2.0]], [[1, None], [2]], {"epoch": 1}]),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_quick_reader_agrees_with_the_strict_one_on_any_single_change(
    template, tmp_path_factory, data
):
    source, study = template
    text = StudyFolder(source).result(first_cell(study)).read_text()
    table = json.loads(text)
    place = data.draw(st.sampled_from(places(table)))
    owner = table
    for step in place[:-1]:
        owner = owner[step]
    if data.draw(st.booleans()) and isinstance(owner, dict):
        value = owner.pop(place[-1])
        if data.draw(st.booleans()):
            owner[data.draw(st.sampled_from(["scores", "score", "id", "x"]))] = value
    else:
        owner[place[-1]] = data.draw(VALUES)
    folder = tmp_path_factory.mktemp("changed")
    changed = json.dumps(table, separators=(",", ":")) + "\n"
    (folder / "changed.json").write_text(changed)
    (folder / "untouched.json").write_text(text)
    try:
        strict = read_record(Result, folder / "changed.json")
    except ResultError:
        strict = None
    ((frame, problems),) = read_results(folder, ["untouched.json", "changed.json"])
    assert len(problems) == (strict is None)
    assert frame.height == 2 - len(problems)
    if strict is not None:
        read = frame.row(by_predicate=pl.col("file") == "changed.json", named=True)
        assert read["sound"] == agrees(strict)
        assert read["score"] == strict.score
        assert read["study_id"] == strict.study
        assert read["host"] == strict.provenance.host
        if strict.training:
            (curve,) = frame.filter(file="changed.json").select(points("loss"))["loss"].to_list()
            found = [(point["step"], point["value"]) for point in curve or []]
            assert found == list(strict.training.loss)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"score": 1.0},
        {"score": None},
        {"score": 7.5},
        {"status": "diverged"},
        {"dev_rows": 3},
        {"dev": None},
        {"dev.score": 0.125},
        {"dev.accuracy": 0.125},
        {"score": 0.125, "dev.score": 0.125},
        {"score": 0.125, "dev.score": 0.125, "dev.accuracy": 0.125},
        {"score": 0.125, "dev.score": 0.125, "dev.accuracy": 0.125, "dev.ties": 1},
        {"dev.predictions": "0"},
        {"dev.predictions": "", "dev.gold": "", "dev_rows": 0},
        {"status": "diverged", "score": None, "dev": None},
    ],
)
def test_both_readers_agree_on_whether_a_result_contradicts_itself(template, tmp_path, changes):
    source, study = template
    table = json.loads(StudyFolder(source).result(first_cell(study)).read_text())
    for place, value in changes.items():
        *outer, field = place.split(".")
        (table[outer[0]] if outer else table)[field] = value
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(table, separators=(",", ":")) + "\n")
    strict = read_record(Result, path)
    assert strict is not None
    ((frame, problems),) = read_results(tmp_path, ["changed.json"])
    assert not problems
    assert frame["sound"].to_list() == [agrees(strict)]

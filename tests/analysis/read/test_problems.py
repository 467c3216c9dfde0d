import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from analysis.notes.gaps import describe
from analysis.read.collect import collect
from stilt.folder import StudyFolder
from stilt.grid import Grid
from stilt.records.results import RecordError, Result, read_record
from stilt.study import bind
from tests.support.fake_study import TINY, make_study
from tests.support.result_files import change, cut_short, first_cell, row


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
    "ok without score": (set_to("score", None), "schema", "field 'status' = 'ok'"),
    "score that is a percentage": (set_to("score", 72.5), "schema", "field 'score' = 72.5"),
    "accuracy that its predictions do not have": (
        lambda path: change(path, lambda t: t["dev"].update(accuracy=0.123, ties=0)),
        "schema",
        "field 'dev.accuracy' = 0.123: the predictions have",
    ),
    "score and accuracy that its predictions do not have": (
        lambda path: change(
            path,
            lambda t: (t.update(score=0.9875), t["dev"].update(score=0.9875, accuracy=0.9875)),
        ),
        "schema",
        "field 'score' = 0.9875: 'dev' has another mcc",
    ),
    "majority in percent": (set_to("majority", 52.7), "schema", "field 'majority' = 52.7"),
    "chance in percent": (set_to("chance", 50.0), "schema", "field 'chance' = 50.0"),
    "wrong row count": (set_to("dev_rows", 7), "schema", "field 'dev_rows' = 7: 'dev.gold' has"),
    "other hyperparameters": (
        lambda path: change(path, lambda t: t["cell"]["hyperparameters"].update(batch_size=99)),
        "grid",
        "field 'cell.hyperparameters.batch_size' = 99, not 8",
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
    spread = {"score": 0.75, "accuracy": 0.75, "ties": 5}
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


@pytest.mark.parametrize("target", ["nowhere.json", None], ids=["to nothing", "to itself"])
def test_a_link_that_leads_to_no_file_is_named_and_no_result(tiny, target):
    folder, study = tiny
    path = folder.result(first_cell(study))
    path.unlink()
    path.symlink_to(target or path.name)
    found = collect(folder, study)
    assert [str(p) for p in found.problems] == [
        f"results/{path.name}: a link that leads to no file"
    ]
    assert row(found, path.stem)["status"] == "missing"
    with pytest.raises(RecordError, match=path.name):
        read_record(Result, path)


def test_bad_failures_and_sources_are_named_too(tmp_path):
    study = make_study(tmp_path / "s", grid=TINY, failed=1.0)
    folder = StudyFolder(tmp_path / "s")
    some, other, third = list(study.cells)[:3]
    cut_short(folder.failure(some))
    change(folder.failure(other), lambda table: table.update(attempts=0))
    shutil.copy(folder.failure(third), folder.failures / "strange.json")
    source = next(iter(study.sources))
    change(folder.source(source) / "result.json", lambda t: t["source"].update(task="wic"))
    found = collect(folder, study)
    assert {(p.file, p.kind) for p in found.problems} == {
        (f"failures/{some}.json", "truncated"),
        (f"failures/{other}.json", "schema"),
        ("failures/strange.json", "unplanned"),
        (f"sources/{source}/result.json", "grid"),
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


def test_a_source_that_contradicts_itself_is_left_out(tmp_path):
    study = make_study(tmp_path / "s", grid=TINY)
    folder = StudyFolder(tmp_path / "s")
    (source,) = study.sources
    change(folder.source(source) / "result.json", lambda table: table.update(score=0.999))
    found = collect(folder, study)
    (problem,) = found.problems
    assert problem.file == f"sources/{source}/result.json"
    assert problem.message.startswith("field 'score' = 0.999: 'dev.score' is 0.")
    assert found.sources["status"].to_list() == ["missing"]


@pytest.mark.parametrize("value", [10**30, 2**63])
def test_a_number_that_no_column_holds_costs_its_own_file_alone(tmp_path, value):
    study = make_study(tmp_path / "s", grid=TINY, failed=0.5)
    folder = StudyFolder(tmp_path / "s")
    source, ended = next(iter(study.sources)), sorted(folder.results.iterdir())[0]
    wrong = [f"results/{ended.name}", f"sources/{source}/result.json"]
    for file in wrong:
        change(folder.path / file, lambda table: table.update(train_rows=value))
    found = collect(folder, study)
    assert [p.file for p in found.problems] == wrong
    assert all(p.message.startswith(f"field 'train_rows' = {value}: ") for p in found.problems)
    assert row(found, ended.stem)["status"] == "missing"
    assert found.cells["status"].to_list().count("ok") == len(list(folder.results.iterdir())) - 1


def test_a_failure_with_a_number_that_no_column_holds_is_named(tmp_path):
    study = make_study(tmp_path / "s", grid=TINY, failed=1.0)
    folder = StudyFolder(tmp_path / "s")
    cell = first_cell(study)
    change(folder.failure(cell), lambda table: table.update(attempts=10**30))
    found = collect(folder, study)
    assert [p.file for p in found.problems] == [f"failures/{cell}.json"]
    assert row(found, cell)["status"] == "missing"
    assert found.cells["status"].to_list().count("failed") == 15


def test_a_text_that_is_not_unicode_is_shown_by_its_code_and_costs_no_result(tiny):
    folder, study = tiny
    some, other = list(study.cells)[:2]
    change(folder.result(some), lambda table: table["provenance"].update(host="\ud800"))
    change(folder.result(other), lambda table: table["provenance"].update(command="\ud800"))
    found = collect(folder, study)
    assert not found.problems
    assert row(found, some)["host"] == r"\ud800"
    assert [row(found, cell)["status"] for cell in (some, other)] == ["ok", "ok"]


def test_every_difference_from_the_cell_of_the_grid_is_named(tiny):
    folder, study = tiny
    cell = first_cell(study)
    edit = {"source_id": "x", "target": "cola"}
    change(folder.result(cell), lambda table: table["cell"].update(edit))
    (problem,) = collect(folder, study).problems
    assert problem.kind == "grid"
    assert problem.message == (
        "not the grid's cell of this id: field 'cell.source_id' = 'x', not None, field "
        "'cell.target' = 'cola', not 'rte'"
    )


def test_a_record_counts_whatever_its_study_and_its_source_were_called(tmp_path):
    study = make_study(tmp_path / "s", grid=TINY, failed=0.3)
    folder = StudyFolder(tmp_path / "s")
    whole = collect(folder, study)
    for path in (*folder.results.iterdir(), *folder.failures.iterdir()):
        change(path, lambda table: table.update(study="f" * 12))
        change(path, lambda table: table["cell"].update(source="called otherwise"))
    for source in study.sources:
        path = folder.source(source) / "result.json"
        change(path, lambda table: table.update(study="f" * 12))
        change(path, lambda table: table["source"].update(name="called otherwise"))
    found = collect(folder, study)
    assert found.problems == ()
    assert found.cells.equals(whole.cells)
    assert found.sources.equals(whole.sources)


def test_a_result_that_the_grid_no_longer_plans_counts_nowhere_and_is_named(tmp_path):
    study = make_study(tmp_path / "s", grid=TINY)
    folder = StudyFolder(tmp_path / "s")
    whole = collect(folder, study).cells
    block = TINY["blocks"][0] | {"targets": ["rte"]}
    fewer = bind(Grid.model_validate(TINY | {"blocks": [block]}), study.model_identity, name="s")
    folder.study_file.write_text(fewer.model_dump_json())
    found = collect(folder, fewer)
    gone = [cell.id for cell in study.cells.values() if cell.target == "cola"]
    assert [p.file for p in found.problems] == sorted(f"results/{cell}.json" for cell in gone)
    assert {p.kind for p in found.problems} == {"unplanned"}
    assert found.cells.equals(whole.filter(pl.col("target") == "rte"))
    (said,) = [line for line in describe(found) if "Not in the grid" in line]
    assert said.startswith(
        "Not in the grid: 8 results are of cells that the grid does not plan, and counted nowhere "
        f"until it does: {min(gone)}, "
    )
    folder.study_file.write_text(study.model_dump_json())
    assert collect(folder, study).cells.equals(whole)

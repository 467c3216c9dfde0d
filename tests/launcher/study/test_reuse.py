"""What other studies have finished is taken over, whole, and only where it counts here."""

import json
import shutil
from pathlib import Path

import pytest

from launcher.study.reuse import other_studies, running_elsewhere
from stilt.errors import ConfigError
from stilt.folder import StudyFolder, read_study
from stilt.records.finished import usable
from stilt.records.results import Result, SourceResult, read_record, write_record
from stilt.system.files import write_text
from tests.support.claims import DEAD, hold
from tests.support.fake_study import damage, fail_source
from tests.support.taken_study import (
    begun,
    block,
    everything,
    lacks,
    make_done,
    source_of,
    taken,
    weights,
)


def test_a_study_takes_over_all_that_another_has(new, done, capsys):
    before = everything(done)
    said = taken(new, capsys)
    assert f"taken over: source hellaswag and 8 cells from study done ({done.path})" in said
    state = lacks(new)
    assert (state.missing, state.done) == ([], set(new.study.cells))
    assert state.there == set(new.study.sources)
    for cell in new.study.cells:
        mine, theirs = (read_record(Result, x.result(cell)) for x in (new.folder, done))
        assert mine.taken_from.study == "done"
        assert Path(mine.taken_from.folder) == done.path.resolve()
        assert mine.model_copy(update={"taken_from": None}) == theirs
        assert "taken_from" not in done.result(cell).read_text()
    assert not list(new.folder.claims.iterdir())
    assert everything(done) == before


def test_weights_are_linked_and_outlive_the_other_study(new, done, capsys):
    taken(new, capsys)
    source = source_of(new)
    ours, theirs = weights(new.folder, source), weights(done, source)
    assert ours.samefile(theirs)
    record = read_record(SourceResult, ours.with_name("result.json"))
    assert record.taken_from.study == "done"
    # the other study trains its source anew, and is deleted then
    write_text(theirs, "other weights")
    assert usable(new.study, new.folder, new.study.runs[source])
    assert ours.read_bytes() == b""
    shutil.rmtree(done.path)
    assert lacks(new).missing == []
    assert usable(new.study, new.folder, new.study.runs[source])


def test_only_the_rest_is_left_to_run(tmp_path, done, capsys):
    grid = block(targets=["rte", "cola", "wic"], seed=[12, 13])
    new = begun(tmp_path, "larger", grid, like=done)
    assert len(new.study.cells) == 24
    taken(new, capsys)
    assert set(lacks(new).missing) == new.study.cells.keys() - read_study(done).cells.keys()
    assert len(lacks(new).missing) == 16


def test_what_is_there_already_is_not_taken_again(new, capsys):
    taken(new, capsys)
    before = everything(new.folder)
    assert taken(new, capsys) == ""
    assert everything(new.folder) == before


def test_a_failure_and_a_saved_state_end_where_a_result_is_taken_over(new, capsys):
    cell = next(iter(new.study.cells))
    for path in (new.folder.failure(cell), new.folder.resume(cell)):
        write_text(path, "left behind")
    taken(new, capsys)
    assert not new.folder.failure(cell).exists()
    assert not new.folder.resume(cell).exists()


def test_results_of_other_rows_are_left_and_the_files_named(tmp_path, done, capsys):
    new = begun(tmp_path, like=done)
    path = new.folder.data_digest("rte")
    pin = json.loads(path.read_text()) | {"digest": "e" * 12}
    write_text(path, json.dumps(pin))
    said = taken(new, capsys)
    state = lacks(new)
    assert {new.study.cells[cell].target for cell in state.missing} == {"rte"}
    assert len(state.missing) == 4
    (line,) = (line for line in said.splitlines() if line.startswith("not taken over:"))
    assert f"{done.results}/" in line and "and 3 more" in line
    assert "this study's rows have digest eeeeeeeeeeee (task 'rte': rows of the test)" in line


def test_a_damaged_result_is_told_and_left(new, done, capsys):
    cell = next(iter(new.study.cells))
    damage(done.result(cell))
    said = taken(new, capsys)
    assert f"not taken over: {done.result(cell)}: not a whole line of JSON" in said
    assert lacks(new).missing == [cell]


def test_a_damaged_checkpoint_is_told_and_its_source_trained_anew(tmp_path, done, capsys):
    grid = block(seed=[12, 13])
    new = begun(tmp_path, grid=grid, like=done)
    source = source_of(new)
    weights(done, source).write_bytes(b"broken")
    said = taken(new, capsys)
    assert f"not taken over: {weights(done, source)}: not the file that was saved" in said
    # its cells were scored before it broke; the source is not there for those to be run
    assert "source hellaswag and 8 cells" in said
    assert not weights(new.folder, source).exists()
    assert source not in lacks(new).there
    assert len(lacks(new).missing) == 8


def test_another_study_with_the_same_weights_helps_out(tmp_path, done, capsys):
    shutil.copytree(done.path, tmp_path / "second")
    new = begun(tmp_path, like=done)
    source = source_of(new)
    weights(done, source).write_bytes(b"broken")
    said = taken(new, capsys)
    assert "not the file that was saved" in said
    assert weights(new.folder, source).samefile(weights(StudyFolder(tmp_path / "second"), source))


def test_cells_of_a_source_that_was_cleaned_are_taken_over_with_its_record(new, done, capsys):
    source = source_of(new)
    weights(done, source).unlink()
    taken(new, capsys)
    assert lacks(new).missing == []
    assert (new.folder.source(source) / "result.json").is_file()
    assert not weights(new.folder, source).exists()


def test_a_source_without_cells_is_taken_over_for_those_to_be_run(tmp_path, capsys):
    done = make_done(tmp_path, grid=block(seed=[99]))
    new = begun(tmp_path, like=done)
    said = taken(new, capsys)
    assert "taken over: source hellaswag from study done" in said
    assert lacks(new).there == set(new.study.sources)
    assert len(lacks(new).missing) == 8


def test_cells_of_a_source_that_cannot_be_taken_are_left(tmp_path, done, capsys):
    new = begun(tmp_path, like=done)
    source = source_of(new)
    record = read_record(SourceResult, done.source(source) / "result.json")
    for path in done.results.glob("*.json"):
        result = read_record(Result, path)
        if result.cell.source_id == source:
            write_record(result.model_copy(update={"start": record.checkpoint}), path)
    shutil.rmtree(done.source(source))
    said = taken(new, capsys)
    assert "its source cannot be taken over, and trained here its weights may be others" in said
    assert {new.study.cells[cell].source for cell in lacks(new).missing} == {"hellaswag"}


def test_cells_that_started_from_other_weights_are_left(tmp_path, done, capsys):
    new = begun(tmp_path, like=done)
    source = source_of(new)
    # trained here as well, and another machine rounds otherwise
    record = read_record(SourceResult, done.source(source) / "result.json")
    digest = "0" * 64
    write_record(
        record.model_copy(update={"checkpoint": digest}), new.folder.source(source) / "result.json"
    )
    weights(new.folder, source).write_bytes(b"")
    said = taken(new, capsys)
    assert "it started from other weights of its source than this study has" in said
    assert {new.study.cells[cell].source for cell in lacks(new).missing} == {"hellaswag"}
    # those that say that they started from these are taken, whatever the other study has now
    cell = lacks(new).missing[0]
    result = read_record(Result, done.result(cell))
    write_record(result.model_copy(update={"start": digest}), done.result(cell))
    taken(new, capsys)
    assert cell not in lacks(new).missing and len(lacks(new).missing) == 3


def test_lost_weights_come_back_from_a_study_that_has_the_same(new, done, capsys):
    taken(new, capsys)
    source = source_of(new)
    cell = next(c for c in new.study.cells.values() if c.source_id == source).id
    record = (new.folder.source(source) / "result.json").read_text()
    weights(new.folder, source).unlink()
    new.folder.result(cell).unlink()
    done.result(cell).unlink()
    taken(new, capsys)
    assert lacks(new).there == {source} and lacks(new).missing == [cell]
    assert (new.folder.source(source) / "result.json").read_text() == record


def test_a_diverged_source_is_no_use_and_a_diverged_cell_is_a_result(tmp_path, capsys):
    done = make_done(tmp_path, diverged=1.0)
    like = make_done(tmp_path, "rows")
    new = begun(tmp_path, like=like)
    shutil.rmtree(like.path)
    source = source_of(new)
    path = done.source(source) / "result.json"
    table = json.loads(path.read_text())
    path.write_text(json.dumps(table | {"status": "diverged", "score": None, "dev": None}))
    taken(new, capsys)
    assert {new.study.cells[cell].source for cell in lacks(new).missing} == {"hellaswag"}
    assert not new.folder.source(source).exists()


def test_what_a_live_job_holds_is_left_to_it(new, capsys):
    source, cell = source_of(new), next(iter(new.study.cells))
    hold(new.folder, cell)
    hold(new.folder, source)
    taken(new, capsys)
    state = lacks(new)
    assert state.held == {cell, source}
    # the held source will have weights of its own
    assert {new.study.cells[c].source for c in state.missing} == {"hellaswag"}
    assert not new.folder.result(cell).exists()


def test_a_claim_whose_holder_died_does_not_keep_it(new, capsys):
    cell = next(iter(new.study.cells))
    hold(new.folder, cell, pid=DEAD)
    taken(new, capsys)
    assert lacks(new).missing == []


def test_a_study_at_the_same_run_is_told(new, done, capsys):
    source, cell = source_of(new), next(iter(new.study.cells))
    hold(done, source)
    hold(done, cell, pid=DEAD)
    (said,) = running_elsewhere(new.study, [source, cell], [done])
    assert said.startswith(
        f"source hellaswag: study done ({done.path}) runs or awaits the same now"
    )
    assert running_elsewhere(new.study, [cell], [done]) == []


def test_neighbours_and_named_studies_are_looked_at_once_each(tmp_path):
    for name in ("b", "a", "own", "elsewhere/x", "elsewhere/y"):
        write_text(tmp_path / name / "study.json", "{}")
    own = StudyFolder(tmp_path / "own")

    def names(*named):
        return [str(x.path.relative_to(tmp_path)) for x in other_studies(own, named)]

    assert names() == ["a", "b"]
    assert names(tmp_path / "elsewhere", tmp_path / "b") == ["elsewhere/x", "elsewhere/y", "b", "a"]
    assert names(tmp_path / "own") == ["a", "b"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"--from .*/empty: no study here, and none in it"):
        names(tmp_path / "empty")
    with pytest.raises(ConfigError, match=r"--from .*/none: no such folder"):
        names(tmp_path / "none")


def test_a_source_that_failed_there_is_not_taken(tmp_path, done, capsys):
    new = begun(tmp_path, like=done)
    study = read_study(done)
    (source,) = study.sources.values()
    fail_source(done, study, source)
    taken(new, capsys)
    assert {new.study.cells[cell].source for cell in lacks(new).missing} == {"hellaswag"}

"""What a study still lacks."""

import json

import pytest

from launcher.study.outstanding import outstanding
from stilt.cell import SYNTHESIS
from stilt.folder import StudyFolder
from stilt.grid import Grid
from stilt.records.claims import lives_here
from stilt.records.finished import usable
from stilt.study import bind
from tests.support.claims import everyone_lives, hold, nobody_lives
from tests.support.fake_study import EIGHT_CELLS, damage, make_study


def test_everything_is_missing_from_a_new_study_in_the_grids_order(empty):
    study, folder = empty
    state = outstanding(study, folder, nobody_lives)
    assert state.missing == list(study.cells)
    assert (state.done, state.held, state.there, state.damaged) == (set(), set(), set(), [])


def test_nothing_is_missing_from_a_finished_study(finished):
    study, folder = finished
    state = outstanding(study, folder, nobody_lives)
    assert (state.done, state.missing) == (set(study.cells), [])
    assert state.there == set(study.sources)


def test_a_cell_with_a_failure_is_missing(tmp_path):
    study = make_study(tmp_path / "s", grid=EIGHT_CELLS, failed=1.0)
    state = outstanding(study, StudyFolder(tmp_path / "s"), nobody_lives)
    assert state.missing == list(study.cells)


def test_a_diverged_run_is_done_and_not_run_again(tmp_path):
    study = make_study(tmp_path / "s", grid=EIGHT_CELLS, diverged=1.0)
    state = outstanding(study, StudyFolder(tmp_path / "s"), nobody_lives)
    assert state.done == set(study.cells)


def test_what_a_live_job_holds_is_neither_done_nor_missing(generating):
    study, folder = generating
    cell, source = next(iter(study.cells)), next(iter(study.sources))
    for item in (cell, source, SYNTHESIS):
        hold(folder, item)
    state = outstanding(study, folder, everyone_lives)
    assert state.held == {cell, source, SYNTHESIS}
    assert cell not in state.missing
    assert len(state.missing) == len(study.cells) - 1
    assert outstanding(study, folder, nobody_lives).missing == list(study.cells)


def test_a_result_counts_even_where_a_claim_was_left_behind(finished):
    study, folder = finished
    cell = next(iter(study.cells))
    hold(folder, cell)
    assert cell in outstanding(study, folder, everyone_lives).done


def test_a_run_that_ends_while_it_is_looked_at_is_not_run_again(finished, monkeypatch):
    study, folder = finished
    cell = next(iter(study.cells))
    hold(folder, cell)
    result = folder.result(cell).read_bytes()
    folder.result(cell).unlink()

    def ends(study, folder, run):
        found = usable(study, folder, run)
        if run.id == cell:
            folder.result(cell).write_bytes(result)
            folder.claim(cell).unlink()
        return found

    monkeypatch.setattr("launcher.study.outstanding.usable", ends)
    state = outstanding(study, folder, everyone_lives)
    assert state.missing == []
    assert state.held == {cell}


def test_a_damaged_result_is_told_and_its_cell_run_again(finished):
    study, folder = finished
    cell = list(study.cells)[3]
    damage(folder.result(cell))
    state = outstanding(study, folder, nobody_lives)
    assert state.missing == [cell]
    assert state.done == set(study.cells) - {cell}
    (message,) = state.damaged
    assert message.startswith(f"{folder.result(cell)}: not a whole line of JSON")


def test_a_result_under_another_cells_name_does_not_count(finished):
    study, folder = finished
    first, second = list(study.cells)[:2]
    folder.result(second).write_bytes(folder.result(first).read_bytes())
    state = outstanding(study, folder, nobody_lives)
    assert state.missing == [second]
    assert f"holds cell {first}" in state.damaged[0]


def test_results_count_whatever_the_study_was_called_when_they_were_made(finished):
    study, folder = finished
    other = bind(Grid.model_validate(EIGHT_CELLS), "made-up-model", name="other")
    assert list(other.cells) == list(study.cells)
    assert outstanding(other, folder, nobody_lives) == outstanding(study, folder, nobody_lives)
    assert outstanding(other, folder, nobody_lives).done == set(study.cells)


@pytest.mark.parametrize("how", ["damaged", "diverged", "another's", "absent"])
def test_a_source_whose_record_is_not_right_is_not_there(finished, how):
    study, folder = finished
    (source,) = study.sources.values()
    path = folder.source(source.id) / "result.json"
    if how == "damaged":
        damage(path)
    elif how == "diverged":
        table = json.loads(path.read_text())
        path.write_text(json.dumps(table | {"status": "diverged", "score": None, "dev": None}))
    elif how == "another's":
        path.write_text(path.read_text().replace('"learning_rate":1e-05', '"learning_rate":2e-05'))
    else:
        path.unlink()
    state = outstanding(study, folder, nobody_lives)
    assert state.there == set()
    # it is trained again; where there was a whole record, or half of one, that is said
    assert len(state.damaged) == (how in ("damaged", "another's"))


def test_rows_are_there_when_their_last_file_is(generating):
    study, folder = generating
    folder.synthesis().mkdir()
    (folder.synthesis() / "train.jsonl").write_text("")
    assert outstanding(study, folder, nobody_lives).there == set()
    (folder.synthesis() / "dev.jsonl").write_text("")
    assert outstanding(study, folder, nobody_lives).there == {SYNTHESIS}


def test_a_score_that_was_changed_by_hand_is_left_out_and_run_again(finished):
    study, folder = finished
    changed = next(iter(study.cells))
    path = folder.result(changed)
    table = json.loads(path.read_text())
    path.write_text(json.dumps(table | {"score": table["score"] / 2 + 0.1}))
    state = outstanding(study, folder, lives_here)
    assert state.missing == [changed]
    (said,) = state.damaged
    assert said.startswith(f"{path}: field 'score' = ")

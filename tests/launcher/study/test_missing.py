"""What a study still lacks, and that no two submits run one cell."""

import io
import json
import multiprocessing
import time
from dataclasses import replace

import pytest
from rich.console import Console

from launcher.study.claiming import claim_bundles, new_submission, release
from launcher.study.missing import outstanding
from launcher.study.preview import show, tokens_per_second
from launcher.study.resolve import ResolvedStudy, check_data
from stilt.cell import SYNTHESIS
from stilt.errors import DataError
from stilt.folder import StudyFolder, read_study
from stilt.grid import Grid, load_grid
from stilt.plan import plan
from stilt.records import claims
from stilt.records.claims import lives_here, new_claim
from stilt.records.results import Result, read_record, write_record
from stilt.study import bind
from tests.support.fake_study import make_study

GRID = {
    "name": "small",
    "model": {"hub": "org/encoder", "revision": "0" * 40, "parameters": 10_000_000},
    "blocks": [
        {
            "sources": ["none", "hellaswag"],
            "targets": ["rte", "cola"],
            "learning_rate": [1e-5],
            "batch_size": [8, 16],
            "warmup_ratio": [0.0],
            "seed": [12],
        }
    ],
}


def everyone_lives(claim):
    return True


def nobody_lives(claim):
    return False


@pytest.fixture
def empty(tmp_path):
    """A study of 8 cells and a source of which nothing was run."""
    study = make_study(tmp_path / "s", grid=GRID, missing=1.0, sources=False)
    return study, StudyFolder(tmp_path / "s")


@pytest.fixture
def generating(tmp_path):
    """The same, whose targets also read rows that the study generates."""
    (block,) = GRID["blocks"]
    block = block | {"targets": [*block["targets"], "synthesis-gpt2"]}
    grid = GRID | {"blocks": [block], "synthesis": {}}
    study = make_study(tmp_path / "s", grid=grid, missing=1.0, sources=False)
    return study, StudyFolder(tmp_path / "s")


@pytest.fixture
def finished(tmp_path):
    study = make_study(tmp_path / "s", grid=GRID)
    return study, StudyFolder(tmp_path / "s")


def hold(folder, item, submission="other"):
    assert claims.take(new_claim(item, submission, "bundle"), folder.claim(item))


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
    study = make_study(tmp_path / "s", grid=GRID, failed=1.0)
    state = outstanding(study, StudyFolder(tmp_path / "s"), nobody_lives)
    assert state.missing == list(study.cells)


def test_a_diverged_run_is_done_and_not_run_again(tmp_path):
    study = make_study(tmp_path / "s", grid=GRID, diverged=1.0)
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


def damage(path):
    path.write_text(path.read_text()[:100])


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


def test_results_of_another_study_do_not_count(finished):
    study, folder = finished
    other = bind(Grid.model_validate(GRID), "made-up-model", name="other")
    assert list(other.cells) == list(study.cells)
    assert outstanding(other, folder, nobody_lives).missing == list(other.cells)


@pytest.mark.parametrize("how", ["damaged", "diverged", "another's", "another study's", "absent"])
def test_a_source_whose_record_is_not_right_is_not_there(finished, how):
    study, folder = finished
    (source,) = study.sources.values()
    path = folder.source(source.id) / "result.json"
    if how == "damaged":
        damage(path)
    elif how == "diverged":
        path.write_text(path.read_text().replace('"status":"ok"', '"status":"diverged"'))
    elif how == "another's":
        path.write_text(path.read_text().replace('"learning_rate":1e-05', '"learning_rate":2e-05'))
    elif how == "another study's":
        path.write_text(path.read_text().replace(study.digest, "0" * 12))
    else:
        path.unlink()
    state = outstanding(study, folder, nobody_lives)
    assert state.there == set()
    # it is trained again; where there was a whole record, or half of one, that is said
    assert len(state.damaged) == (how in ("damaged", "another's", "another study's"))


def test_rows_are_there_when_their_last_file_is(generating):
    study, folder = generating
    folder.synthesis().mkdir()
    (folder.synthesis() / "train.jsonl").write_text("")
    assert outstanding(study, folder, nobody_lives).there == set()
    (folder.synthesis() / "dev.jsonl").write_text("")
    assert outstanding(study, folder, nobody_lives).there == {SYNTHESIS}


def test_a_source_of_more_rows_than_there_are_is_told_before_anything_is_submitted(own_study):
    grid = own_study / "own.toml"
    grid.write_text(
        grid.read_text().replace('"endings"]', '{task = "endings", train_size = 99}]', 1)
    )
    study = bind(load_grid(str(grid)), "model", near=own_study)
    folder = StudyFolder(own_study / "study")
    resolved = ResolvedStudy(study, folder, None, own_study / "data", own_study / "cache")
    with pytest.raises(
        DataError, match=r"train\.jsonl: train_size or dev_size = 99, but there are"
    ):
        check_data(resolved)
    grid.write_text(grid.read_text().replace("99", "9"))
    study = bind(load_grid(str(grid)), "model", near=own_study)
    found = check_data(replace(resolved, study=study))
    assert {name: size.train for name, (_, size) in found.items()} == {"endings": 24, "pairs": 24}


# ---- claiming


def items(found):
    return [item for bundle in found.bundles for item in bundle.items]


def test_a_submit_claims_what_it_plans_and_a_second_one_gets_nothing(empty):
    study, folder = empty
    whole = plan(study, cells=study.cells)
    mine = claim_bundles(whole, folder, "first", everyone_lives)
    assert sorted(items(mine)) == sorted([*study.cells, *study.sources])
    assert {claims.read(folder.claim(item)).submission for item in items(mine)} == {"first"}
    assert claim_bundles(whole, folder, "second", everyone_lives).bundles == ()
    state = outstanding(study, folder, everyone_lives)
    assert (state.missing, state.held) == ([], {*study.cells, *study.sources})


def test_a_claim_names_the_bundle_that_its_item_is_in(empty):
    study, folder = empty
    mine = claim_bundles(plan(study, cells=study.cells), folder, "first", everyone_lives)
    for bundle in mine.bundles:
        for item in bundle.items:
            assert claims.read(folder.claim(item)).bundle == bundle.id


def test_stale_claims_are_taken_over_and_live_ones_left(empty):
    study, folder = empty
    dead, alive = list(study.cells)[:2]
    hold(folder, dead, "dead")
    hold(folder, alive, "alive")
    whole = plan(study, cells=study.cells)
    mine = claim_bundles(whole, folder, "mine", lambda claim: claim.submission == "alive")
    assert alive not in items(mine)
    assert sorted([*items(mine), alive]) == sorted(items(whole))
    assert claims.read(folder.claim(dead)).submission == "mine"
    assert claims.read(folder.claim(alive)).submission == "alive"


def test_a_damaged_claim_does_not_hold_its_cell_for_ever(empty):
    study, folder = empty
    cell = next(iter(study.cells))
    hold(folder, cell)
    folder.claim(cell).write_text("{")
    assert cell in outstanding(study, folder, everyone_lives).missing
    mine = claim_bundles(plan(study, cells=[cell]), folder, "mine", everyone_lives)
    assert items(mine) == [cell]


def test_two_submits_that_share_a_planned_bundle_do_not_share_its_file(empty):
    study, folder = empty
    whole = plan(study, cells=study.cells, bundles=1)
    first = next(b for b in whole.bundles if len(b.items) > 1)
    hold(folder, first.items[0], "first")
    one = claim_bundles(whole, folder, "second", everyone_lives)
    release(folder, "first", [first.items[0]])
    other = claim_bundles(whole, folder, "third", everyone_lives)
    assert items(other) == [first.items[0]]
    assert not {bundle.id for bundle in one.bundles} & {bundle.id for bundle in other.bundles}


def claiming(path, name, start, said):
    folder = StudyFolder(path)
    study = read_study(folder)
    whole = plan(study, cells=study.cells)
    start.wait()
    said.put(items(claim_bundles(whole, folder, name, lambda claim: claim.submission != "dead")))


@pytest.mark.parametrize("stale", [False, True], ids=["free", "stale"])
def test_submits_that_race_get_every_item_exactly_once_between_them(empty, stale):
    study, folder = empty
    wanted = [*study.cells, *study.sources]
    for item in wanted if stale else ():
        hold(folder, item, "dead")
    context = multiprocessing.get_context("fork")
    start, said = context.Event(), context.Queue()
    processes = [
        context.Process(target=claiming, args=(folder.path, f"submit {i}", start, said))
        for i in range(3)
    ]
    for process in processes:
        process.start()
    start.set()
    got = [item for _ in processes for item in said.get(timeout=60)]
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    assert sorted(got) == sorted(wanted)


def test_releasing_gives_back_ones_own_claims_alone(empty):
    study, folder = empty
    mine, theirs = list(study.cells)[:2]
    hold(folder, mine, "mine")
    hold(folder, theirs, "theirs")
    release(folder, "mine", [mine, theirs, "absent"])
    assert claims.read(folder.claim(mine)) is None
    assert claims.read(folder.claim(theirs)).submission == "theirs"


def test_a_claim_of_this_machine_lives_as_long_as_its_process():
    claim = new_claim("cell", "s", "b")
    assert lives_here(claim)
    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()
    process.join(timeout=30)
    assert not lives_here(claim.model_copy(update={"pid": process.pid}))


def test_a_claim_of_another_machine_lives_for_a_day_after_its_last_sign():
    claim = new_claim("cell", "s", "b").model_copy(update={"host": "elsewhere"})
    now = time.time()
    assert lives_here(claim), "claimed just now, and not begun"
    assert not lives_here(claim.model_copy(update={"taken": now - 90_000}))
    assert lives_here(claim.model_copy(update={"updated": now - 3_600}))
    assert lives_here(claim.model_copy(update={"started": now - 3_600}))
    assert not lives_here(claim.model_copy(update={"started": now, "updated": now - 90_000}))


def test_submissions_have_names_of_their_own():
    names = {new_submission("local") for _ in range(50)}
    assert len(names) == 50
    assert all(name.startswith("local-") for name in names)


# ---- the dry run


def shown(study, folder, tmp_path):
    console = Console(file=io.StringIO(), width=160, color_system=None)
    resolved = ResolvedStudy(study, folder, None, None, tmp_path / "cache")
    assert show(resolved, console, executor="local", bundles=None) == 0
    return console.file.getvalue(), resolved


def test_a_dry_run_tells_what_is_to_run_and_writes_nothing(empty, tmp_path):
    study, folder = empty
    before = sorted(folder.path.rglob("*"))
    text, _ = shown(study, folder, tmp_path)
    assert "study small: 8 cells, 0 done, 0 held by live jobs, 8 to run." in text.replace(
        f"study {study.name}", "study small"
    )
    target = next(iter(study.cells.values())).target
    (row,) = (line for line in text.splitlines() if line.strip(" │┃|").startswith(f"{target} "))
    assert [part for part in row.split() if part.isdigit()] == ["2", "2", "4"]
    assert "source hellaswag" in text
    assert "GPU-hours, if a GPU does" in text
    assert "Dry run: nothing was written." in text
    assert sorted(folder.path.rglob("*")) == before


def test_a_dry_run_of_a_finished_study_has_nothing_to_run(finished, tmp_path):
    study, folder = finished
    text, _ = shown(study, folder, tmp_path)
    assert "8 done, 0 held by live jobs, 0 to run" in text
    assert "nothing to run." in text


def test_a_dry_run_goes_on_past_a_damaged_or_foreign_result(finished, tmp_path):
    study, folder = finished
    first, second, *rest = study.cells
    damage(folder.result(first))
    result = read_record(Result, folder.result(second))
    foreign = result.model_copy(update={"cell": result.cell.model_copy(update={"target": "gone"})})
    write_record(foreign, folder.results / "ffffffffffff.json")
    text, resolved = shown(study, folder, tmp_path)
    assert "7 done, 0 held by live jobs, 1 to run" in text
    assert "worker-hours, at the finished cells' speed." in text
    for cell in [second, *rest]:
        folder.result(cell).unlink()
    assert tokens_per_second(resolved) is None
    assert tokens_per_second(replace(resolved, folder=StudyFolder(tmp_path / "x"))) is None


def test_a_score_that_was_changed_by_hand_is_left_out_and_run_again(finished):
    study, folder = finished
    changed = next(iter(study.cells))
    path = folder.result(changed)
    table = json.loads(path.read_text())
    path.write_text(json.dumps(table | {"score": table["score"] / 2 + 0.1}))
    state = outstanding(study, folder, lives_here)
    assert state.missing == [changed]
    assert state.damaged == [
        f"{path}: its status, score, accuracy, predictions and row count do not agree."
    ]

"""No two submits run one cell."""

import multiprocessing

import pytest

from launcher.study.claiming import claim_bundles, drop_dead, new_submission, release
from launcher.study.outstanding import outstanding
from stilt.folder import StudyFolder, read_study
from stilt.plan import plan
from stilt.records import claims
from tests.support.claims import everyone_lives, hold


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


def test_submissions_have_names_of_their_own():
    names = {new_submission("local") for _ in range(50)}
    assert len(names) == 50
    assert all(name.startswith("local-") for name in names)


def test_a_death_between_a_result_and_the_end_of_its_claim_leaves_no_claim(empty):
    study, folder = empty
    ended, lost, alive = list(study.cells)[:3]
    for item in (ended, lost, alive):
        hold(folder, item, "before")
    drop_dead(folder, {ended, alive}, lambda claim: claim.item == alive)
    assert {path.stem for path in folder.claims.glob("[!.]*.json")} == {lost, alive}

"""On a real SLURM: a study changes its shape while its arrays run, and lends what it has."""

import shutil

import pytest

from stilt.folder import StudyFolder, read_study
from tests.support.cluster_study import make_study
from tests.support.gated_study import undisturbed
from tests.support.live_study import endings, numbers, slurm, submit, wait_for_all_jobs

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def rewrite(own, old, new):
    """Edits a user's grid."""
    grid = own / "own.toml"
    assert old in grid.read_text()
    grid.write_text(grid.read_text().replace(old, new))


@pytest.mark.nightly
def test_a_study_grows_and_shrinks_while_its_arrays_run_and_wait(live, tmp_path):
    live.own = shutil.copytree(live.own, tmp_path / "own")
    rewrite(live.own, "seed = [1, 2]", "seed = [1]")
    live.submit("--bundles", "2")
    held = {claim.item for claim in live.at_gate(2)}
    rewrite(live.own, "seed = [1]", "seed = [1, 2]")
    printed = live.submit("--bundles", "4")
    assert "revision 2: +2 cells: seed 2; 2 cells there, 0 done" in printed
    assert "0 of 4 cells done, 2 held by live jobs, 2 runs to do in 2 bundles" in printed
    # of the cells that go one runs and one waits
    rewrite(live.own, "warmup_ratio = [0.0, 0.2]", "warmup_ratio = [0.0]")
    assert "no longer in the grid: 2 cells: warmup ratio 0.2" in live.submit("--revise")
    live.open()
    wait_for_all_jobs()
    left = live.study
    assert left.revision == 3
    assert numbers(left, live.folder) == {cell: live.calm[cell] for cell in left.cells}
    there = {path.stem for path in live.folder.results.glob("*.json")}
    assert there == held | left.cells.keys()
    assert len(there) == 3
    assert not list(live.folder.claims.glob("[!.]*.json"))
    rewrite(live.own, "warmup_ratio = [0.0]", "warmup_ratio = [0.0, 0.2]")
    printed = live.submit("--bundles", "4")
    assert "revision 4: +2 cells: warmup ratio 0.2; 2 cells there, 2 done" in printed
    assert "3 of 4 cells done, 0 held by live jobs, 1 run to do" in printed
    live.finish(submits=0)


@pytest.mark.nightly
def test_jobs_start_from_weights_that_were_taken_over_though_their_study_is_gone(cluster, tmp_path):
    own, root = tmp_path / "own", tmp_path / "logs"
    make_study(own, sources=1, targets=1, seeds=2)
    calm = undisturbed(own, tmp_path / "calm")
    rewrite(own, "seed = [1, 2]", "seed = [1]")
    submit(own, root, "--bundles", "2")
    wait_for_all_jobs()
    first, second = StudyFolder(root / "own"), StudyFolder(root / "second")
    assert sum(endings(first).values()) == 5
    rewrite(own, "seed = [1]", "seed = [1, 2]")
    slurm("scontrol", "update", "partitionname=test", "state=down")
    try:
        printed = submit(own, root, "--study", "second", "--bundles", "2")
        waits = slurm("squeue", "--noheader", "--format=%E").split()
        shutil.rmtree(first.path)
    finally:
        slurm("scontrol", "update", "partitionname=test", "state=up")
    assert "taken over: source hard0 and 4 cells from study own" in printed
    assert "4 of 8 cells done, 0 held by live jobs, 4 runs to do" in printed
    assert not [job for job in waits if job != "(null)"]
    wait_for_all_jobs()
    study = read_study(second)
    assert numbers(study, second) == calm
    new = {cell.id for cell in study.cells.values() if cell.seed == 2}
    assert endings(second) == dict.fromkeys(new, 1)
    assert not list(second.claims.glob("[!.]*.json"))

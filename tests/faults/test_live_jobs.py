"""On a real SLURM: single elements are signalled, requeued, cancelled and run out of time.

Every fault that is tried on a real SLURM, and where::

    USR2, requeue, scancel of an element and of an array, time limit     here
    a node down and up, slurmd killed; slurmctld, slurmdbd and munged    test_live_daemons
      stopped or killed under submit, status and jobs
    MaxArraySize, MaxSubmitJobs, parallel over several arrays            test_live_limits
    two submits at once, a local pool and SLURM, two Unix users          test_live_people
    a disk that fills up, a folder that moves, a model that changes,     test_live_places
      sbatch that times out, submit from inside a job
    a job that takes more memory than it asked for                       test_live_memory
    many faults at once; a source that fails; workers that share an      launcher/test_submit_live
      element or train together; kill -9 of a worker
    a broken GPU: away from its node, and where no other node is left;   launcher/
      cancel and clean of a queued study                                 test_submit_live_nodes
    what squeue and sacct say of ended, waiting and requeued jobs        launcher/scheduler/
                                                                         test_liveness_live
"""

import pytest

from tests.support.live_study import is_requeued, slurm, wait

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def test_a_signalled_and_a_requeued_element_go_on_where_they_were(live):
    live.submit("--bundles", "2")
    first, second = live.at_gate(2)
    slurm("scancel", "--signal=USR2", first.job)
    slurm("scontrol", "requeue", second.job)
    wait(lambda: is_requeued(live.folder, first.job), "a requeue")
    # nobody submits again: both come back to the gate by themselves
    for claim in (first, second):
        wait(lambda old=claim: live.folder.resume(old.item).exists(), "a saved state")
        shown = live.wait_for(claim.item, "running")
        assert "a saved state is there to go on from" in shown
    # what was shown may have been the end of the attempt before
    wait(lambda: {state for state, _ in live.states()} == {"running", "pending"}, "both to run")
    live.finish(submits=0)
    attempts = {name: item["attempts"] for name, item in live.items().items()}
    twice = {first.item, second.item}
    assert attempts == {name: 2 if name in twice else 1 for name in attempts}


def test_a_cancelled_element_and_a_cancelled_array_are_told_and_submitted_again(live):
    live.submit("--bundles", "2")
    first, second = live.at_gate(2)
    slurm("scancel", first.job)
    shown = live.wait_for(first.item, "open", "cancelled")
    assert f"job {first.job} died with no result: CANCELLED" in shown
    assert "somebody cancelled it" in shown
    assert "What to do: submit again." in shown
    assert live.log(first) in shown
    assert live.items()[second.item]["state"] == "running"
    slurm("scancel", first.job.partition("_")[0])
    live.wait_for(second.item, "open", "cancelled")
    assert {state for state, _ in live.states()} == {"open"}
    assert "○ cancelled" in live.shown("own")
    live.finish(submits=1)


@pytest.mark.nightly
def test_a_time_limit_that_a_worker_obeys_and_one_that_it_cannot_are_told_as_such(live):
    # submitit takes any signal for the time limit where that is 10 minutes or less
    once = live.profile("max_timeouts = 0\n")
    live.submit("--bundles", "2", "--time", "10", "--profile", str(once))
    obeys, stopped = live.at_gate(2)
    live.shut(f"deaf {stopped.pid}")
    for claim in (obeys, stopped):
        taken = slurm("squeue", "--noheader", f"--jobs={claim.job}", "--format=%M")
        limit = int(taken.partition(":")[0]) + 2
        slurm("scontrol", "update", f"jobid={claim.job}", f"TimeLimit={limit}")
    shown = live.wait_for(obeys.item, "failed", "timeout")
    assert "What to do: submit again: it goes on where it was." in shown
    assert live.log(obeys) in shown
    shown = live.wait_for(stopped.item, "failed", "timeout")
    assert f"job {stopped.job} died with no result: TIMEOUT" in shown
    assert "the time limit was reached" in shown
    assert live.log(stopped) in shown
    live.finish(submits=1)

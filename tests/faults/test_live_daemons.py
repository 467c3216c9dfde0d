"""On a real SLURM: its nodes and daemons fail under a study, and under the commands."""

import pytest

from tests.support import slurm_cluster
from tests.support.live_study import PATIENCE, slurm, steps, wait, wait_for_all_jobs

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.nightly]


def test_elements_of_a_node_that_goes_down_wait_and_go_on_when_it_is_back(live):
    live.submit("--bundles", "2")
    claims = live.at_gate(2)
    for node in slurm_cluster.NODES:
        slurm_cluster.node_down(node)
    for claim in claims:
        shown = live.wait_for(claim.item, "pending")
        assert "a saved state is there to go on from" in shown
    assert {state for state, _ in live.states()} == {"pending"}
    wait(lambda: not steps(), "the end of what was killed")
    for node in slurm_cluster.NODES:
        slurm_cluster.node_up(node)
    live.finish(submits=0)


def test_an_element_whose_node_daemon_was_killed_is_run_elsewhere_and_its_old_process_harms_nothing(
    live,
):
    live.submit("--bundles", "1")
    [claim] = live.at_gate(1)
    node = slurm("squeue", "--noheader", "--format=%N").strip()
    # the old process lives on at the gate: the new one trains the same cell beside it
    slurm_cluster.kill_slurmd(node)
    wait(lambda: live.at_gate(1)[0].pid != claim.pid, "the next attempt")
    assert live.items()[claim.item]["state"] == "running"
    live.finish(once=False, submits=0)
    slurm_cluster.start_daemon(node)


def test_a_study_is_submitted_and_looked_at_while_the_controller_is_away(live):
    live.submit("--bundles", "2")
    claims = live.at_gate(2)
    slurm_cluster.stop_daemon("slurmctld")
    shown = live.shown("own")
    assert "what runs and what waits is told from files alone" in shown
    assert live.states() == [("pending", "")] * 2 + [("running", "")] * 2
    printed = live.submit("--bundles", "2", check=False)
    assert "error: SLURM does not answer here: scontrol " in printed
    slurm_cluster.start_daemon("slurmctld")
    assert "told from files alone" not in live.shown("own")
    assert {claim.item for claim in live.at_gate(2)} == {claim.item for claim in claims}
    live.finish(submits=0)


@pytest.mark.parametrize("daemon", ["slurmctld", "munged"])
def test_a_submit_that_meets_no_controller_holds_nothing_and_is_repeated(live, daemon):
    slurm_cluster.stop_daemon(daemon)
    printed = live.submit("--bundles", "2", check=False)
    assert "Traceback" not in printed
    assert printed.splitlines()[-1].startswith("error: SLURM does not answer here: scontrol ")
    assert not live.folder.path.exists()
    slurm_cluster.start_daemon(daemon)
    live.finish(submits=1)


def test_a_controller_that_goes_in_the_middle_of_a_submit_loses_and_doubles_nothing(live):
    # 4 arrays of one element each; the controller goes as soon as it has the first
    started = live.start("--bundles", "4", "--profile", str(live.profile("array_size = 1\n")))
    wait(lambda: slurm("squeue", "--noheader").strip(), "a first array")
    slurm_cluster.stop_daemon("slurmctld")
    printed, _ = started.communicate(timeout=PATIENCE)
    assert "Traceback" not in printed
    slurm_cluster.start_daemon("slurmctld")
    live.open()
    wait_for_all_jobs()
    # what it forgot counts as being sent for two minutes
    wait(lambda: {state for state, _ in live.states()} <= {"done", "open"}, "a sure answer")
    live.finish(submits=1)


def test_without_accounting_an_end_is_told_by_the_log(live):
    live.submit("--bundles", "2")
    [claim, _] = live.at_gate(2)
    slurm_cluster.stop_daemon("slurmdbd")
    shown = live.shown("own")
    assert "how jobs ended is told from their logs" in shown
    slurm("scancel", claim.job)
    shown = live.wait_for(claim.item, "open", "cancelled")
    assert live.log(claim) in shown
    live.submit("--bundles", "2")
    live.open()
    wait_for_all_jobs()
    slurm_cluster.start_daemon("slurmdbd")
    live.finish(submits=0)


def test_nodes_that_lose_munge_for_a_while_go_on(live):
    live.submit("--bundles", "2")
    live.at_gate(2)
    slurm_cluster.stop_daemon("munged")
    shown = live.shown("own")
    assert "what runs and what waits is told from files alone" in shown
    assert live.states() == [("pending", "")] * 2 + [("running", "")] * 2
    slurm_cluster.start_daemon("munged")
    live.finish(submits=0)

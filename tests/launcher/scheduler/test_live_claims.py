"""Who holds what of a study: elements that can be ended here, and those that cannot."""

import pytest

from launcher.scheduler.live_claims import read_live_claims
from stilt.records.claims import take
from tests.support.slurm_answers import claim, line, note


@pytest.fixture
def two_clusters(commands, folder):
    """A ledger of an earlier version, which sent one study to two clusters; this one is north."""
    note(folder, line(cluster="north", age=10), line(submission="slurm-2", cluster="south"))
    commands.say("squeue", "")
    commands.say("scontrol", "ClusterName             = north\n")
    for held in (claim("b0"), claim("b1").model_copy(update={"submission": "slurm-2"})):
        named = held.model_copy(update={"item": held.submission})
        assert take(named, folder.claim(named.item))
    return folder


def test_a_job_of_a_second_cluster_is_never_ended_by_its_number_here(two_clusters):
    found = read_live_claims(two_clusters)
    assert [held.submission for held in found.away] == ["slurm-2"]
    assert [held.submission for own in found.elements.values() for held in own] == [
        claim("b0").submission
    ]
    assert found.beyond_reach() == [
        "1 run held by jobs that an earlier version sent to another cluster: cancel them there"
    ]

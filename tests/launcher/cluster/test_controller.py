"""Whether SLURM answers, and what a person is told while it does not."""

import pytest

from launcher.cluster.controller import ask_controller, require_controller
from stilt.errors import ConfigError

SILENT = {
    "scontrol: error: Munge encode failed: Failed to access /run/munge: No such file": "munge",
    "slurm_load_ctl_conf error: Unable to contact slurm controller (connect failure)": "controller",
    "scontrol: fatal: Could not establish a configuration source": "slurm.conf",
}


def test_a_controller_that_answers_says_its_cluster(commands):
    commands.say("scontrol", "Configuration data\nClusterName             = north\n")
    assert require_controller().cluster == "north"


@pytest.mark.parametrize("error", SILENT)
def test_a_slurm_that_does_not_answer_is_told_as_such_in_its_own_words(commands, error):
    commands.say("scontrol", errors=f"{error}\n", code=1)
    with pytest.raises(ConfigError, match=r"^SLURM does not answer here: scontrol ") as told:
        require_controller()
    assert error in str(told.value)
    assert "Nothing was sent" in str(told.value)


def test_what_takes_more_than_a_moment_is_told(commands, monkeypatch):
    commands.hang("scontrol")
    monkeypatch.setattr("stilt.slurm.commands.MOMENT", 0.05)
    monkeypatch.setattr("stilt.slurm.commands.SECONDS", 2.0)
    told: list[str] = []
    assert ask_controller(told.append).problem == "scontrol did not answer in 2 s"
    assert told == ["waiting for SLURM: scontrol has not answered yet (at most 2 s)"]


def test_what_answers_at_once_is_not_told(commands):
    commands.say("scontrol", "ClusterName = north\n")
    told: list[str] = []
    ask_controller(told.append)
    assert told == []

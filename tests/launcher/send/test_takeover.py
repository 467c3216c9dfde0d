"""A launcher, or an sbatch, that dies between two steps loses and doubles nothing."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.submit import main
from tests.support.submitted import arguments, everything, folder, sent_items

REPOSITORY = Path(__file__).parents[3]


def test_an_sbatch_that_times_out_after_it_was_accepted_sends_nothing_twice(own, fake):
    fake.tell("timeout")
    assert main(arguments(own, "--bundles", "8")) == 0
    assert sent_items() == everything()
    assert len(fake.scripts) == 7
    waiting = {path.name for path in folder().slurm.glob("*/*_submitted.pkl")}
    expected = {
        f"{script.job}_{i}_submitted.pkl" if script.flag("array") else f"{script.job}_submitted.pkl"
        for script in fake.scripts
        for i in range(script.elements)
    }
    assert waiting >= expected


def write_as_before():
    """Writes the ledger anew as versions before 2026-11 did: all arrays of a submit in one line."""
    lines = [json.loads(line) for line in folder().submissions.read_text().splitlines()]
    each = ("token", "stage", "needs", "bundles")
    arrays = [{"needs": []} | {name: line[name] for name in each if name in line} for line in lines]
    rest = {name: value for name, value in lines[0].items() if name not in each}
    intent = {"intent": True} | rest | {"arrays": arrays}
    folder().submissions.write_text(json.dumps(intent) + "\n")


@pytest.mark.parametrize("before", [False, True], ids=["now", "before"])
def test_a_launcher_killed_between_sbatch_and_its_note_loses_and_doubles_nothing(
    own, fake, monkeypatch, before
):
    command = [sys.executable, str(REPOSITORY / "launcher/submit.py"), *arguments(own)]
    command += ["--bundles", "8"]
    fake.tell("kill", "0")
    killed = subprocess.run(command, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    if before:
        write_as_before()
    orphan = fake.scripts[0].job
    monkeypatch.setattr("launcher.scheduler.liveness.INTENT_SECONDS", 0)
    assert main(arguments(own, "--bundles", "8")) == 0
    assert sent_items() == everything()
    assert [path.name for path in folder().slurm.glob(f"*/{orphan}_*.pkl")] == [
        f"{orphan}_submitted.pkl"
    ]
    # the orphan makes a source; its targets, sent by the second launcher, wait for it
    assert f"afterok:{orphan}" in {script.flag("dependency") for script in fake.scripts}


def test_a_launcher_killed_between_two_parts_loses_and_doubles_nothing(own, fake, monkeypatch):
    fake.tell("longest", "3")
    command = [sys.executable, str(REPOSITORY / "launcher/submit.py"), *arguments(own)]
    command += ["--bundles", "48"]
    fake.tell("kill", "105")
    killed = subprocess.run(command, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    second = fake.scripts[-1]
    assert second.elements == 3
    monkeypatch.setattr("launcher.scheduler.liveness.INTENT_SECONDS", 0)
    assert main(arguments(own, "--bundles", "48")) == 0
    assert sent_items() == everything()
    waiting = {path.name for path in folder().slurm.glob(f"*/{second.job}_*_submitted.pkl")}
    assert waiting == {f"{second.job}_{i}_submitted.pkl" for i in range(3)}

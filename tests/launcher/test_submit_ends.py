"""A local study whose launcher, or whose reader, breaks down."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.submit import main as submit
from stilt.folder import StudyFolder
from tests.support.own_study import command

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(own_study):
    return StudyFolder(own_study / "logs/own")


@pytest.mark.nightly
def test_the_runs_go_on_when_the_reader_of_the_output_has_enough(own_study, roberta, folder):
    reading, writing = os.pipe()
    os.close(reading)
    script = Path(__file__).parents[2] / "launcher/submit.py"
    with os.fdopen(writing, "wb") as pipe:
        run = subprocess.run(
            [sys.executable, script, *command(own_study, roberta)],
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (run.returncode, run.stderr) == (0, "")
    assert len(list(folder.results.glob("*.json"))) == 8


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_no_worker_outlives_a_launcher_that_breaks_down(
    own_study, roberta, folder, monkeypatch, error
):
    arguments = command(own_study, roberta)
    workers = []

    def break_down(pool, bars, overall):
        workers.extend(run.worker.process for run in pool.running)
        raise error

    monkeypatch.setattr("launcher.local.pool.Pool._show", break_down)
    if error is KeyboardInterrupt:
        assert submit(arguments) == 130
    else:
        with pytest.raises(error):
            submit(arguments)
    assert workers and all(process.poll() is not None for process in workers)
    assert not list(folder.claims.glob("*.json"))

"""Worker processes that die; true ones run in tests/launcher/test_submit.py."""

import shutil

import pytest

from launcher.local.workers import WorkerProcess
from stilt.folder import StudyFolder


@pytest.mark.parametrize("more", [True, False])
def test_a_process_that_died_takes_no_bundle(tmp_path, monkeypatch, more):
    monkeypatch.setattr("launcher.local.workers.sys.executable", shutil.which("false"))
    worker = WorkerProcess(StudyFolder(tmp_path), "one", {}, more=more)
    assert worker.process.wait(60) == 1
    assert worker.ended() == 1
    assert not worker.lives
    assert not worker.give("two")
    worker.dismiss()


def test_a_process_that_runs_is_not_said_to_have_ended(tmp_path, monkeypatch):
    script = tmp_path / "runs"
    # what a bundle prints is in its log
    script.write_text("#!/bin/sh\necho ran $4; exec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setattr("launcher.local.workers.sys.executable", str(script))
    folder = StudyFolder(tmp_path)
    worker = WorkerProcess(folder, "one", {}, more=True)
    try:
        assert worker.ended() is None
        assert worker.lives
    finally:
        worker.process.kill()
        worker.process.wait()
    assert folder.bundle_log("one").read_text() in ("ran one\n", "")

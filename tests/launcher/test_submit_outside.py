"""submit with a tracker and a webhook: workers are told of both, the study's files of no secret."""

import json

import pytest

from launcher.local.pool import PoolOutcome
from launcher.study.claiming import release
from launcher.submit import main
from stilt.folder import StudyFolder, read_study
from stilt.records.failures import record_failure
from tests.support.webhook import webhook


@pytest.fixture
def submit(own_study, roberta, tmp_path, monkeypatch):
    """Submits the user's own study, with workers that do nothing but what a test says."""
    monkeypatch.setattr("launcher.watch.outside.find_spec", lambda name: name)

    def submit(*flags, run):
        def ran(pool):
            release(pool.folder, pool.settings.submission, pool.costs)
            return run(pool)

        monkeypatch.setattr("launcher.submission.Pool.run", ran)
        grid = ["--grid", str(own_study / "own.toml"), "--data-dir", str(own_study / "data")]
        places = ["--model", str(roberta), "--root", str(tmp_path / "logs")]
        arguments = [*grid, *places, "--executor", "local", *flags]
        monkeypatch.setattr("sys.argv", ["submit.py", *arguments])
        return main()

    return submit


def test_workers_are_told_of_the_tracker_and_the_webhook_of_failure_and_end(
    submit, tmp_path, capsys
):
    folder = StudyFolder(tmp_path / "logs/own")
    without = submit(run=lambda pool: PoolOutcome())
    ids = set(read_study(folder).cells)

    def run(pool):
        first = next(iter(pool.study.cells))
        record_failure(pool.study, pool.folder, first, "oom", "no memory")
        return PoolOutcome(failed=[first])

    with webhook() as hook:
        assert submit("--tracker", "trackio", "--notify", hook.url, run=run) == 1
        assert len(hook.texts) == 2
        assert "failed (oom), the first of this submit" in hook.texts[0]
        assert hook.texts[1] == "study own has ended: 0 of 8 cells done, 1 failed"
        told = submit(f"notify={hook.url}", run=lambda pool: PoolOutcome(interrupted=True))
        assert told == 130 and hook.texts[2].startswith("study own was interrupted")
        assert submit(run=run) == 1 and len(hook.texts) == 3
    assert without == 0 and set(read_study(folder).cells) == ids
    settings = [json.loads(path.read_text())["settings"] for path in folder.bundles.glob("*.json")]
    assert {s["tracker"] for s in settings} == {None, "trackio"}
    assert any("--notify URL" in s["command"] for s in settings)
    files = [path for path in folder.path.rglob("*") if path.is_file()]
    assert not [path for path in files if b"s3cret" in path.read_bytes()]
    assert "It goes on with: " in (said := capsys.readouterr().out) and "s3cret" not in said


def test_an_address_that_is_none_is_refused_before_anything_is_written(submit, tmp_path, capsys):
    assert submit("--notify", "slack", run=None) == 2
    assert "error: --notify: a webhook's address is expected" in capsys.readouterr().err
    assert not (tmp_path / "logs").exists()

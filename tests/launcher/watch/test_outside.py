"""What status shows of trackers and messages, and what a submit refuses of them."""

import json
import sys

import pytest

from launcher.flags import Outside
from launcher.status import main as status
from launcher.watch.outside import require_usable
from stilt.errors import ConfigError
from stilt.folder import StudyFolder
from stilt.records.notices import ask_for, tell
from tests.support.fake_study import TINY, make_study
from tests.support.webhook import webhook


@pytest.fixture
def folder(tmp_path, monkeypatch):
    make_study(tmp_path / "logs/tiny", grid=TINY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return StudyFolder(tmp_path / "logs/tiny")


def shown(capsys, *flags):
    assert status(["tiny", *flags]) == 0
    return capsys.readouterr().out


def test_a_study_without_them_shows_nothing_of_them(folder, capsys):
    said = shown(capsys)
    assert "tracker" not in said and "told" not in said


def test_status_says_where_the_runs_of_each_tracker_lie_and_how_to_look_at_them(folder, capsys):
    for place in ("tensorboard/one", "tensorboard/two", "trackio", "wandb/offline-run-1-a"):
        (folder.tracking / place).mkdir(parents=True)
    (folder.tracking / "wandb/latest-run").symlink_to("offline-run-1-a")
    said = shown(capsys)
    place = "logs/tiny/tracking"
    assert (
        f"tracker tensorboard: 2 runs in {place}/tensorboard; look: "
        f"tensorboard --logdir {place}/tensorboard\n"
    ) in said
    assert f"tracker trackio: {place}/trackio; look: TRACKIO_DIR={place}/trackio" in said
    assert f"tracker wandb: 1 run in {place}/wandb; look: wandb sync {place}/wandb" in said
    table = json.loads(shown(capsys, "--json"))
    assert [(t["tracker"], t["runs"]) for t in table["trackers"]] == [
        ("tensorboard", 2),
        ("trackio", None),
        ("wandb", 1),
    ]


def test_status_says_whom_it_will_tell_what_was_told_and_what_did_not_arrive(folder, capsys):
    with webhook() as hook:
        ask_for(folder, hook.url, "local-1")
        assert "127.0.0.1 will be told when a run first fails and when all" in shown(capsys)
        hook.status = 404
        tell(folder, "failed", "one failed")
        hook.status = 200
        tell(folder, "ended", "all ended")
    said = shown(capsys)
    assert "could not tell 127.0.0.1 at " in said
    assert "(HTTP Error 404: Not Found): one failed\n" in said
    assert ": all ended\n" in said and "told 127.0.0.1 at " in said
    assert "will be told" not in said and "s3cret" not in said
    table = json.loads(shown(capsys, "--json"))
    assert [notice["text"] for notice in table["notices"]] == ["one failed", "all ended"]


def test_a_tracker_that_is_not_installed_is_refused_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr("launcher.watch.outside.find_spec", lambda name: None)
    expected = f"--tracker wandb: its package .* {sys.executable} -m pip install wandb$"
    with pytest.raises(ConfigError, match=expected):
        require_usable(Outside(tracker="wandb"))
    monkeypatch.setattr("launcher.watch.outside.find_spec", lambda name: name)
    require_usable(Outside(tracker="wandb", notify="https://example.org/x"))

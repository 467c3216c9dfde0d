"""A webhook is told each thing once, and whatever it answers fails nothing."""

import socket
import stat

import pytest

from stilt.errors import ConfigError
from stilt.folder import StudyFolder
from stilt.records.failures import record_failure
from stilt.records.notices import ask_for, asked, ending, forget, host_of, notices, tell
from tests.support.fake_study import TINY, make_study
from tests.support.webhook import webhook


@pytest.fixture
def hook():
    with webhook() as made:
        yield made


@pytest.fixture
def folder(tmp_path):
    return StudyFolder(tmp_path / "tiny")


def test_each_event_of_a_submit_is_told_once_and_of_the_next_again(folder, hook):
    ask_for(folder, hook.url, "local-1")
    for _ in range(3):
        tell(folder, "failed", "one failed")
    tell(folder, "ended", "all ended")
    tell(folder, "ended", "all ended")
    assert hook.texts == ["one failed", "all ended"]
    ask_for(folder, hook.url, "local-2")
    tell(folder, "failed", "another failed")
    assert hook.texts[2:] == ["another failed"]
    told = [(n.submission, n.event, n.host, n.problem) for n in notices(folder)]
    assert sorted(told) == [
        ("local-1", "ended", "127.0.0.1", None),
        ("local-1", "failed", "127.0.0.1", None),
        ("local-2", "failed", "127.0.0.1", None),
    ]


def test_nobody_is_told_who_did_not_ask(folder, hook):
    tell(folder, "failed", "x")
    ask_for(folder, hook.url, "local-2")
    # the last job of an earlier submit
    tell(folder, "ended", "x", "local-1")
    assert not hook.texts and not notices(folder)


def test_the_address_is_for_its_owner_alone_and_gone_after_the_last_message(folder, hook):
    ask_for(folder, hook.url, "local-1")
    (path,) = folder.notices.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    tell(folder, "failed", "x")
    assert asked(folder).url == hook.url
    tell(folder, "ended", "x")
    assert asked(folder) is None
    assert not [p for p in folder.notices.iterdir() if "s3cret" in p.read_text()]


def test_a_webhook_that_refuses_or_is_not_there_fails_nothing_and_is_told(folder, hook):
    hook.status = 500
    ask_for(folder, hook.url, "local-1")
    tell(folder, "failed", "x")
    assert "HTTP Error 500" in notices(folder)[0].problem
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    ask_for(folder, f"http://127.0.0.1:{port}/", "local-2")
    tell(folder, "ended", "x")
    assert "Connection refused" in next(n for n in notices(folder) if n.event == "ended").problem


def test_a_webhook_that_never_answers_is_waited_for_a_while_only(folder, monkeypatch):
    monkeypatch.setattr("stilt.records.notices.SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ask_for(folder, f"http://127.0.0.1:{silent.getsockname()[1]}/", "local-1")
        tell(folder, "ended", "x")
    assert "timed out" in notices(folder)[0].problem


def test_a_damaged_address_or_a_folder_that_cannot_be_written_fails_nothing(
    folder, hook, monkeypatch
):
    ask_for(folder, hook.url, "local-1")

    def full(*what, **how):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("stilt.records.notices.create_text", full)
        tell(folder, "failed", "x")
    for damage in ("{", "[]", '{"url": "nowhere", "submission": "local-1"}', "\x00"):
        (folder.notices / "webhook.json").write_text(damage)
        tell(folder, "failed", "x")
    assert not hook.texts and not notices(folder)


def test_why_a_message_did_not_arrive_never_shows_the_address(folder, hook):
    ask_for(folder, f"{hook.url} and more", "local-1")
    tell(folder, "ended", "x")
    assert notices(folder)[0].problem == "InvalidURL"


def test_the_first_failure_is_told_without_its_message_which_may_quote_a_row(tmp_path, hook):
    study = make_study(tmp_path / "tiny", grid=TINY)
    folder = StudyFolder(tmp_path / "tiny")
    ask_for(folder, hook.url, "local-1")
    first, second, *_ = study.cells
    record_failure(study, folder, first, "killed", "by signal 9")
    assert hook.texts == []
    record_failure(study, folder, second, "data", "row 3: 'the patient'")
    record_failure(study, folder, first, "killed", "by signal 9")
    (text,) = hook.texts
    assert text.startswith("study tiny: none → rte") and "patient" not in text
    assert "failed (data), the first of this submit" in text


def test_the_end_counts_what_is_done_and_what_failed(tmp_path):
    study = make_study(tmp_path / "tiny", grid=TINY)
    folder = StudyFolder(tmp_path / "tiny")
    gone = next(iter(study.cells))
    folder.result(gone).unlink()
    record_failure(study, folder, gone, "oom", "no memory")
    assert ending(study, folder) == "study tiny has ended: 15 of 16 cells done, 1 failed"


@pytest.mark.parametrize(
    "url", ["", "me@example.org", "ftp://example.org/x", "http://", "http://["]
)
def test_an_address_that_is_none_is_refused_without_showing_it(url):
    with pytest.raises(ConfigError, match="--notify: a webhook's address is expected"):
        host_of(url)


def test_a_submit_that_sent_nothing_takes_away_its_own_address_alone(folder):
    ask_for(folder, "https://example.org/x", "slurm-1")
    forget(folder, "slurm-2")
    assert asked(folder).submission == "slurm-1"
    forget(folder, "slurm-1")
    assert asked(folder) is None

"""Whether the Hub, or its mirror, answers."""

import socket

from launcher.checks.machine import hub_answers


def test_the_hub_is_not_looked_for_where_it_is_switched_off(monkeypatch):
    def never(*arguments, **options):
        raise AssertionError

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("socket.create_connection", never)
    assert not hub_answers()


def test_a_mirror_that_listens_is_found_and_one_that_does_not_is_not(monkeypatch):
    for name in ("HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        assert hub_answers()
    assert not hub_answers()

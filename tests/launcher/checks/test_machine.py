"""What this machine has."""

import importlib.metadata

from launcher.checks.machine import packages


def test_a_package_that_is_too_old_is_told_with_what_is_wanted(monkeypatch):
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "1.0" if name == "submitit" else real(name)
    )
    finding = packages()[-1]
    assert finding.state == "bad"
    assert "submitit 1.0 is not >=" in finding.seen

"""What this machine has."""

import importlib.metadata

import pytest

from launcher.checks import machine
from launcher.checks.machine import packages


def test_a_package_that_is_too_old_is_told_with_what_is_wanted(monkeypatch):
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "1.0" if name == "submitit" else real(name)
    )
    finding = packages()[-1]
    assert finding.state == "bad"
    assert "submitit 1.0 is not >=" in finding.seen


@pytest.mark.parametrize(
    ("recipe", "instructions", "states"),
    [
        ("fast", "avx2 avx512f", ["warning"]),
        ("fast", "avx2 avx512_bf16", ["ok"]),
        ("paper", "avx2", []),
    ],
)
def test_a_recipe_that_the_processor_has_no_instructions_for_is_warned_of(
    recipe, instructions, states, tmp_path, monkeypatch
):
    told = tmp_path / "cpuinfo"
    told.write_text(f"model name : made up\nflags : fpu {instructions} sse\n")
    monkeypatch.setattr(machine, "CPUINFO", told)
    monkeypatch.setattr(machine, "gpu_count", lambda: 0)
    assert [finding.state for finding in machine.precision(recipe)] == states


def test_a_processor_that_tells_nothing_is_not_judged(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "none")
    monkeypatch.setattr(machine, "gpu_count", lambda: 0)
    assert machine.precision("fast") == []

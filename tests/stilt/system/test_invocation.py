"""Commands are told as the person began hers, and can be begun where nothing is installed."""

import subprocess
import sys

import pytest

from stilt import __version__
from stilt.system.invocation import ROOT, again, recorded, spelled
from tests.test_architecture import SCRIPTS


@pytest.mark.parametrize(
    ("typed", "script", "status", "summarize"),
    [
        (
            ["py", "launcher/submit.py"],
            "launcher/submit.py",
            "py launcher/status.py",
            "py analysis/summarize.py",
        ),
        (
            ["v/py", "/a b/launcher/submit.py"],
            "/a b/launcher/submit.py",
            "v/py '/a b/launcher/status.py'",
            "v/py '/a b/analysis/summarize.py'",
        ),
        (
            ["py", "-m", "launcher.submit"],
            "/a/launcher/submit.py",
            "py -m launcher.status",
            "py -m analysis.summarize",
        ),
        (
            ["v/py", "v/stilt-submit"],
            "v/stilt-submit",
            "v/stilt-status",
            "v/stilt-summarize",
        ),
        (
            ["py", "-m", "pytest"],
            "/a/pytest/__main__.py",
            "python launcher/status.py",
            "python analysis/summarize.py",
        ),
    ],
)
def test_a_command_is_told_as_the_running_one_was_begun(
    typed, script, status, summarize, monkeypatch
):
    monkeypatch.setattr("sys.orig_argv", typed)
    monkeypatch.setattr("sys.argv", [script])
    assert (spelled("status"), spelled("summarize")) == (status, summarize)


def test_an_installed_command_that_the_shell_finds_is_told_by_its_name(tmp_path, monkeypatch):
    for name in ("stilt-submit", "stilt-status"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", [str(tmp_path / "stilt-submit")])
    assert spelled("status") == "stilt-status"
    assert again("submit", "submit.py --grid 'my grid.toml'") == (
        f"{tmp_path / 'stilt-submit'} --grid 'my grid.toml'".replace(f"{tmp_path}/", "")
    )


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["--notify", "https://x/y", "--grid", "a b"], "submit.py --notify URL --grid 'a b'"),
        (["--notify=https://x/y", "-n"], "submit.py --notify URL -n"),
        (["notify=https://x/y"], "submit.py --notify URL"),
        (["grid=notify", "--study", "notify"], "submit.py grid=notify --study notify"),
        (["--notify"], "submit.py --notify"),
    ],
)
def test_the_command_that_a_study_keeps_has_no_webhook_s_address(typed, kept, monkeypatch):
    monkeypatch.setattr("sys.argv", ["launcher/submit.py", *typed])
    assert recorded() == kept


@pytest.mark.parametrize("script", [*SCRIPTS, "jobs/synthesize.py"])
def test_a_script_whose_imports_fail_says_in_one_line_how_to_install(script, tmp_path):
    # -S: an interpreter without any installed package
    run = subprocess.run(
        [sys.executable, "-S", "-E", str(ROOT / script), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("error: No module named ")
    assert run.stderr.count("\n") == 1 and str(ROOT) in run.stderr


def test_version_tells_which_code_runs(tmp_path):
    run = subprocess.run(
        [sys.executable, str(ROOT / "launcher/doctor.py"), "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.startswith(f"stilt-lab {__version__} in {ROOT}, Python ")

"""The wheel works where there is no checkout: every file is in it, and its commands run."""

import os
import re
import shutil
import site
import subprocess
import sys
import venv
import zipfile

import pytest

from tests.support.fake_study import EIGHT_CELLS, make_study
from tests.test_architecture import COMMANDS, ROOMS, ROOT

pytestmark = pytest.mark.slow


def run(*command, folder, code=0):
    """Runs a program as a person would: nothing of the checkout is on its path."""
    mine = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, env=mine, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that no build folder is left in the checkout."""
    place = tmp_path_factory.mktemp("wheel")
    for part in ROOMS:
        shutil.copytree(
            ROOT / part, place / "copy" / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, place / "copy")
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", place, place / "copy"),
        folder=place,
    )
    (found,) = place.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Folder of the commands in a fresh environment that borrows this one's libraries."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False)
    python = place / "bin/python"
    run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"),
        *("--no-index", wheel),
        folder=place,
    )
    (packages,) = place.glob("lib/python*/site-packages")
    # a .pth adds folders, and reads no .pth file of theirs: an editable checkout stays out
    (packages / "libraries.pth").write_text("\n".join(site.getsitepackages()))
    return python.parent


def test_every_file_of_every_package_is_in_the_wheel(wheel):
    named = zipfile.ZipFile(wheel).namelist()
    assert {name for name in named if ".dist-info/" not in name} == {
        path.relative_to(ROOT).as_posix()
        for part in ROOMS
        for path in (ROOT / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {f"{part}/py.typed" for part in ROOMS} <= set(named)
    assert any(name.endswith("licenses/LICENSE") for name in named)


def test_a_grid_is_planned_by_the_wheel_s_own_command(installed, tmp_path):
    assert {path.name for path in installed.glob("stilt-*")} == set(COMMANDS)
    submit = installed / "stilt-submit"
    assert f"in {installed.parent}" in run(submit, "--version", folder=tmp_path)
    said = run(
        submit,
        *("--grid", "paper", "--dry-run", "--executor", "local", "--root", tmp_path),
        folder=tmp_path,
    )
    assert "1593 cells" in said and "nothing was written" in said


def test_a_report_is_made_with_the_wheel_s_own_page_and_styles(installed, tmp_path):
    make_study(tmp_path / "logs/small", grid=EIGHT_CELLS)
    run(installed / "stilt-summarize", "small", folder=tmp_path)
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    table = page.partition("| file in ")[2].partition("## ")[0]
    written = {path.stem for path in (tmp_path / "logs/small/summary").iterdir()}
    assert written - {"cache"} == set(re.findall(r"`([\w-]{3,})(?:\.\w+)?`", table))
    assert "<img" in (tmp_path / "logs/small/summary/report.html").read_text(encoding="utf-8")

"""Studies whose results lie in docs/studies: anybody makes their tables again, without training."""

import zipfile
from pathlib import Path

import pytest

from analysis.read.copied import ACCOUNTING
from analysis.report.bundle import UNPACKED
from analysis.summarize import main
from stilt.folder import StudyFolder, read_study
from stilt.grid import load_grid
from stilt.records.finished import read_ending

STUDIES = Path(__file__).resolve().parents[1] / "docs" / "studies"
BUNDLES = sorted(STUDIES.glob("*/*.zip"))
TABLES = (".csv", ".json", ".md", ".tex")


def test_there_are_results():
    assert BUNDLES


@pytest.fixture(params=BUNDLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def bundle(request, tmp_path):
    """A bundle's file, and the folder that it was unpacked to."""
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path / UNPACKED)
    return request.param, StudyFolder(tmp_path / UNPACKED)


def test_the_tables_are_made_again_byte_for_byte(bundle, monkeypatch):
    _, folder = bundle
    before = {p.name: p.read_bytes() for p in folder.summary.iterdir() if p.suffix in TABLES}
    assert {"summary.md", "cells.csv", "differences.csv"} <= before.keys()
    for path in folder.summary.iterdir():
        # what SLURM's accounting said can be asked of one cluster alone
        if path.name != ACCOUNTING:
            path.unlink()
    sheet = (folder.path / "CHECKLIST.md").read_text(encoding="utf-8")
    (command,) = [line for line in sheet.splitlines() if line.startswith("    python")]
    monkeypatch.chdir(folder.path.parent)
    assert main(command.split()[2:]) == 0
    after = {p.name: p.read_bytes() for p in folder.summary.iterdir() if p.suffix in TABLES}
    assert after == before


def test_every_result_is_believed_and_of_the_grid_beside_it(bundle):
    path, folder = bundle
    study = read_study(folder)
    planned = load_grid(str(path.with_suffix(".toml")))
    assert study.grid.blocks == planned.blocks
    assert study.grid.evaluate == planned.evaluate
    names = {cell.id for cell in study.cells.values() if folder.result(cell.id).exists()}
    assert names == {file.stem for file in folder.results.iterdir()}
    for name in names:
        assert read_ending(study, folder, study.runs[name]) is not None

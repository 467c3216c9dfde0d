"""One report that several files look at."""

import pytest

from analysis.figures.pictures import write_figures
from analysis.read.collect import collect
from analysis.stats.degenerate import DEFAULT, degenerate
from stilt.folder import StudyFolder
from tests.support.fake_study import make_study
from tests.support.report_page import PROBLEMS, REPORT_GRID, built


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """A report with cells of every status, and with figures: (path, study, folder)."""
    folder = StudyFolder(tmp_path_factory.mktemp("logs") / "report")
    study = make_study(
        folder.path,
        grid=REPORT_GRID,
        missing=0.1,
        failed=0.1,
        diverged=0.15,
        degenerate=0.3,
        seed=3,
    )
    for failure in folder.failures.iterdir():
        log = folder.logs / f"{failure.stem}.log"
        log.parent.mkdir(exist_ok=True)
        log.write_text("what happened\n")
    cells = collect(folder, study).cells.with_columns(degenerate(DEFAULT))
    figures = write_figures(cells, study, folder.summary)
    return built(folder, study, figures=figures, problems=PROBLEMS), study, folder

"""Cells are independent: the order in which a process runs them changes no score."""

from jobs.bundle import run_bundle
from jobs.settings import Settings
from jobs.worker import Worker
from stilt.folder import StudyFolder, write_study
from stilt.grid import load_grid
from stilt.records.claims import new_claim, take
from stilt.records.finished import read_ending
from stilt.study import bind


def results(place, own, model, study, order):
    """What each of some cells ended with, run by one process in an order."""
    folder = StudyFolder(place)
    write_study(study, folder)
    settings = Settings(
        submission="local-1",
        data_dir=own / "data",
        cache=place / "cache",
        model=str(model),
        device="cpu",
        threads=1,
    )
    for cell in order:
        assert take(new_claim(cell, "local-1", "b"), folder.claim(cell))
    assert run_bundle(Worker(study, folder, settings), order) == 0
    found = {cell: read_ending(study, folder, study.runs[cell]) for cell in order}
    return {
        cell: (record.score, record.dev, record.training)
        for cell, record in found.items()
        if record
    }


def test_the_order_of_cells_changes_no_score(own_study, roberta, tmp_path):
    study = bind(load_grid(str(own_study / "own.toml")), "tiny", near=own_study)
    # of both tasks, so that heads and rows change between them
    cells = [cell.id for cell in study.cells.values() if cell.source_id is None]
    assert len({study.cells[cell].target for cell in cells}) == 2
    orders = cells, cells[::-1], cells[1:] + cells[:1]
    first, *others = (
        results(tmp_path / f"{place}", own_study, roberta, study, order)
        for place, order in enumerate(orders)
    )
    assert first.keys() == set(cells)
    for other in others:
        assert other == first

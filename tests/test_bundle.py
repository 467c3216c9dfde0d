"""A bundle in one process: what is tried again, what is recorded, and what goes on."""

import pytest
import torch

from jobs import bundle as bundles
from jobs.settings import Assignment, Settings
from jobs.worker import Worker
from stilt.claims import new_claim, take
from stilt.errors import DataError, ResultError
from stilt.failures import record_loss
from stilt.grid import load_grid
from stilt.plan import Bundle
from stilt.results import Failure, read_record, read_result
from stilt.study import StudyFolder, bind, write_study


@pytest.fixture
def work(own_study, roberta, tmp_path):
    """A worker, and an assignment of the two cells that start from none, both claimed."""
    grid = load_grid(str(own_study / "own.toml"))
    study = bind(grid, "tiny", near=own_study)
    folder = StudyFolder(tmp_path / "study")
    write_study(study, folder)
    cells = [c.id for c in study.cells.values() if (c.source, c.target) == ("none", "pairs")]
    settings = Settings(
        submission="local-1",
        data_dir=own_study / "data",
        cache=tmp_path / "cache",
        model=str(roberta),
        device="cpu",
        threads=1,
    )
    mine = Bundle(id="b", stage="target", items=tuple(cells), cost=1.0)
    for cell in cells:
        assert take(new_claim(cell, "local-1", "b"), folder.claim(cell))
    return Worker(study, folder, settings), Assignment(bundle=mine, settings=settings)


def with_room_for(monkeypatch, examples, cell):
    """A device on which one cell needs more memory than there is, beyond some examples a pass."""
    tried, real = [], bundles.run_cell

    def run_cell(worker, which, progress, *, chunk, attempt):
        if which.id == cell:
            tried.append(chunk)
            if chunk is None or chunk > examples:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return real(worker, which, progress, chunk=chunk, attempt=attempt)

    monkeypatch.setattr(bundles, "run_cell", run_cell)
    return tried


def test_what_runs_out_of_memory_is_tried_with_half_as_many_examples(work, monkeypatch):
    worker, assignment = work
    first, second = assignment.bundle.items
    tried = with_room_for(monkeypatch, 2, first)
    assert bundles.run_bundle(worker.folder, assignment, worker) == 0
    assert tried == [None, 4, 2]
    for cell in (first, second):
        folder, study = worker.folder, worker.study
        assert read_result(study.cells[cell], study.digest(), folder.result(cell)) is not None
        assert not folder.failure(cell).exists()
        assert not folder.claim(cell).exists()


def test_what_has_no_room_for_one_example_fails_alone(work, monkeypatch):
    worker, assignment = work
    first, second = assignment.bundle.items
    tried = with_room_for(monkeypatch, 0, first)
    assert bundles.run_bundle(worker.folder, assignment, worker) == 1
    assert tried == [None, 4, 2, 1]
    failure = read_record(Failure, worker.folder.failure(first))
    assert (failure.kind, failure.attempts) == ("oom", 1)
    assert worker.folder.result(second).exists()


@pytest.mark.parametrize(("deaths", "begins"), [(1, 4), (2, 2), (5, 1)])
def test_what_the_system_killed_for_its_memory_begins_with_smaller_steps(
    work, monkeypatch, deaths, begins
):
    worker, assignment = work
    first, _ = assignment.bundle.items
    for _ in range(deaths):
        record_loss(worker.study, worker.folder, first, "oom", "its job ended with OUT_OF_MEMORY")
    tried = with_room_for(monkeypatch, 8, first)
    assert bundles.run_bundle(worker.folder, assignment, worker) == 0
    assert tried == [begins]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "oom"),
        (RuntimeError("CUDA error: out of memory"), "oom"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "oom"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "oom"),
        (MemoryError(), "oom"),
        (RuntimeError("CUDA error: uncorrectable ECC error encountered"), "node"),
        (RuntimeError("CUDA error: device-side assert triggered"), "bug"),
        (RuntimeError("shapes do not match"), "bug"),
        (DataError("rte: no rows"), "data"),
        (ResultError("source cola has no result"), "source"),
    ],
)
def test_an_error_belongs_to_the_class_that_says_what_to_do_about_it(error, kind):
    assert bundles.classify(error) == kind


def test_what_breaks_the_device_by_itself_is_recorded_and_the_process_ends(work, monkeypatch):
    worker, assignment = work
    first, second = assignment.bundle.items

    def run_cell(worker, which, *rest, **more):
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(bundles, "run_cell", run_cell)
    with pytest.raises(bundles.DeviceFault) as fault:
        bundles.run_bundle(worker.folder, assignment, worker)
    assert (fault.value.item, fault.value.kind) == (first, "bug")
    assert worker.folder.claim(second).exists()

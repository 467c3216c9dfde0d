"""One run: weights that stop being numbers end it as diverged; what was interrupted counts."""

import pytest

from jobs.run_cell import run_cell
from jobs.settings import Settings
from jobs.worker import Attempt, Worker
from stilt.folder import StudyFolder, write_study
from stilt.grid import load_grid
from stilt.records.finished import read_ending
from stilt.records.results import Result, write_record
from stilt.study import bind
from stilt.system.interrupt import Interrupted


@pytest.fixture
def run(own_study, roberta, tmp_path):
    """Runs the cell that fine-tunes on ``pairs`` (24 rows, batches of 8) from none."""

    def run(
        *, rate: float, epochs: int = 2, batch: int = 8, curve: bool = False, stops: int = 0
    ) -> Result:
        task, grid = own_study / "pairs.toml", own_study / "own.toml"
        task.write_text(task.read_text().replace("epochs = 2", f"epochs = {epochs}"))
        text = grid.read_text().replace("learning_rate = [1e-3]", f"learning_rate = [{rate:e}]")
        text = text.replace("batch_size = [8]", f"batch_size = [{batch}]")
        grid.write_text(f"curve = {str(curve).lower()}\n{text}")
        study = bind(load_grid(str(grid)), "tiny", near=own_study)
        folder = StudyFolder(tmp_path / "study")
        write_study(study, folder)
        settings = Settings(
            submission="local-1",
            data_dir=own_study / "data",
            cache=tmp_path / "cache",
            model=str(roberta),
            device="cpu",
            threads=1,
        )
        cell = next(c for c in study.cells.values() if (c.source, c.target) == ("none", "pairs"))
        worker = Worker(study, folder, settings)

        def stop(done, total):
            worker.stop.signal = 10

        for _ in range(stops):
            with pytest.raises(Interrupted):
                run_cell(worker, Attempt(cell.id), stop)
            worker.stop.signal = None
        result = run_cell(worker, Attempt(cell.id), lambda done, total: None)
        write_record(result, folder.result(cell.id))
        assert read_ending(study, folder, study.runs[cell.id]) == result
        return result

    return run


@pytest.mark.parametrize("curve", [False, True])
def test_a_loss_that_overflows_ends_the_run(run, curve):
    result = run(rate=1e30, curve=curve)
    assert (result.status, result.score, result.dev) == ("diverged", None, None)
    # the first update ruins the weights, and the second one's loss tells
    assert result.training.updates == 2
    assert result.curve == ()
    assert result.majority == 0.5


def test_weights_that_the_last_update_ruins_are_not_scored(run):
    result = run(rate=1e30, epochs=1, batch=24)
    assert (result.status, result.score, result.dev) == ("diverged", None, None)
    assert result.training.updates == 1
    assert result.training.final_loss > 0


def test_weights_that_an_epochs_last_update_ruins_have_no_point_on_the_curve(run):
    result = run(rate=1e30, epochs=2, batch=24, curve=True)
    assert result.status == "diverged"
    assert [(point.epoch, point.score) for point in result.curve] == [(1, None)]


def test_what_was_trained_before_an_interruption_counts(run, monkeypatch):
    took = iter(range(0, 10**6, 10))
    monkeypatch.setattr("stilt.training.spent.time.perf_counter", lambda: float(next(took)))
    result = run(rate=1e-3, epochs=1, stops=2)
    assert (result.status, result.provenance.attempt) == ("ok", 3)
    # each reading of the clock is ten seconds after the one before
    assert result.timings.model_dump() == {"load": 30, "encode": 30, "train": 30, "evaluate": 10}

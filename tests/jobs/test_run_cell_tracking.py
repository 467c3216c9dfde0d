"""A tracker is told of a run, and whatever it does the run's result is the same."""

import random

import pytest
import torch
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker

from jobs.run_cell import run_cell
from jobs.settings import Settings
from jobs.worker import Attempt, Worker
from stilt.folder import StudyFolder, write_study
from stilt.grid import load_grid
from stilt.study import bind


class Notes(GeneralTracker):
    """Notes what it is told, and spoils the random state each time; fails where it is asked to."""

    name = "trackio"
    requires_logging_directory = False
    made: list = []  # noqa: RUF012 - what a test looks at
    fails_at = ""
    error = RuntimeError("server\nnot found")

    def __init__(self, run_name, **settings):
        super().__init__()
        self.run_name, self.settings, self.config, self.logged, self.ended = (
            run_name,
            settings,
            {},
            [],
            0,
        )
        Notes.made.append(self)

    @property
    def tracker(self):
        return self

    def _at(self, place):
        torch.manual_seed(random.randrange(10**6))
        torch.rand(3)
        if place == Notes.fails_at:
            raise Notes.error

    def start(self):
        self._at("start")

    def store_init_configuration(self, values):
        self.config = values
        self._at("config")

    def log(self, values, step=None, **more):
        self.logged.append((step, values))
        self._at("log")

    def finish(self):
        self.ended += 1
        self._at("finish")


@pytest.fixture
def notes(monkeypatch):
    for name in ("TRACKIO_DIR", "WANDB_MODE", "WANDB_CONSOLE", "WANDB_SILENT", "WANDB_DIR"):
        # put back after the test, whatever the code sets
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "trackio", Notes)
    monkeypatch.setattr(Notes, "made", [])
    return Notes


@pytest.fixture
def run(own_study, roberta, tmp_path):
    """Runs the cell that starts from none and is trained on ``pairs``: 6 updates."""
    study = bind(load_grid(str(own_study / "own.toml")), "tiny", near=own_study)
    folder = StudyFolder(tmp_path / "study")
    write_study(study, folder)
    cell = next(c for c in study.cells.values() if (c.source, c.target) == ("none", "pairs"))

    def run(tracker=None):
        settings = Settings(
            submission="local-1",
            data_dir=own_study / "data",
            cache=tmp_path / "cache",
            model=str(roberta),
            device="cpu",
            threads=1,
            tracker=tracker,
        )
        worker = Worker(study, folder, settings)
        result = run_cell(worker, Attempt(cell.id), lambda done, total: None)
        return result.cell, result.dev, result.training

    return run


def test_a_tracker_is_told_all_of_a_run_under_the_study_s_name(run, notes, tmp_path):
    cell, dev, training = run("trackio")
    (made,) = notes.made
    assert made.run_name == "own"
    assert made.settings["group"] == "none → pairs"
    assert made.settings["name"].startswith("none → pairs ") and cell.id in made.settings["name"]
    assert made.config["learning_rate"] == 1e-3 and made.config["id"] == cell.id
    *updates, (last, scores) = made.logged
    assert [step for step, _ in updates] == [1, 2, 3, 4, 5, 6] and last == 6
    assert [values["loss"] for _, values in updates] == [loss for _, loss in training.loss]
    norms = [values["gradient_norm"] for _, values in updates]
    assert norms == [norm for _, norm in training.gradient_norm]
    assert updates[0][1]["learning_rate"] == 1e-3 > updates[5][1]["learning_rate"] > 0
    assert (scores["dev_score"], scores["dev_loss"]) == (dev.score, dev.loss)
    assert made.ended == 1
    assert (tmp_path / "study/tracking/trackio").is_dir()


@pytest.mark.parametrize("fails_at", ["", "start", "config", "log", "finish"])
def test_whatever_a_tracker_does_the_result_is_the_same(run, notes, monkeypatch, fails_at, capsys):
    alone = run()
    monkeypatch.setattr(notes, "fails_at", fails_at)
    capsys.readouterr()
    assert run("trackio") == alone
    said = "tracker trackio: RuntimeError: server; the run goes on without it"
    assert capsys.readouterr().out.count(said) == bool(fails_at)
    if fails_at == "log":
        assert len(notes.made[0].logged) == 1


def test_a_tracker_that_exits_ends_nothing_else(run, notes, monkeypatch, capsys):
    monkeypatch.setattr(notes, "fails_at", "log")
    monkeypatch.setattr(notes, "error", SystemExit(3))
    assert run("trackio") == run()
    assert "tracker trackio: SystemExit: 3; the run goes on" in capsys.readouterr().out


def test_ctrl_c_in_a_tracker_is_for_the_run(run, notes, monkeypatch):
    monkeypatch.setattr(notes, "fails_at", "log")
    monkeypatch.setattr(notes, "error", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run("trackio")


def test_a_tracker_that_is_not_installed_is_told_once_and_the_run_goes_on(
    run, notes, monkeypatch, capsys
):
    class Absent(Notes):
        def start(self):
            import no_such_package  # noqa: F401

    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "wandb", Absent)
    assert run("wandb") == run()
    assert capsys.readouterr().out.count("ModuleNotFoundError: No module named") == 1


def test_tensorboard_has_one_run_for_each_cell(run, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    cell, dev, _ = run("tensorboard")
    (place,) = (tmp_path / "study/tracking/tensorboard").iterdir()
    assert place.name.endswith(cell.id) and not [p for p in place.iterdir() if p.is_dir()]
    events = EventAccumulator(str(place)).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4, 5, 6]
    assert events.Scalars("dev_score")[0].value == pytest.approx(dev.score)
    assert "config/text_summary" in events.Tags()["tensors"]

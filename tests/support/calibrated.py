"""A made-up calibration of a study: what it predicts can be reckoned by hand."""

from stilt.study import Study
from stilt.training.speed.calibration import (
    Calibration,
    Rates,
    Setting,
    TaskWork,
    Work,
    identity_of,
)

TRAIN = Rates(fixed=0.5, passes=0.1, positions=0.001, squares=0.0)
EVALUATE = Rates(fixed=0.0, passes=0.0, positions=0.0005, squares=0.0)
UPDATE = Work(passes=2, positions=800, squares=80_000)
"""Of a batch of 8: 0.5 + 2 x 0.1 + 800 x 0.001 = 1.5 seconds."""
ROW = Work(passes=0.01, positions=100, squares=10_000)
"""0.05 seconds."""


def setting(workers: int = 1, threads: int = 1, **changes) -> Setting:
    """One way of dividing the device."""
    fields = {
        "workers": workers,
        "threads": threads,
        "start": 10.0,
        "load": 2.0,
        "train": TRAIN,
        "evaluate": EVALUATE,
        "memory": 10**9,
        "timed": 20,
        "error": 0.03,
    }
    return Setting(**fields | changes)


def calibration_of(study: Study, place: str = "this machine: made up", **changes) -> Calibration:
    """A calibration of a study's model and tasks, each of 80 training rows and 40 dev rows."""
    tasks = {
        name: TaskWork(
            identity=identity_of(task), train=80, dev=40, tokens=50.0, updates={8: UPDATE}, row=ROW
        )
        for name, task in study.tasks.items()
    }
    fields = {
        "model": study.model_identity,
        "model_name": study.grid.model.name,
        "recipe": study.grid.recipe,
        "place": place,
        "device": "cpu",
        "host": "node1",
        "made": "2026-11-30T10:00:00+00:00",
        "versions": {},
        "capacity": 64 * 10**9,
        "settings": (setting(),),
        "tasks": tasks,
    }
    return Calibration(**fields | changes)

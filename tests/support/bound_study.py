"""A study of two targets and two sources, bound and not written, to change piece by piece."""

from stilt.grid import Grid
from stilt.study import bind

ROBERTA = "FacebookAI/roberta-large@722cf37b1afa9454edce342e7895e588b6ff1d59"
"""The identity of the paper's model."""
GRID = {
    "name": "g",
    "model": {"hub": "org/encoder", "revision": "0"},
    "blocks": [
        {
            "sources": ["none", "hellaswag", {"task": "hellaswag-p", "train_size": 2000}],
            "targets": ["rte", "cola"],
            "learning_rate": [1e-5],
            "batch_size": [8, 16],
            "warmup_ratio": [0.0],
            "seed": [12, 42],
        }
    ],
    "evaluate": [{"sources": ["none", "hellaswag"], "tasks": ["hellaswag-p"]}],
}
BLOCK = GRID["blocks"][0]


def study(identity="model", tasks=None, **changes):
    """The study with other fields of the grid, and other tasks where they are given."""
    bound = bind(Grid.model_validate(GRID | changes), identity)
    return bound.model_copy(update={"tasks": bound.tasks | tasks}) if tasks else bound


def block(**changes):
    """The grid's field of blocks, with other axes in its one block."""
    return {"blocks": [BLOCK | changes]}

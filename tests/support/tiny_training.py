"""Made-up rows and a made-up task, small enough that a test trains on them."""

import numpy as np
import torch

from stilt.cell import Hyperparameters
from stilt.data.encode import Encoded
from stilt.model.build import build
from stilt.task import Task
from stilt.training.runtime import make_accelerator
from stilt.training.team import Team

COMMON = {"max_length": 60, "data": [{"train": "a", "dev": "b"}], "title": "t"}
ALONE = Team(make_accelerator("cpu"))


def task(options=1, **more):
    kind = (
        {"kind": "multiple-choice", "text_a": "{a}", "choices": ["{b}"] * options}
        if options > 1
        else {"kind": "classification", "text_a": "{a}"}
    )
    labels = [str(i) for i in range(max(2, options))]
    return Task(**{"name": "t", "epochs": 2, "labels": labels, **kind, **COMMON, **more})


def encoded(rows=21, options=1, seed=0):
    random = np.random.default_rng(seed)
    lengths = random.integers(3, 60, rows * options)
    ids = random.integers(5, 200, lengths.sum()).astype(np.int32)
    offsets = np.cumsum([0, *lengths])
    ids[offsets[:-1]] = 0
    return Encoded(
        ids=ids,
        types=np.array([], np.int8),
        offsets=offsets,
        labels=random.integers(0, max(2, options), rows),
    )


def point(**changes):
    values = {"learning_rate": 1e-3, "batch_size": 8, "warmup_ratio": 0.2, "seed": 12}
    return Hyperparameters(**{**values, **changes})


def fresh(models, task, *, dropout=True):
    model = build(models.start(task, None, "keep"), 3)
    if not dropout:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            if hasattr(module, "dropout_prob"):
                module.dropout_prob = 0.0
        model.config.attention_probs_dropout_prob = 0.0
    return model

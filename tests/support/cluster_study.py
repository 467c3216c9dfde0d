"""A study for jobs of SLURM: model, data and a grid of a size that the test says, in one folder.

``own_study`` is the smaller one for tests in this process, ``fake_study`` writes made-up results
of the built-in tasks and runs nothing.
"""

import json
import random
from pathlib import Path

from tests.support.json_lines import write_jsonl
from tests.support.sentences import WORDS
from tests.support.tiny_encoder import letter_tokenizer, save_tiny_roberta


def make_study(
    folder: Path,
    *,
    sources: int = 3,
    targets: int = 2,
    seeds: int = 3,
    rows: int = 24,
    epochs: int = 1,
) -> Path:
    """Writes task files, rows and a grid of (sources + 1) x targets x 2 x seeds cells.

    Args:
        folder: where to; ``model`` in it is the model, ``data`` the rows.
        sources: intermediate tasks.
        targets: target tasks.
        seeds: training seeds of each point.
        rows: training rows of each task.
        epochs: epochs of the targets.

    Returns:
        The grid's file.
    """
    save_tiny_roberta(folder / "model", letter_tokenizer())
    for number in range(sources):
        _write_rows(folder / f"data/hard{number}", rows, number)
        (folder / f"hard{number}.toml").write_text(
            'kind = "multiple-choice"\ntext_a = "{a}"\nlabels = ["0", "1"]\n'
            'choices = ["{b}", "{c}"]\nepochs = 1\n'
            # tasks that differ in nothing but their rows would be one and the same
            f"max_length = {100 + number}\n"
            f'[[data]]\ntrain = "hard{number}/train.jsonl"\ndev = "hard{number}/dev.jsonl"\n'
        )
    for number in range(targets):
        _write_rows(folder / f"data/easy{number}", rows, 100 + number)
        (folder / f"easy{number}.toml").write_text(
            'kind = "classification"\ntext_a = "{a}"\ntext_b = "{b}"\nlabels = ["0", "1"]\n'
            f"max_length = {100 + number}\nepochs = {epochs}\n"
            f'[[data]]\ntrain = "easy{number}/train.jsonl"\ndev = "easy{number}/dev.jsonl"\n'
        )
    names = ["none", *(f"hard{number}" for number in range(sources))]
    grid = folder / "own.toml"
    grid.write_text(
        f"sources = {json.dumps(names)}\n"
        f"targets = {json.dumps([f'easy{number}' for number in range(targets)])}\n"
        "learning_rate = [1e-3]\nbatch_size = [8]\nwarmup_ratio = [0.0, 0.2]\n"
        f"seed = {list(range(1, seeds + 1))}\n"
        f'[model]\npath = "{folder / "model"}"\n[source]\nlearning_rate = 1e-3\n'
    )
    return grid


def _write_rows(folder: Path, count: int, seed: int) -> None:
    generator = random.Random(seed)
    for split, number in (("train", count), ("dev", 12)):
        rows = [
            {name: " ".join(generator.choices(WORDS, k=generator.randint(3, 8))) for name in "abc"}
            | {"label": str(index % 2)}
            for index in range(number)
        ]
        write_jsonl(folder / f"{split}.jsonl", rows)

"""A made-up task that can be learnt, 64 cells on it, and their runs in this process."""

import random
from pathlib import Path

from jobs.bundle import run_bundle
from jobs.settings import Settings
from jobs.worker import Worker
from stilt import define_study
from stilt.folder import read_study
from stilt.records.claims import new_claim, take
from tests.support.json_lines import write_jsonl
from tests.support.sentences import WORDS

COLOURS = ("red", "blue")


def make_certified_grid(folder: Path, model: Path, learning_rate: str) -> Path:
    """Writes a task whose label is the one colour in its text, and a grid of 16 cells a rate."""
    for split, count, seed in (("train", 96, 1), ("dev", 100, 2)):
        generator = random.Random(seed)
        rows = []
        for number in range(count):
            plain = [word for word in WORDS if word not in COLOURS]
            words = generator.choices(plain, k=generator.choice((3, 9)))
            words[generator.randrange(len(words))] = COLOURS[number % 2]
            rows.append({"a": " ".join(words), "label": str(number % 2)})
        write_jsonl(folder / f"data/colours/{split}.jsonl", rows)
    (folder / "colours.toml").write_text(
        'kind = "classification"\ntext_a = "{a}"\nlabels = ["0", "1"]\nmax_length = 40\n'
        'epochs = 3\n[[data]]\ntrain = "colours/train.jsonl"\ndev = "colours/dev.jsonl"\n'
    )
    grid = folder / "certified.toml"
    grid.write_text(
        f'sources = ["none"]\ntargets = ["colours"]\nlearning_rate = {learning_rate}\n'
        "batch_size = [16, 32]\nwarmup_ratio = [0.0, 0.1, 0.2, 0.3]\nseed = [1, 2]\n"
        f'[model]\npath = "{model}"\n'
    )
    return grid


def run_here(grid: Path, root: Path, data: Path, cache: Path) -> None:
    """Runs what a grid's study lacks in this process, as a worker runs a bundle."""
    folder = define_study(grid, root=root, data_dir=data)
    study = read_study(folder)
    missing = [cell for cell in study.cells if not folder.result(cell).exists()]
    for cell in missing:
        assert take(new_claim(cell, "local-1", "b"), folder.claim(cell))
    settings = Settings(
        submission="local-1",
        data_dir=data,
        cache=cache,
        model=str(study.grid.model.path),
        device="cpu",
        threads=1,
    )
    assert not missing or run_bundle(Worker(study, folder, settings), missing) == 0

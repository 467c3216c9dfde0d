"""A learnable made-up task, a grid of 64 cells on it, and its runs in this process."""

import random
from pathlib import Path

from jobs.bundle import run_bundle
from jobs.settings import Settings
from jobs.worker import Worker
from stilt import define_study
from stilt.folder import StudyFolder, read_study
from stilt.records.claims import new_claim, take
from tests.support.json_lines import write_jsonl
from tests.support.sentences import WORDS


def make_certified_grid(folder: Path, model: Path) -> Path:
    """Writes a task whose label is a word of its text, its rows, and a grid; returns the grid."""
    random_rows = random.Random(7)
    for split, count in (("train", 96), ("dev", 100)):
        rows = []
        for number in range(count):
            words = random_rows.choices(WORDS, k=random_rows.choice((3, 9)))
            label = number % 2
            words[random_rows.randrange(len(words))] = ("red", "blue")[label]
            words = [w for w in words if w != ("blue", "red")[label]]
            rows.append({"a": " ".join(words), "label": str(label)})
        write_jsonl(folder / f"data/colours/{split}.jsonl", rows)
    (folder / "colours.toml").write_text(
        'kind = "classification"\ntext_a = "{a}"\nlabels = ["0", "1"]\nmax_length = 40\n'
        'epochs = 3\n[[data]]\ntrain = "colours/train.jsonl"\ndev = "colours/dev.jsonl"\n'
    )
    grid = folder / "certified.toml"
    grid.write_text(
        'sources = ["none"]\ntargets = ["colours"]\nlearning_rate = [4e-3, 6e-3, 1e-2, 2e-2]\n'
        "batch_size = [16, 32]\nwarmup_ratio = [0.0, 0.1, 0.2, 0.3]\nseed = [1, 2]\n"
        f'[model]\npath = "{model}"\n'
    )
    return grid


def run_here(grid: Path, root: Path, data: Path, cache: Path) -> StudyFolder:
    """Runs every cell of a grid in this process, as a worker runs a bundle."""
    folder = define_study(grid, root=root, data_dir=data)
    study = read_study(folder)
    settings = Settings(
        submission="local-1",
        data_dir=data,
        cache=cache,
        model=study.grid.model.path,
        device="cpu",
        threads=1,
    )
    for cell in study.cells:
        assert take(new_claim(cell, "local-1", "b"), folder.claim(cell))
    assert run_bundle(Worker(study, folder, settings), list(study.cells)) == 0
    return folder

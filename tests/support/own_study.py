"""A user's own folder: tasks, data and a grid, as she would write them; the model is given apart.

For tests in this process. ``cluster_study`` makes a larger one with a model in it, for jobs.
"""

from pathlib import Path

from tests.support.json_lines import write_jsonl
from tests.support.sentences import sentence


def make_own_study(place: Path) -> Path:
    """A user's own folder: two targets, one source, a grid of 2 x 2 x 2 cells, and their data."""
    folder = place / "own"
    for split, count in (("train", 24), ("dev", 12)):
        write_jsonl(
            folder / f"data/pairs/{split}.jsonl",
            [
                {"a": sentence(i, 4 + i % 5), "b": sentence(i + 99), "label": str(i % 2)}
                for i in range(count)
            ],
        )
        write_jsonl(
            folder / f"data/endings/{split}.jsonl",
            [
                {
                    "ctx": sentence(i, 5),
                    "endings": [sentence(i * 7 + k, 3 + k) for k in range(3)],
                    "label": i % 3,
                }
                for i in range(count)
            ],
        )
    (folder / "pairs.toml").write_text(
        'kind = "classification"\ntext_a = "{a}"\ntext_b = "{b}"\nlabels = ["0", "1"]\n'
        "max_length = 40\nepochs = 2\n[[data]]\n"
        'train = "pairs/train.jsonl"\ndev = "pairs/dev.jsonl"\n'
    )
    (folder / "endings.toml").write_text(
        'kind = "multiple-choice"\ntext_a = "{ctx}"\nlabels = ["0", "1", "2"]\n'
        'choices = ["{endings[0]}", "{endings[1]}", "{endings[2]}"]\n'
        "max_length = 40\nepochs = 1\n[[data]]\n"
        'train = "endings/train.jsonl"\ndev = "endings/dev.jsonl"\n'
    )
    (folder / "own.toml").write_text(
        'sources = ["none", "endings"]\ntargets = ["pairs", "endings"]\n'
        "learning_rate = [1e-3]\nbatch_size = [8]\nwarmup_ratio = [0.0, 0.2]\nseed = [12]\n"
        '[model]\npath = "set on the command line"\n[source]\nlearning_rate = 1e-3\n'
    )
    return folder


def command(own: Path, roberta: Path) -> list[str]:
    """The submit of a user's own study."""
    return [
        *("--grid", str(own / "own.toml"), "executor=local", "--root", str(own / "logs")),
        *("--data-dir", str(own / "data"), "--model", str(roberta), "--workers", "2"),
        *("--bundles", "2"),
    ]

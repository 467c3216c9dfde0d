"""A grid and a task as a user writes them, to be changed piece by piece, and where they are put."""

from pathlib import Path

GRID_TEXT = """
sources = ["none", "hellaswag"]
targets = ["rte", "cola"]
learning_rate = [1e-5, 2e-5]
batch_size = [8]
warmup_ratio = [0.0, 0.2]
seed = [12]
[model]
hub = "org/encoder"
revision = "0123"
"""
"""2 sources x 2 targets x 4 configurations = 16 cells."""
TASK_TEXT = """
kind = "classification"
text_a = "{text}"
labels = ["no", "yes"]
max_length = 30
epochs = 2
[[data]]
train = "a.jsonl"
dev = "b.jsonl"
"""


def write_toml(folder: Path, text: str, name: str = "own") -> str:
    """Writes a file below a folder, which is made; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text)
    return str(path)

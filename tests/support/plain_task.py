"""A classification task of a few rows, as a table and as a task, for whatever needs just one."""

from stilt.task import Task

TABLE = {
    "name": "t",
    "title": "T",
    "kind": "classification",
    "text_a": "{a}",
    "labels": [["no", "0"], ["yes", "1"]],
    "max_length": 30,
    "epochs": 2,
    "data": [{"train": "train.jsonl", "dev": "dev.jsonl"}],
}


def plain_task(**changes) -> Task:
    """The task with some fields changed."""
    return Task(**TABLE | changes)

"""Rows as JSON lines."""

import json
from pathlib import Path


def write_jsonl(path: Path, rows: list[dict]) -> None:
    """Writes one object a line, and the folders above the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

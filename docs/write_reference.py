"""Writes docs/reference: every field of task, grid and cluster files, every column of results.

``python docs/write_reference.py``; a test compares.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.read.columns import CELLS, DESCRIBED, WIDE_COLUMNS
from launcher.watch.fields import Kind, page

FOLDER = Path(__file__).parent / "reference"
PAGES: dict[Kind, tuple[str, str]] = {
    "task": (
        "Task files",
        "One data set with its encoding, metric, epochs and lengths, in a TOML file beside the "
        "grid, in its `tasks` folder, or in a folder that `STILT_TASKS` names. A file of one's own "
        "wins over a built-in task of the same name. How to go about it: "
        "[Add a task](../tasks.md). On the command line: "
        "`python launcher/stage.py --fields task`.",
    ),
    "grid": (
        "Grid files",
        "The axes of a study, in a TOML file that `--grid` names by its path, or by its name where "
        "it lies in a folder of `STILT_GRIDS`. How to go about it: [Write a grid](../grids.md). On "
        "the command line: `python launcher/stage.py --fields grid`.",
    ),
    "cluster": (
        "Cluster files",
        "What each array element asks SLURM for: `cluster.toml` where you start, or in your user "
        "configuration folder, or what `--profile` names. Most fields are flags of `submit`, too, "
        "which win. Every field may be left out. On the command line: "
        "`python launcher/stage.py --fields cluster`.",
    ),
}


def pages() -> dict[Path, str]:
    """Each page's file and text."""
    fields = {FOLDER / f"{kind}.md": page(kind, *told) for kind, told in PAGES.items()}
    return {**fields, FOLDER / "cells.md": _cells()}


def _cells() -> str:
    """The page of the columns of all cells."""
    wide = " and ".join([", ".join(WIDE_COLUMNS[:-1]), WIDE_COLUMNS[-1]])
    rows = (f"| `{name}` | {kind} | {said} |" for name, (kind, said) in DESCRIBED.items())
    return f"""# Columns of a study's cells

`{CELLS}` in a study's `summary` folder has a row for each cell of the grid, in the grid's order,
whether it has ended or not. `cells.csv` has the same without {wide}. Types
are those of polars. What a result would have to tell is null where there is none.

| column | type | meaning |
|---|---|---|
{chr(10).join(rows)}
"""


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, text in pages().items():
        file.write_text(text, encoding="utf-8")

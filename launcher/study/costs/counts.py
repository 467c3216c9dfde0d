"""Cells counted by target and source."""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from itertools import product

from rich.table import Table

from stilt.study import Study
from stilt.system.console import new_table


def count_table(study: Study, kinds: Mapping[str, Container[str]]) -> Table:
    """Counts a study's cells by target and source.

    Args:
        study: the study.
        kinds: name of a kind -> ids of its cells; their numbers stand side by side.

    Returns:
        One row per target, or per source where these are more.
    """

    def count(some: Container[str]) -> Counter[tuple[str, str]]:
        cells = (cell for cell in study.cells.values() if cell.id in some)
        return Counter((cell.source, cell.target) for cell in cells)

    planned, counts = count(study.cells), [count(some) for some in kinds.values()]
    sources = list(dict.fromkeys(cell.source for cell in study.cells.values()))
    targets = list(dict.fromkeys(cell.target for cell in study.cells.values()))
    # the longer list runs down: names side by side are broken where a terminal is narrow
    down = len(sources) > len(targets)
    rows, columns = (sources, targets) if down else (targets, sources)

    def shown(row: Sequence[str], column: Sequence[str]) -> str:
        pairs = product(row, column) if down else product(column, row)
        some = [pair for pair in pairs if pair in planned]
        return "/".join(str(sum(c[pair] for pair in some)) for c in counts) if some else "-"

    table = new_table()
    table.add_column("source" if down else "target", no_wrap=True)
    parts = [*([column] for column in columns), columns]
    for name, part in zip([*columns, "all"], parts, strict=True):
        # a long name may be broken into lines, a number may not
        table.add_column(name, justify="right", overflow="fold", min_width=len(shown(rows, part)))
    for row in rows:
        table.add_row(row, *(shown([row], part) for part in parts))
    table.add_row("all", *(shown(rows, part) for part in parts), style="bold")
    return table

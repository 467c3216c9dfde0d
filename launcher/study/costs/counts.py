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
    """

    def count(some: Container[str]) -> Counter[tuple[str, str]]:
        cells = (cell for cell in study.cells.values() if cell.id in some)
        return Counter((cell.source, cell.target) for cell in cells)

    planned, counts = count(study.cells), [count(some) for some in kinds.values()]
    sources = list(dict.fromkeys(cell.source for cell in study.cells.values()))
    targets = list(dict.fromkeys(cell.target for cell in study.cells.values()))
    table = new_table()
    table.add_column("target", no_wrap=True)

    def shown(of: Sequence[str], on: Sequence[str]) -> str:
        pairs = [pair for pair in product(of, on) if pair in planned]
        return "/".join(str(sum(c[pair] for pair in pairs)) for c in counts) if pairs else "-"

    columns = [*([source] for source in sources), sources]
    for name, column in zip([*sources, "all"], columns, strict=True):
        # a long name may be broken into lines, a number may not
        table.add_column(
            name, justify="right", overflow="fold", min_width=len(shown(column, targets))
        )
    for target in targets:
        table.add_row(target, *(shown(column, [target]) for column in columns))
    table.add_row("all", *(shown(column, targets) for column in columns), style="bold")
    return table

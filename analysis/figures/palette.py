"""Colours, marks and names that all figures share, and how a figure is made and saved."""

import functools
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from analysis.tables.latex import COLUMN, PAGE
from stilt.cell import NONE
from stilt.system.files import replacing

STYLE = Path(__file__).with_name("stilt.mplstyle")

AXIS = 0.28
"""Inches: width of a y axis' numbers, or of its label, about."""
SHORTEST = 8
"""Characters of a name that are left at least."""

# Okabe and Ito, "Color Universal Design", 2008: told apart with every kind of colour vision.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#767676"

TARGETS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)
"""Colours where lines are targets; a thin line of yellow would not show on white paper."""
SOURCES = (BLUE, ORANGE, PURPLE, SKY, YELLOW, VERMILLION, BLACK)
"""Colours where marks are sources; ``none`` is grey. Green is left to the chance line."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Shapes beside the colours, so that a grey print tells as much."""
DASHES: tuple[Any, ...] = (
    "-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)),
    (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (2, 2)), (0, (8, 1.5, 1.2, 1.5)),
)  # fmt: skip


def colour_of_sources(names: Iterable[str]) -> dict[str, str]:
    """Colour of each source: grey for none, the others in turn."""
    turn = itertools.cycle(SOURCES)
    return {name: GREY if name == NONE else next(turn) for name in names}


def darker(colour: str) -> tuple[float, float, float]:
    """The colour with a quarter less light, so that an outline of yellow shows on white paper."""
    red, green, blue = to_rgb(colour)
    return 0.75 * red, 0.75 * green, 0.75 * blue


def in_turn(names: Iterable[str], values: Iterable[Any]) -> dict[str, Any]:
    """Gives each name one of the values, beginning anew when they are used up."""
    return dict(zip(names, itertools.cycle(values), strict=False))


def present(cells: pl.DataFrame, column: str) -> list[str]:
    """Values of a column in the order in which the grid names them."""
    return [str(value) for value in cells[column].unique(maintain_order=True).to_list()]


def short(names: Iterable[str], width: int) -> list[str]:
    """Cuts long names in the middle; those that would become equal get their place in the list.

    Args:
        names: any names.
        width: most characters of each, at least 8.
    """
    names = list(names)
    tail = width // 3
    cut = [n if len(n) <= width else f"{n[: width - tail - 1]}…{n[-tail:]}" for n in names]
    twice = {name for name, count in Counter(cut).items() if count > 1}
    return [
        f"{name[: width - 4]} ({place})" if name in twice else name
        for place, name in enumerate(cut, start=1)
    ]


def panel_titles(names: Iterable[str], width: float, across: int, less: float = 0.0) -> list[str]:
    """Cuts long names so that each fits above its panel, by the widths of its letters.

    Args:
        names: one for each panel.
        width: of the figure, in inches.
        across: panels side by side.
        less: inches of each panel's width that something else takes.
    """
    names = list(names)
    font = FontProperties(size=mpl.rcParams["axes.titlesize"])
    room = 72 * ((width - AXIS) / across - AXIS - less)  # in points
    for most in range(max(map(len, names), default=0), SHORTEST, -1):
        cut = short(names, most)
        if all(text_to_path.get_text_width_height_descent(n, font, False)[0] <= room for n in cut):
            return cut
    return short(names, SHORTEST)


def panels(
    names: Iterable[str],
    most: int,
    size: tuple[float, float],
    less: float = 0.0,
    *,
    sharex: bool = False,
    sharey: bool = False,
) -> tuple[Figure, list[Axes]]:
    """Makes a figure of panels with a title each, a page wide where a column is too narrow.

    Args:
        names: titles; those that are too long for their panel are cut.
        most: panels side by side; half as many fit in a column.
        size: inches: height of a panel, and of the rest of the figure.
        less: inches of each title's width that something else takes.
        sharex: whether all have one x axis.
        sharey: whether all have one y axis.
    """
    names = list(names)
    rows = math.ceil(len(names) / most)
    across = math.ceil(len(names) / rows)
    width = COLUMN if across <= most / 2 else PAGE
    figure = Figure(figsize=(width, size[0] * rows + size[1]), layout="constrained")
    drawn = figure.subplots(rows, across, squeeze=False, sharex=sharex, sharey=sharey)
    axes = list(drawn.flat)
    for ax in axes[len(names) :]:
        ax.set_axis_off()
    for ax, title in zip(axes, panel_titles(names, width, across, less), strict=False):
        ax.set_title(title, loc="left")
    return figure, axes[: len(names)]


@contextmanager
def looks() -> Iterator[None]:
    """Applies the style on top of matplotlib's defaults, whatever the user's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc_file(STYLE, use_default_template=False)
        yield


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Makes a drawing function use the style, and lays its figure out, once and for all."""

    @functools.wraps(draw)
    def inner(*args: Any, **kwargs: Any) -> Figure:
        with looks():
            figure = draw(*args, **kwargs)
            figure.draw_without_rendering()
            # each file would pay for the layout anew: most of the time of a figure of many panels
            figure.set_layout_engine("none")
            return figure

    return inner


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Writes a figure as PNG (300 dpi), PDF and SVG; the same figure gives the same bytes.

    Returns:
        The three paths.
    """
    undated: dict[str, dict[str, str | None]] = {
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
        "svg": {"Date": None, "Creator": None},
    }
    paths = []
    for kind, metadata in undated.items():
        path = folder / f"{name}.{kind}"
        with looks(), replacing(path) as temporary:
            figure.savefig(temporary, format=kind, metadata=metadata)
        paths.append(path)
    return paths

"""Draws docs/architecture.svg: every room, what it holds, and which rooms it imports.

    python docs/draw_architecture.py

Reads the table of rooms in tests/test_architecture.py, which the tests hold against the code, and
the first line of each room's docstring. An arrow that follows from others is left out.
"""

import ast
import sys
import textwrap
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.test_architecture import ROOMS  # noqa: E402 - the path comes first

DRAWING = ROOT / "docs" / "architecture.svg"
WIDTH, HEIGHT = 132, 62
"""Of a room's box, in pixels."""
ACROSS, DOWN = 14, 30
"""Between boxes."""
EDGE, TITLE = 16, 34
"""Of a part's frame, and the height of its title."""
COLOURS = {"launcher": "#e8f1fa", "jobs": "#fdf0e1", "analysis": "#e9f5ea", "stilt": "#f1f1f1"}
LINES = {"launcher": "#2b6cb0", "jobs": "#b7651b", "analysis": "#2f855a", "stilt": "#666666"}
SAYS = {
    "launcher": "on the login node",
    "jobs": "on the compute node",
    "analysis": "wherever the results are",
    "stilt": "what a study is: all others import it, it imports none of them",
}

Places = dict[str, tuple[float, float]]


def sign(part: str, room: str) -> str:
    """The first line of a room's docstring, without the command in it."""
    path = ROOT / part / room
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.splitlines()[0].partition(": ``")[0].rstrip(".:")


def is_folder(part: str, room: str) -> bool:
    """Whether a room is a folder rather than one module."""
    return (ROOT / part / room).is_dir()


def levels(part: str) -> dict[str, int]:
    """How far above the ground each room stands: one higher than the highest that it imports."""
    found: dict[str, int] = {}
    for room, needs in ROOMS[part].items():
        found[room] = 1 + max((found[need] for need in needs.split()), default=-1)
    return found


def arrows(part: str) -> list[tuple[str, str]]:
    """Pairs of rooms, the first importing the second, without those that others imply."""
    below: dict[str, set[str]] = {}
    found = []
    for room, text in ROOMS[part].items():
        needs = set(text.split())
        implied = set().union(*(below[need] for need in needs)) if needs else set()
        below[room] = needs | implied
        found += [(room, need) for need in sorted(needs - implied)]
    return found


def places(part: str, *, upwards: bool) -> Places:
    """Column and row of each room: levels are rows, or columns where the part lies flat."""
    height = levels(part)
    top = max(height.values())
    if part == "launcher":
        # the commands stand side by side, whatever they import
        height |= {room: top for room in ROOMS[part] if not is_folder(part, room)}
    rows: dict[int, list[str]] = {}
    for room, level in height.items():
        rows.setdefault(level, []).append(room)
    found: Places = {}
    widest = max(map(len, rows.values()))
    for level, rooms in rows.items():
        for place, room in enumerate(rooms):
            middle = place + (widest - len(rooms)) / 2
            found[room] = (middle, top - level) if upwards else (level, middle)
    return found


def panel(part: str, where: Places, left: int, top: int, width: int, height: int) -> list[str]:
    """One part: its frame, its arrows, its rooms."""
    colour = LINES[part]
    found = [
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="8" '
        f'fill="{COLOURS[part]}" stroke="none"/>',
        f'<text x="{left + EDGE}" y="{top + 23}" class="part" fill="{colour}">{part}/'
        f'<tspan class="says">  {SAYS[part]}</tspan></text>',
    ]
    corner = {
        room: (
            round(left + EDGE + column * (WIDTH + ACROSS)),
            round(top + TITLE + row * (HEIGHT + DOWN)),
        )
        for room, (column, row) in where.items()
    }
    for room, need in arrows(part):
        (x, y), (to_x, to_y) = corner[room], corner[need]
        if y < to_y:
            start, end = (x + WIDTH / 2, y + HEIGHT), (to_x + WIDTH / 2, to_y)
        elif x > to_x:
            start, end = (x, y + HEIGHT / 2), (to_x + WIDTH, to_y + HEIGHT / 2)
        else:
            start, end = (x + WIDTH / 2, y), (to_x + WIDTH / 2, to_y + HEIGHT)
        found.append(
            f'<line x1="{start[0]:g}" y1="{start[1]:g}" x2="{end[0]:g}" y2="{end[1]:g}" '
            f'stroke="{colour}" stroke-opacity="0.55" marker-end="url(#{part})"/>'
        )
    for room, (x, y) in corner.items():
        name = f"{room}/" if is_folder(part, room) else f"{room}.py"
        found.append(
            f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="white" '
            f'stroke="{colour}" stroke-width="{1.6 if is_folder(part, room) else 0.8}"/>'
        )
        found.append(f'<text x="{x + 8}" y="{y + 16}" class="room">{name}</text>')
        for line, text in enumerate(textwrap.wrap(sign(part, room), 24, max_lines=4)):
            found.append(
                f'<text x="{x + 8}" y="{y + 28 + 10 * line}" class="sign">{escape(text)}</text>'
            )
    return found


def size(where: Places) -> tuple[int, int]:
    """Width and height of a part's frame."""
    columns = 1 + max(column for column, _ in where.values())
    rows = 1 + max(row for _, row in where.values())
    return (
        round(2 * EDGE + columns * (WIDTH + ACROSS) - ACROSS),
        round(TITLE + EDGE + rows * (HEIGHT + DOWN) - DOWN),
    )


def drawing() -> str:
    """The whole picture, as SVG."""
    upper = {part: places(part, upwards=True) for part in ("launcher", "jobs", "analysis")}
    ground = places("stilt", upwards=False)
    height = max(size(where)[1] for where in upper.values())
    body: list[str] = []
    left = EDGE
    for part, where in upper.items():
        width = size(where)[0]
        body += panel(part, where, left, EDGE, width, height)
        left += width + EDGE
    wide, deep = size(ground)
    total = max(left, wide + 2 * EDGE)
    body += panel("stilt", ground, EDGE, 2 * EDGE + height, total - 2 * EDGE, deep)
    heads = "".join(
        f'<marker id="{part}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{colour}"/></marker>'
        for part, colour in LINES.items()
    )
    style = (
        "text{font-family:Helvetica,Arial,sans-serif}.part{font-size:16px;font-weight:bold}"
        ".says{font-size:11px;font-weight:normal}.room{font-size:12px;font-weight:bold;fill:#222}"
        ".sign{font-size:9px;fill:#444}"
    )
    bottom = 3 * EDGE + height + deep
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {bottom}" '
            f'width="{total}" height="{bottom}" role="img" '
            'aria-label="Rooms of the code and the imports between them">',
            f"<defs>{heads}<style>{style}</style></defs>",
            f'<rect width="{total}" height="{bottom}" fill="white"/>',
            *body,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    DRAWING.write_text(drawing(), encoding="utf-8")

"""A command as a person runs it, and what is wrong with how it ended."""

import io
import random
import re
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

LONGEST_LINE = 800
MOST_LINES = 60
LONGEST_SHOWN = 900
# stderr shows half a character by its code; stdout would not take it
CONTROL = {
    "out": re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"),
    "err": re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"),
}

FRAME = re.compile("[- ─│╭╮╰╯]{2,}")
"""What a box on a wide screen consists of."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int | None
    out: str
    err: str
    trace: str = ""
    """The traceback of what it let through."""


def ended(main: Callable[[Sequence[str]], int], arguments: Iterable[object]) -> Ended:
    """Runs a command's ``main`` in this process."""
    out, err = io.StringIO(), io.StringIO()
    code: int | None = None
    trace = ""
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 2
        except BaseException as error:  # noqa: BLE001 whatever it is, the case is told
            trace = "".join(traceback.format_exception(error)[-3:])
    return Ended(code, out.getvalue(), err.getvalue(), trace)


def complaints(end: Ended, *, named: Sequence[str] = ()) -> list[str]:
    """What a person would complain of; nothing where the command ended as it should.

    Args:
        end: how it ended.
        named: what the message of a mistake must name, each one.
    """
    if end.trace:
        return [f"let an error through: {end.trace[-700:]}"]
    found = []
    if end.code not in (0, 1, 2):
        found.append(f"ended with {end.code}")
    for name, text in (("out", end.out), ("err", end.err)):
        if "Traceback (most recent" in text and "made up" not in text:
            found.append(f"std{name} holds a traceback: {text[-300:]}")
        if hit := CONTROL[name].search(text):
            found.append(f"std{name} holds {hit[0]!r}: …{text[max(0, hit.start() - 90) :][:120]!r}")
    if end.code == 2:
        lines = [FRAME.sub(" ", line).strip() for line in end.err.splitlines()]
        longest = max(lines, key=len, default="")
        if not end.err.strip():
            found.append("ended with 2 without a word")
        if len(longest) > LONGEST_LINE:
            found.append(f"a line of {len(longest)} characters: {longest[:160]}…")
        if len(lines) > MOST_LINES:
            found.append(f"a message of {len(lines)} lines")
        found += [
            f"{name!r} is not named: {end.err[:300]}" for name in named if name not in end.err
        ]
    return found


def survey(seeds: Iterable[int], boundary: str, case: Callable[[random.Random], list[str]]) -> None:
    """Prints every complaint of many cases, a line each, and fails where there is one.

    Args:
        seeds: of the cases; each draws from a generator of its own.
        boundary: what is tried, in words: part of the seed, so that boundaries differ.
        case: makes one case and returns its complaints, the mistake first.
    """
    counted = [tell(boundary, seed, case(random.Random(f"{boundary} {seed}"))) for seed in seeds]
    if sum(counted):
        pytest.fail(f"{sum(counted)} complaints in {len(counted)} cases", pytrace=False)


def tell(boundary: str, seed: int, found: Iterable[str]) -> int:
    """Prints complaints of one case as they come; returns how many they are."""
    lines = [repr(f"{boundary} {seed}: {one}")[1:-1][:LONGEST_SHOWN] for one in found]
    for line in lines:
        print(line, flush=True)
    return len(lines)

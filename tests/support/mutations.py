"""Seeded mistakes: bad values, bad tables, bad bytes and bad files, each made of a good one.

Every function takes the generator that it draws from: a case is repeated by its seed alone.
"""

import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONG = 100_000
"""Characters of a text that is too long for any screen."""
DIGITS = 4_301
"""Digits of a whole number that Python does not convert."""


@dataclass(frozen=True)
class Raw:
    """Text that stands in a file as it is, where a value is expected."""

    text: str


@dataclass(frozen=True)
class Mutation:
    """A table, or a file's bytes, with one mistake in it."""

    what: str
    """The mistake, in words."""
    content: Any
    path: tuple[Any, ...] = ()
    """Keys and indices that lead to the changed value of a table."""
    value: Any = None
    """What stands there now."""

    @property
    def field(self) -> str:
        """The field that a message should name: the last name on the way to the value."""
        names = [part for part in self.path if isinstance(part, str)]
        return names[-1] if names else ""


STRINGS: tuple[str, ...] = (
    *("", " ", "\t", "x", "8", "1e-5", "nan", "true", "None", "null", "none", "label"),
    *("\x00", "a\x00b", "\x1b[31mred\x1b[0m", "\r", "a\nb", "\x1f", "\x7f", "\x85", "\u2028"),
    *(
        "\u202eback",
        "\ufeffbom",
        "é",
        "日本語",
        "🙂",
        "[bold]x[/bold]",
        "[/]",
        "<script>",
        "$x\\y%",
    ),
    *("../../x", "/etc/passwd", "..", ".", "/", "a/../b", "~", "-n", "--help", "a" * 300, "\\"),
    *("{", "}", "{}", "{0}", "{a", "{a!r}", "{a:>9}", "{a.__class__}", "{a[0]}", "{a[b]}"),
    *("{a.__init__.__globals__}", "{a:{b}}", "{{a}}", "{ }", "{a b}", "{sep}", "{label}", "%s"),
    *("w" * LONG, "{" * 1_000, "word " * 20_000),
)
NUMBERS: tuple[Any, ...] = (
    *(True, False, 0, -1, 1, 2, 1.5, -0.0, 0.1, 1e-320, 1e308, -1e308, 2**31, 2**53 + 1, 2**62),
    *(2**63, -(2**63) - 1, 10**30, math.nan, math.inf, -math.inf, Raw("9" * DIGITS)),
)


def _nested(depth: int) -> Raw:
    return Raw("[" * depth + "]" * depth)


COMPOUND: tuple[Any, ...] = (
    *([], {}, [[]], [{}], {"x": 1}, {"": ""}, [1, "a"], ["a", 1.5, True], [[[["a"]]]], ["a", "a"]),
    *([""], [0], [-1], [True], [math.nan], ["a" * LONG], list(range(300)), {"k" * LONG: 1}),
    *(_nested(50), _nested(5_000), [*"abcdefghijklmnopqrstuvwxyz0123456789+"]),
)
ONLY_JSON: tuple[Any, ...] = (
    *(None, [None], Raw('"\\ud800"'), Raw('{"a":1,"a":2}'), Raw("NaN"), Raw("-Infinity")),
    *(Raw("1e999"), Raw("01"), Raw("'a'"), Raw(""), Raw("tru"), Raw('{"x":' * 5_000 + "1")),
)
ONLY_TOML: tuple[Any, ...] = (
    *(Raw("1979-05-27T07:32:00Z"), Raw("07:32:00"), Raw("1979-05-27"), Raw("0x1F"), Raw("0b11")),
    *(Raw("1_000"), Raw("+1"), Raw("inf"), Raw("-nan"), Raw("'''a\nb'''"), Raw("'{a}'"), Raw("")),
    *(Raw("1e400"), Raw("{a = 1, a = 2}"), Raw("[1,,2]"), Raw('"open')),
)


def bad_value(rng: random.Random, more: tuple[Any, ...], good: Any = None) -> Any:
    """A value of any type; now and then a near miss of the good one."""
    if isinstance(good, str) and good and rng.random() < 0.15:
        place = rng.randrange(len(good))
        return good[:place] + rng.choice(("", "x", good[place] * 2)) + good[place + 1 :]
    if isinstance(good, (int, float)) and not isinstance(good, bool) and rng.random() < 0.15:
        return rng.choice((str(good), [good], -good, good + 0.5, good * 10**6))
    return rng.choice(rng.choice((STRINGS, NUMBERS, COMPOUND, more)))


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value within a table."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        yield (*path, key)
        if isinstance(inner, (dict, list)):
            yield from _places(inner, (*path, key))


def _at(table: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        table = table[part]
    return table


def mutated_table(rng: random.Random, table: Any, more: tuple[Any, ...]) -> Mutation:
    """A table with a wrong value, a field too few, too many or misspelt, or an entry twice.

    Args:
        rng: decides which.
        table: a valid one; it is not changed.
        more: values that only the table's format knows.
    """
    table = json.loads(json.dumps(table))
    path = rng.choice(list(_places(table)))
    inner, key = _at(table, path[:-1]), path[-1]
    chance = rng.random()
    if chance < 0.62:
        inner[key] = bad_value(rng, more, inner[key])
        return Mutation(f"{path} = {shown(inner[key])}", table, path, inner[key])
    if chance < 0.74:
        del inner[key]
        return Mutation(f"{path} deleted", table, path)
    if isinstance(inner, list):
        inner.insert(key, inner[key])
        return Mutation(f"{path} twice", table, path, inner[key])
    if chance < 0.87:
        near = rng.choice((key + "s", key[:-1], key.upper(), f" {key}", key.replace("_", "-"), ""))
        near = near if near not in inner else f"{key}x"
        inner[near] = inner.pop(key)
        return Mutation(f"{path} called {near!r}", table, (*path[:-1], near), inner[near])
    name = rng.choice(("note", "__proto__", "a.b", "é", "x" * LONG, "\x1b[1m", "0", key + "_"))
    inner[name] = bad_value(rng, more)
    return Mutation(f"{path[:-1]} gets {shown(name)}", table, (*path[:-1], name), inner[name])


def shown(value: Any) -> str:
    """A value as a report of a failed case shows it."""
    text = value.text if isinstance(value, Raw) else repr(value)
    return text if len(text) <= 60 else f"{text[:50]}… ({len(text)} characters)"


def json_text(value: Any) -> str:
    """JSON of a table that may hold ``Raw``."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{json_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    return json.dumps(value)


def toml_text(table: dict[str, Any]) -> str:
    """TOML of a table that may hold ``Raw``: a line for each field, inner tables within it."""
    return "".join(f"{_quoted(key)} = {_toml(value)}\n" for key, value in table.items())


def _toml(value: Any) -> str:
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float):
        return repr(value).replace("e-", "e-").lower()
    return json.dumps(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


INSERTED: tuple[bytes, ...] = (
    *(b"\x00", b"\x1b[2J", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\r", b"\n", b"\n\n", b"\t", b'"'),
    *(b",", b"{", b"}", b"[", b"\\", b"\x1f", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"w" * LONG),
    *(b"9" * DIGITS, b"[" * 5_000, b"NaN", b"-", b"0"),
)


def _flip(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]


def _insert(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.choice(INSERTED) + data[place:]


def _cut_out(rng: random.Random, data: bytes) -> bytes:
    first, last = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:first] + data[last:]


def _line_twice(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    return b"".join([*lines[:place], lines[place], *lines[place:]])


BYTES: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "a bit flipped": _flip,
    "some bits flipped": lambda rng, data: _flip(rng, _flip(rng, _flip(rng, data))),
    "cut off": lambda rng, data: data[: rng.randrange(len(data))],
    "a part cut out": _cut_out,
    "bytes put in": _insert,
    "a line twice": _line_twice,
    "empty": lambda rng, data: b"",
    "white space": lambda rng, data: rng.choice((b" ", b"\n", b"\r\n\t \n")),
    "zeros": lambda rng, data: bytes(len(data)),
    "noise": lambda rng, data: rng.randbytes(rng.choice((1, 100, len(data)))),
    "a mark of the byte order": lambda rng, data: b"\xef\xbb\xbf" + data,
    "CRLF": lambda rng, data: data.replace(b"\n", b"\r\n"),
    "UTF-16": lambda rng, data: data.decode("latin-1").encode("utf-16"),
    "Latin-1 in it": lambda rng, data: data.replace(b"e", b"\xe9", 1),
    "its end twice": lambda rng, data: data + data[rng.randrange(len(data)) :],
    "text behind it": lambda rng, data: data + rng.choice((b"x", b"{}\n", b"\x00", b"=\n", b'"')),
}


def mutated_bytes(rng: random.Random, data: bytes) -> Mutation:
    """A file's content after a disk, an editor or a copy has spoilt it."""
    what = rng.choice(list(BYTES))
    return Mutation(what, BYTES[what](rng, data))


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


FILES: dict[str, Callable[[Path], None]] = {
    "a folder": Path.mkdir,
    "a link to itself": _loop,
    "a link to nothing": _dangling,
    "a link to a device": lambda path: path.symlink_to("/dev/null"),
    "a link to its folder": lambda path: path.symlink_to("."),
}


def replace_file(rng: random.Random, path: Path) -> str:
    """Puts something in a file's place that is none; returns what, in words."""
    what = rng.choice(list(FILES))
    path.unlink()
    FILES[what](path)
    return what

"""What is said of an unknown name, and how messages quote what may be endless or unprintable."""

import pytest

from stilt.errors import (
    LONGEST,
    LONGEST_LINE,
    ConfigError,
    DataError,
    escaped,
    first_line,
    listed,
    printable,
    shown,
    unknown,
)


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        (
            "rtee",
            ["wic", "rte", "cola"],
            "unknown task 'rtee'. Did you mean 'rte'? Known: cola, rte, wic.",
        ),
        ("xyz", ["wic"], "unknown task 'xyz'. Known: wic."),
        ("xyz", [], "unknown task 'xyz'. Known: none."),
    ],
)
def test_an_unknown_name_is_told_with_what_was_meant_and_what_is_known(name, known, text):
    assert unknown("task", name, known) == text


def test_an_endless_unknown_name_and_endless_known_ones_are_cut():
    said = unknown("field", "x" * 100_000, ["y" * 100_000] * 100_000)
    assert said.startswith(f"unknown field '{'x' * 78}…. Known: yyy")
    assert said.endswith(" and 99900 more.")
    assert len(said) < 10_000


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "'plain'"),
        (7, "7"),
        (["a", 1], "['a', 1]"),
        ("x" * 100_000, f"'{'x' * 78}…"),
        ("red \x1b[31m\n", r"'red \x1b[31m\n'"),
        ("turned \u202e about", r"'turned \u202e about'"),
        ("\ud800", r"'\ud800'"),
        (10**5_000, "a number of thousands of digits"),
        (nested(100_000), "a value that is nested too deep"),
    ],
    ids=lambda value: ascii(value)[:20] if isinstance(value, str) else type(value).__name__,
)
def test_a_value_is_quoted_on_one_line_cut_and_without_control_characters(value, text):
    assert shown(value) == text


def test_text_within_a_message_is_cut_and_printable():
    assert printable("naïve 日本") == "naïve 日本"
    assert printable("a\tb\x00") == r"a\tb\x00"
    assert printable("x" * 200, 10) == "xxxxxxxxx…"
    assert printable("\x00" * 200, 10) == r"\x00\x00\…"


def test_only_so_many_names_are_listed():
    assert listed(["a", 2, "\n"]) == r"a, 2, \n"
    assert listed("abcde", 3) == "a, b, c and 2 more"


def test_what_is_to_be_kept_is_not_escaped():
    assert escaped("a\nb\r", keep="\n") == "a\nb\\r"


@pytest.mark.parametrize("kind", [ConfigError, DataError])
def test_no_message_of_ours_carries_control_characters_or_is_endless(kind):
    assert str(kind("a.toml: \x1b[2J\x07 is no name\n  second line")) == (
        "a.toml: \\x1b[2J\\x07 is no name\n  second line"
    )
    long = str(kind("begin " + "x" * 1_000_000 + " do this"))
    assert long.startswith("begin xxx")
    assert long.endswith("xxx do this")
    assert len(long) == LONGEST_LINE
    many = str(kind("begin\n" + "line\n" * 100_000 + "do this"))
    assert many.startswith("begin\nline\n")
    assert many.endswith("line\ndo this")
    assert len(many) == LONGEST


def test_the_first_line_of_a_librarys_message_is_printable():
    assert first_line(ValueError("no \x1b[1mfile\nand more")) == r"no \x1b[1mfile"
    assert first_line(ValueError()) == "ValueError()"

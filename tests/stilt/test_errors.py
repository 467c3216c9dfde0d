"""Mistakes in one line, with what was meant; exit codes; TOML read strictly."""

from stilt.system.command import exit_code

import errno
import os

import polars as pl
import pytest

from stilt.config import Frozen, parse, read_toml
from stilt.errors import ConfigError, DataError, ResultError, StiltError, unknown
from stilt.system.files import replacing


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


@pytest.mark.parametrize("code", [0, 1])
def test_a_commands_own_exit_code_is_kept(code):
    assert exit_code(lambda: code) == code


@pytest.mark.parametrize("kind", [ConfigError, DataError, ResultError, StiltError])
def test_a_mistake_is_one_line_on_stderr_and_exit_code_2(kind, capsys):
    def command():
        raise kind("a.toml: field 'x' = 5: not that.")

    assert exit_code(command) == 2
    assert capsys.readouterr() == ("", "error: a.toml: field 'x' = 5: not that.\n")


def test_a_permission_error_names_the_file(tmp_path, capsys):
    def command():
        raise PermissionError(13, "Permission denied", str(tmp_path))

    assert exit_code(command) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_an_interrupt_says_that_nothing_is_lost(capsys):
    def command():
        raise KeyboardInterrupt

    assert exit_code(command) == 130
    assert capsys.readouterr().err == (
        "interrupted; what is finished is kept, the same command goes on.\n"
    )


def test_a_bug_keeps_its_traceback():
    def command():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exit_code(command)


class Inner(Frozen):
    size: int


class Outer(Frozen):
    name: str
    ratio: float = 0.0
    inner: Inner | None = None
    parts: tuple[Inner, ...] = ()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "here: field 'name' is missing."),
        (
            {"name": "x", "nmae": "y"},
            "here: unknown field 'nmae'. Did you mean 'name'? Known: inner, name, parts, ratio.",
        ),
        (
            {"name": "x", "inner": {"size": 1, "sise": 2}},
            "here: field 'inner': unknown field 'sise'. Did you mean 'size'? Known: size.",
        ),
        (
            {"name": "x", "parts": [{"size": 1}, {"size": "big"}]},
            "here: field 'parts.1.size' = 'big': Input should be a valid integer, unable to parse "
            "string as an integer.",
        ),
        ({"name": "x", "inner": 5}, "here: field 'inner' = 5: a table is expected."),
        ({"name": "x", "parts": 5}, "here: field 'parts' = 5: a list is expected."),
        ({"name": 5}, "here: field 'name' = 5: a string is expected."),
        (
            {"name": "x", "ratio": float("nan")},
            "here: field 'ratio' = nan: Input should be a finite number.",
        ),
        (
            {"ratio": "x", "inner": {}},
            "here: field 'name' is missing. field 'ratio' = 'x': Input should be a valid number, "
            "unable to parse string as a number. field 'inner.size' is missing.",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_every_wrong_field_is_named_with_its_value_and_what_is_allowed(table, message):
    with pytest.raises(ConfigError) as caught:
        parse(Outer, table, "here")
    assert str(caught.value) == message


def test_a_record_cannot_be_changed():
    outer = parse(Outer, {"name": "x"}, "here")
    with pytest.raises(ValueError, match="frozen"):
        outer.name = "y"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = [", r"a\.toml: not valid TOML: .*\(at end of document\)\."),
        (b"a = 1\na = 2\n", r"a\.toml: not valid TOML: .*\(at line 2, column 6\)\."),
        (b"a = '\xff'", r"a\.toml: cannot be read \('utf-8' codec"),
    ],
)
def test_a_file_that_is_no_toml_is_refused_with_its_name_and_line(tmp_path, content, message):
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_toml(tmp_path / "a.toml")


def test_an_absent_file_or_a_folder_is_refused_with_its_name(tmp_path):
    with pytest.raises(ConfigError, match=r"a\.toml: no such file\."):
        read_toml(tmp_path / "a.toml")
    (tmp_path / "b.toml").mkdir()
    with pytest.raises(ConfigError, match=r"b\.toml: cannot be read \("):
        read_toml(tmp_path / "b.toml")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_disk_that_takes_no_more_is_one_line_with_the_file(number, capsys, tmp_path):
    def command():
        with replacing(tmp_path / "x.json"):
            # as ``write`` raises it, without a name
            raise OSError(number, os.strerror(number))

    assert exit_code(command) == 2
    assert capsys.readouterr().err.startswith(
        f"error: {tmp_path / 'x.json'}: {os.strerror(number)}. Free space there"
    )


def test_a_full_disk_is_known_from_a_librarys_own_exception_too(capsys, tmp_path):
    def command():
        with replacing(tmp_path / "x.parquet"):
            pl.DataFrame({"a": range(100_000)}).write_parquet("/dev/full")

    assert exit_code(command) == 2
    assert f"error: {tmp_path / 'x.parquet'}: No space left on device." in capsys.readouterr().err


def test_another_error_of_the_system_keeps_its_traceback():
    def command():
        raise OSError(errno.EBADF, "Bad file descriptor")

    with pytest.raises(OSError, match="Bad file"):
        exit_code(command)

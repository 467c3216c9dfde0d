"""A command's exit code, and mistakes in one line."""

from stilt.system.command import exit_code, run_command

import errno
import os

import polars as pl
import pytest

from stilt.errors import NO_PATH, ConfigError, DataError, ResultError, StiltError
from stilt.system.files import replacing


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


@pytest.mark.parametrize("number", NO_PATH)
def test_a_path_that_can_lead_nowhere_is_one_line_with_its_beginning(number, capsys):
    def command():
        raise OSError(number, os.strerror(number), "x\x1b" + "w" * 100_000)

    assert exit_code(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: x\\x1bwww") and line.endswith(f"…: {os.strerror(number)}.")
    assert len(line) < 400


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("a\x1b[2Jb", "argument 'a\\x1b[2Jb': a control character is not allowed."),
        ("a\nb", "argument 'a\\nb': a control character is not allowed."),
        ("\x85", "argument '\\x85': a control character is not allowed."),
        ("w" * 5_000, f"argument '{'w' * 78}…: 5000 characters, at most 700."),
    ],
)
def test_an_argument_that_no_screen_should_show_is_refused(argument, told, capsys):
    assert run_command(lambda name: 0, "submit", ["--name", argument]) == 2
    assert capsys.readouterr().err == f"error: {told}\n"


def test_a_name_of_any_script_is_an_argument():
    def command(name: str) -> int:
        return len(name)

    assert run_command(command, "submit", ["--name", "é\u00a0日本"]) == 4


def test_another_error_of_the_system_keeps_its_traceback():
    def command():
        raise OSError(errno.EBADF, "Bad file descriptor")

    with pytest.raises(OSError, match="Bad file"):
        exit_code(command)


def test_help_breaks_lines_where_the_terminal_ends_alone(monkeypatch, capsys):
    def command(*, often: int = 1) -> int:
        """Does something.

        Args:
            often: how often it is to be done, which takes more than one line of the source
                to say.
        """
        return often

    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit):
        run_command(command, "submit", ["--help"])
    assert "more than one line of the source to say." in capsys.readouterr().out

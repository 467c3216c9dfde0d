"""Output whose reader has enough ends a command's printing, and not the command."""

import subprocess
import sys

import pytest

CODE = """
import sys
from stilt.system.command import discard, while_read
{before}
    for _ in range(100_000):
        print("a line that fills the pipe")
{after}
sys.stderr.write("went on")
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("with while_read():", ""),
        ("try:", "except BrokenPipeError:\n    discard()\nprint('more')\nsys.stdout.flush()"),
    ],
    ids=["while_read", "discard"],
)
def test_a_command_goes_on_without_complaint_when_its_reader_has_gone(before, after):
    process = subprocess.Popen(
        [sys.executable, "-c", CODE.format(before=before, after=after)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "a line that fills the pipe\n"
    process.stdout.close()
    assert process.stderr.read() == "went on"
    process.stderr.close()
    assert process.wait() == 0


def test_a_command_whose_help_nobody_reads_leaves_no_traceback():
    code = (
        "import sys\nfrom stilt.system.command import exit_code\n"
        "def body():\n    for _ in range(100_000):\n        print('help')\n"
        "sys.exit(exit_code(body))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 1

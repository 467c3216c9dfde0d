"""Tab completes flags and values, of scripts and of installed commands, in bash and in zsh."""

from stilt.system.command import COMPLETION

import shutil
import subprocess
import sys

import pytest

from tests.test_architecture import COMMANDS, ROOT

ASK = {
    "bash": """
source {file}
ask() {{
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _stilt
    echo "${{COMPREPLY[@]}}"
}}
""",
    # as zsh's own bashcompinit calls it
    "zsh": """
source {file}
ask() {{
    local -a COMP_WORDS COMPREPLY
    local COMP_CWORD=$(($# - 1))
    COMP_WORDS=("$@")
    print -r -- ${{(f)"$(compgen -o default -F _stilt -- "${{@[-1]}}")"}}
}}
""",
}


def asked(shell, tmp_path, *lines):
    """What a shell offers where each line ends."""
    # as a person's environment has it: every command, and python itself
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, place in COMMANDS.items():
        module, function = place.split(":")
        (bin_ / name).write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
            f"from {module} import {function}\nsys.exit({function}())\n"
        )
        (bin_ / name).chmod(0o755)
    for name in ("python", "python3"):
        (bin_ / name).write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (bin_ / name).chmod(0o755)
    text = ASK[shell].format(file=COMPLETION) + "".join(f"ask {line}\n" for line in lines)
    flags = ["-f"] if shell == "zsh" else ["--norc"]
    run = subprocess.run(
        [shell, *flags, "-c", text],
        cwd=ROOT,
        env={"PATH": f"{bin_}:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return [line.split() for line in run.stdout.splitlines()]


@pytest.mark.parametrize("shell", ASK)
def test_both_ways_to_begin_a_command_are_completed(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    found = asked(
        shell,
        tmp_path,
        "stilt-submit --ex",
        "stilt-submit --grid demo --executor ''",
        "python ./launcher/submit.py --grid demo --dry",
    )
    assert found == [["--executor", "--exclude"], ["local", "slurm"], ["--dry-run"]]


def test_a_status_has_two_words_more_and_other_programs_are_left_alone(tmp_path):
    found = asked(
        "bash", tmp_path, "python launcher/status.py w", "python own.py --ex", "python launch"
    )
    assert found == [["why"], [], []]


def test_every_command_is_registered_and_prints_the_file(capsys):
    from launcher.status import main

    assert main(["--completion"]) == 0
    said = capsys.readouterr().out
    assert said == COMPLETION.read_text(encoding="utf-8")
    (*_, registered) = said.split("complete -o default -F _stilt ")
    assert set(registered.replace("\\", "").split()) == {*COMMANDS, "python", "python3"}

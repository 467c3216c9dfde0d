"""How a person begins a command: told as she has begun the one that runs.

Scripts of a checkout, ``-m`` and installed commands, each with the interpreter or folder that she
named, so that what a message says to do next can be copied.
"""

import os
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""What holds the packages: a checkout, or the packages' folder of an installation."""
COMMANDS = {
    **dict.fromkeys(("cancel", "clean", "doctor", "stage", "status", "submit"), "launcher"),
    "summarize": "analysis",
    "synthesize": "jobs",
}
"""Each command, and the part that its script is in."""
INSTALLED = "stilt-"
"""What the names of installed commands begin with."""


def is_command(argument: str) -> bool:
    """Whether a process whose ``sys.argv[0]`` this is began as one of the commands."""
    begun = Path(argument).absolute()
    installed = begun.name.startswith(INSTALLED)
    return argument != "" and (installed or COMMANDS.get(begun.stem) == begun.parent.name)


def is_checkout() -> bool:
    """Whether this code lies in a checkout, where scripts can be begun by their paths."""
    return (ROOT / "setup.cfg").is_file()


def spelled(command: str) -> str:
    """Returns how a command such as ``status`` is begun, with the quotes that a shell wants."""
    part = COMMANDS[command]
    begun, typed = Path(sys.argv[0]), sys.orig_argv
    if not is_command(sys.argv[0]):
        # a worker or a notebook: its person began another program
        words = ["python", f"{part}/{command}.py"] if is_checkout() else [INSTALLED + command]
    elif begun.name.startswith(INSTALLED):
        words = [_shortest(begun.with_name(INSTALLED + command))]
    elif f"{begun.absolute().parent.name}.{begun.stem}" in typed:
        words = [_shortest(Path(typed[0])), "-m", f"{part}.{command}"]
    else:
        script = os.path.normpath(begun.parent / os.pardir / part / f"{command}.py")
        words = [_shortest(Path(typed[0])), script]
    return shlex.join(words)


def _shortest(program: Path) -> str:
    """A program's name alone where the shell finds this program by it; else as it is."""
    import shutil  # takes time to load, and most messages need it not

    found = shutil.which(program.name)
    return program.name if found and Path(found) == program.absolute() else str(program)


SECRET = "--notify"
"""The flag whose value is not kept."""


def recorded() -> str:
    """Returns this command as typed, as a study keeps it: program, then its arguments.

    A webhook's address is left out: a study may be published, and whoever has it can send.
    """
    words: list[str] = []
    for word in sys.argv[1:]:
        name, equals, _ = word.partition("=")
        if words and words[-1] == SECRET:
            words.append("URL")
        elif equals and name in (SECRET, SECRET.lstrip("-")):
            words += [SECRET, "URL"]
        else:
            words.append(word)
    return shlex.join([Path(sys.argv[0]).name, *words])


def again(command: str, record: str) -> str:
    """Returns how a command that a study has kept, see ``recorded``, is begun here."""
    _, _, arguments = record.partition(" ")
    return f"{spelled(command)} {arguments}".rstrip()

"""How studies stand: ``python launcher/status.py [STUDY] [--watch] [--json]``.

``status.py why CELL`` shows what went wrong with a cell or source, ``status.py tail CELL`` follows
its log; a cell is named by the start of its id, a source also by its name.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # as a script, it runs its own checkout's code, whatever is installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stilt.system.command import run_command

from collections.abc import Sequence

from tyro.conf import Positional


def status(
    study: Positional[str | None] = None,
    root: Path = Path("logs"),
    watch: bool = False,
    json: bool = False,
    every: float = 30.0,
) -> int:
    """Shows how a study stands, or all studies in a line each.

    Two more: "status.py why CELL" tells what went wrong with a cell or source and shows the end of
    its log; "status.py tail CELL" follows its log. The exit code is 1 if something has failed.

    Args:
        study: name of the study, or its folder; all below root by default.
        root: folder that holds studies.
        watch: look again and again until nothing runs or waits.
        json: print JSON instead, for programs.
        every: seconds between two looks.
    """
    # --help and a wrong flag do without all that looks at a study
    from launcher.watch.look import look_at

    return look_at(study, root, watch=watch, json=json, every=every)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in ("why", "tail"):
        from launcher.watch.story import tail, why  # as above

        verb = why if arguments[0] == "why" else tail
        return run_command(verb, "status", arguments[1:], arguments[0])
    return run_command(status, "status", arguments)


if __name__ == "__main__":
    sys.exit(main())

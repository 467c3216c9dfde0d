"""Runs what a study lacks: ``python launcher/submit.py --grid full``.

The same command again runs only what is missing.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # as a script, it runs its own checkout's code, whatever is installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stilt.system.command import run_command

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import tyro

from launcher.cluster.profile import Flags
from launcher.flags import Outside, Places, WorkFlags


def submit(
    grid: str,
    *,
    study: str | None = None,
    places: Annotated[Places, tyro.conf.arg(name="")],
    executor: Literal["local", "slurm"] = "slurm",
    from_: Annotated[tyro.conf.UseAppendAction[tuple[Path, ...]], tyro.conf.arg(name="from")] = (),
    dry_run: Annotated[bool, tyro.conf.arg(aliases=["-n"])] = False,
    revise: bool = False,
    work: Annotated[WorkFlags, tyro.conf.arg(name="")],
    outside: Annotated[Outside, tyro.conf.arg(name="")],
    profile: Path | None = None,
    cluster: Annotated[Any, tyro.conf.arg(name="", constructor=Flags)],
) -> int:
    """Runs every cell of a grid that has no result yet, sources before the targets that need them.

    Args:
        grid: name of a grid (full, demo, ...) or path of a TOML file.
        study: name of the study's folder below root; the grid's name by default.
        places: see ``Places``.
        executor: where to run: this machine's cores and GPUs, or SLURM job arrays.
        from_: also take results over from this study, or folder of studies; those below root are
            looked at anyway. Only results of the same cells and data are; may be repeated.
        dry_run: print what would run (slurm: and what sbatch would be given), and write nothing.
        revise: let cells of the study go, or become others, where the grid, a task or the model is
            no longer what it was; their results stay on disk. What only adds cells needs no flag.
        work: see ``WorkFlags``.
        outside: see ``Outside``.
        profile: TOML file of the cluster; ./cluster.toml or the user's own by default.
        cluster: slurm: what to ask the cluster for, where its profile is to be overridden.
    """
    # --help and a wrong flag do without all that a submit needs
    from launcher import submission

    return submission.submit(
        grid,
        study=study,
        places=places,
        executor=executor,
        from_=from_,
        dry_run=dry_run,
        revise=revise,
        work=work,
        outside=outside,
        profile=profile,
        cluster=cluster,
    )


def _with_dashes(arguments: Sequence[str]) -> list[str]:
    """Turns ``executor=local`` into ``--executor local``, so that both can be written."""
    found: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        plain = equals and name.replace("_", "").replace("-", "").isalpha()
        found += [f"--{name}", value] if plain and not name.startswith("-") else [argument]
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    arguments = _with_dashes(sys.argv[1:] if argv is None else argv)
    return run_command(submit, "submit", arguments)


if __name__ == "__main__":
    sys.exit(main())

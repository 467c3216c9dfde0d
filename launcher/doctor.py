"""Whether this machine and its cluster can run a grid: ``python launcher/doctor.py``.

One screen; each line that is not well says what to do.
"""

from stilt.system.command import run_command

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.table import Table
from rich.text import Text

from launcher.checks import cluster, machine
from launcher.checks.finding import BAD, MARK, WARN, Finding
from launcher.cluster.profile import read_profile
from launcher.study.resolve import Places, resolve_study
from stilt.errors import ConfigError, StiltError
from stilt.system.console import new_table, output

COLOUR = {"ok": "green", WARN: "yellow", BAD: "bold red"}


def doctor(
    *,
    grid: str | None = None,
    executor: Literal["auto", "local", "slurm"] = "auto",
    places: Annotated[Places, tyro.conf.arg(name="")],
    profile: Path | None = None,
) -> int:
    """Tells whether this machine and its cluster can run the grid; changes nothing.

    Args:
        grid: a grid to be run, for what it needs of disk, model and data.
        executor: where it is to run; auto takes slurm where there is an sbatch.
        places: see there.
        profile: TOML file of the cluster; ./cluster.toml or the user's own by default.
    """
    on_cluster = executor == "slurm" or (executor == "auto" and cluster.has_slurm())
    found = [*machine.packages(), *machine.folders(places.root, on_cluster=on_cluster)]
    found += [machine.hub(), machine.data_folder(places.data_dir)]
    parallel = None
    if on_cluster:
        answers = cluster.commands()
        found += answers
        try:
            settings = read_profile(profile)
        except ConfigError as error:
            found.append(Finding("profile", BAD, str(error), "mend that file"))
        else:
            parallel = settings.parallel
            if not any(finding.state == BAD for finding in answers):
                found += cluster.cluster(settings)
    else:
        if executor == "auto":
            found.append(Finding("SLURM", WARN, "no sbatch here", "only --executor local works"))
        found.append(machine.gpu())
    if grid is not None:
        found += _grid(grid, places, parallel)
    console = output()
    console.print(_table(found))
    bad = sum(finding.state == BAD for finding in found)
    warned = sum(finding.state == WARN for finding in found)
    noted = f", {warned} warnings" if warned else ""
    if bad:
        console.print(f"\n{bad} to be mended first{noted}.")
    else:
        following = f"python launcher/stage.py --grid {grid or 'full'}"
        console.print(f"\nReady{noted}. Next: {following}")
    return 1 if bad else 0


def _grid(grid: str, places: Places, parallel: int | None) -> list[Finding]:
    try:
        resolved = resolve_study(grid, places)
    except StiltError as error:
        return [Finding("grid", BAD, str(error), "mend that, or choose another grid or model")]
    return machine.grid_needs(resolved, parallel)


def _table(found: Sequence[Finding]) -> Table:
    table = new_table("what")
    table.add_column("", no_wrap=True)
    table.add_column("found", ratio=3)
    table.add_column("what to do", ratio=2)
    for finding in found:
        table.add_row(
            finding.what,
            Text(f"{MARK[finding.state]} {finding.state}", COLOUR[finding.state]),
            Text(finding.seen),
            Text(finding.remedy),
        )
    return table


main = partial(run_command, doctor, "python launcher/doctor.py")


if __name__ == "__main__":
    sys.exit(main())

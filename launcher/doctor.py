"""Whether this machine and its cluster can run a grid: ``python launcher/doctor.py``.

One screen; each line that is not well says what to do.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # as a script, it runs its own checkout's code, whatever is installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stilt.system.command import run_command

import shutil
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import tyro
from rich.table import Table
from rich.text import Text

from launcher.checks import cluster, machine
from launcher.checks.machine import Finding
from launcher.cluster.profile import read_profile
from launcher.flags import Places
from launcher.local.slots import shared_out
from launcher.study.costs.known import here, of_elements
from launcher.study.lookup import with_places
from launcher.study.resolve import resolve_study
from stilt.errors import ConfigError, StiltError
from stilt.model.hub import require_here
from stilt.system.console import new_table, output
from stilt.system.invocation import spelled
from stilt.system.units import counted

MARK_AND_COLOUR = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "bad": ("✗", "bold red")}
"""Mark and colour of a finding, by its state."""


def doctor(
    *,
    grid: str | None = None,
    executor: Literal["auto", "local", "slurm"] = "auto",
    places: Annotated[Places, tyro.conf.arg(name="")],
    profile: Path | None = None,
    measure: bool = False,
    on_cluster: bool = False,
) -> int:
    """Tells whether this machine and its cluster can run the grid; changes nothing.

    With --measure it times the grid's model instead, and keeps what planning reads.

    Args:
        grid: a grid to be run, for what it needs of disk, model and data.
        executor: where it is to run; auto takes slurm where there is an sbatch.
        places: see ``Places``.
        profile: TOML file of the cluster; ./cluster.toml or the user's own by default.
        measure: time training, scoring and loading of the grid's model on this machine, at its
            tasks' lengths and batch sizes, for some minutes; hours, time limits and budgets then
            rest on it.
        on_cluster: with --measure, as one short job with what cluster.toml asks for an element.
    """
    if measure or on_cluster:
        return _measure(grid, places, profile, measure=measure, on_cluster=on_cluster)
    on_slurm = executor == "slurm" or (executor == "auto" and shutil.which("sbatch") is not None)
    found = [*machine.packages(), *machine.written_folders(places.root, on_cluster=on_slurm)]
    hub = machine.hub()
    found += [hub, machine.local_data(places.data_dir)]
    parallel = None if on_slurm else machine.runs_at_a_time()
    if on_slurm:
        answers = cluster.commands()
        found += answers
        try:
            asked = read_profile(profile)
        except ConfigError as error:
            found.append(Finding("profile", "bad", str(error), "mend that file"))
        else:
            each = asked.workers_per_gpu * max(1, asked.element_gpus)
            parallel = each * asked.parallel if asked.parallel else None
            if not any(finding.state == "bad" for finding in answers):
                found += cluster.profile_fits(asked)
    else:
        if executor == "auto":
            found.append(
                Finding("SLURM", "warning", "no sbatch here", "only --executor local works")
            )
        found.append(machine.gpu())
    if grid is not None:
        try:
            resolved = resolve_study(grid, places)
            found += machine.grid_needs(resolved, parallel, online=hub.state == "ok")
            found += [] if on_slurm else machine.precision(resolved.study.grid.recipe)
        except StiltError as error:
            remedy = "mend that, or choose another grid or model"
            found.append(Finding("grid", "bad", str(error), remedy))
    console = output()
    console.print(_table(found))
    count = Counter(finding.state for finding in found)
    noted = f", {counted(count['warning'], 'warning')}" if count["warning"] else ""
    if count["bad"]:
        console.print(f"\n{count['bad']} to be mended first{noted}.")
        return 1
    flags = with_places(grid or ("full" if on_slurm else "demo"), places)
    following = f"{spelled('stage')} {flags}"
    if not on_slurm:
        following = f"{spelled('submit')} {flags} --executor local --dry-run"
    console.print(f"\nReady{noted}. Next: {following}", soft_wrap=True)
    return 0


def _measure(
    grid: str | None, places: Places, profile: Path | None, *, measure: bool, on_cluster: bool
) -> int:
    """Measures a grid's model; returns the exit code."""
    # submitit and what sends take a while to load
    from launcher.checks.measure import as_measuring, measure_here, measure_on_cluster, show
    from launcher.send.sender import require_slurm

    if not measure:
        raise ConfigError("--on-cluster: goes with --measure.")
    if grid is None:
        raise ConfigError("--measure: --grid says which model and tasks are measured.")
    resolved = resolve_study(grid, places)
    assert resolved.model is not None
    require_here(resolved.model)
    console, flags = output(), with_places(grid, places)
    if on_cluster:
        require_slurm()
        asked = read_profile(profile)
        job, log = measure_on_cluster(as_measuring(resolved, of_elements(asked)), asked)
        console.print(
            f"job {job} measures on {asked.place}. Its log: {log}\nOnce it has ended: "
            f"{spelled('submit')} {flags} --dry-run tells the hours.",
            soft_wrap=True,
        )
        return 0
    division = here(*shared_out(resolved.study.grid.processes))
    request = as_measuring(resolved, division)
    show(measure_here(request, console), console)
    console.print(
        f"Kept in {request.file}\nNext: {spelled('submit')} {flags} --executor local --dry-run",
        soft_wrap=True,
    )
    return 0


def _table(found: Sequence[Finding]) -> Table:
    table = new_table("what")
    table.add_column("", no_wrap=True)
    table.add_column("found", ratio=3)
    table.add_column("what to do", ratio=2)
    for finding in found:
        mark, colour = MARK_AND_COLOUR[finding.state]
        state = Text(f"{mark} {finding.state}", colour)
        table.add_row(finding.what, state, Text(finding.seen), Text(finding.remedy))
    return table


main = partial(run_command, doctor, "doctor")


if __name__ == "__main__":
    sys.exit(main())

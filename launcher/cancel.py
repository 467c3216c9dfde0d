"""Stops a study's jobs, or those of some cells: ``python launcher/cancel.py STUDY``.

What is done is kept; what runs saves its state, and the same submit goes on with it later.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # as a script, it runs its own checkout's code, whatever is installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stilt.system.command import run_command

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain, groupby
from typing import Annotated

import tyro
from rich.text import Text
from tyro.conf import Positional

from launcher.scheduler.live_claims import LiveClaims, read_live_claims
from launcher.scheduler.liveness import ClaimLiveness
from launcher.scheduler.stopping import cancel_jobs, stop_processes
from stilt.cell import NONE
from stilt.errors import ConfigError, unknown
from stilt.folder import find_study, read_study
from stilt.records import claims
from stilt.study import Study
from stilt.system.console import output
from stilt.system.invocation import spelled
from stilt.system.units import counted


def cancel(
    study: Positional[str],
    source: tuple[str, ...] = (),
    target: tuple[str, ...] = (),
    root: Path = Path("logs"),
    dry_run: Annotated[bool, tyro.conf.arg(aliases=["-n"])] = False,
) -> int:
    """Cancels the jobs of a study, or only those whose cells are all among the named ones.

    Args:
        study: name of the study, or its folder.
        source: only cells of these sources ("none" for the model as it is).
        target: only cells of these targets.
        root: folder that holds studies.
        dry_run: say what would be cancelled, and do nothing.
    """
    folder = find_study(study, root)
    whole = not source and not target
    # all can be cancelled even where study.json is damaged
    wanted = set() if whole else chosen(read_study(folder), source, target)
    held = read_live_claims(folder)
    console = output()
    for message in held.liveness.ledger.damaged:
        console.print(Text(message, "yellow"))
    elements, withdrawn, spared = divide(held, wanted, whole=whole)
    processes = held.local(wanted)
    beyond = held.beyond_reach(None if whole else wanted)
    for what in beyond:
        console.print(f"left alone: {what}", style="yellow")
    if not elements and not withdrawn and not processes:
        which = "cells" if whole else "such cells"
        if not beyond:
            console.print(f"nothing to cancel: no job holds {which} of {folder.path.name}.")
        return 1 if beyond else 0
    if processes and not whole:
        raise ConfigError(
            f"{folder.path.name} runs on this machine, as a whole: it can only be cancelled "
            "without --source and --target."
        )
    said = "would cancel" if dry_run else "cancelling"
    if elements:
        jobs = ", ".join(_ranges(elements))
        runs = sum(map(len, elements.values()))
        number = f"{counted(len(elements), 'array element')} with {counted(runs, 'run')}"
        console.print(f"{said} {number}: {jobs}")
    if withdrawn:
        taken = "would take" if dry_run else "taking"
        number = counted(len(withdrawn), "run")
        console.print(f"{taken} {number} out of elements that wait and keep others")
    for process, found in processes.items():
        number = counted(len(found), "run")
        console.print(f"{said} process {process.pid} on {process.host} with {number}")
    if spared:
        console.print(
            f"left alone: {counted(len(spared), 'chosen run')} in elements that already run and "
            "hold others too"
        )
    if dry_run:
        console.print("Dry run: nothing was done.")
        return 0
    # what waits is withdrawn first: a worker runs only what its submission still holds
    for claim in withdrawn:
        claims.drop_stale(folder.claim(claim.item), claim)
    problems = cancel_jobs(list(elements)) if elements else []
    problems += stop_processes(list(processes), console)
    after = ClaimLiveness(folder)
    left = _free_ended(after, chain(*elements.values(), *processes.values()))
    for problem in problems:
        console.print(problem, style="red")
    if left:
        unsure = after.asked and after.unanswered
        ending = f"may still be ending, and SLURM does not answer ({unsure})"
        ending = ending if unsure else "still ending"
        shows = f"{spelled('status')} {folder.argument} shows when they are gone."
        console.print(f"{counted(left, 'run')} {ending}; {shows}", soft_wrap=True)
    console.print("Results are kept. The same submit goes on where this stopped.")
    return 1 if problems or beyond else 0


def _free_ended(after: ClaimLiveness, mine: Iterable[claims.Claim]) -> int:
    """Removes those of some claims whose jobs have ended; returns how many have not."""
    left = 0
    for claim in mine:
        if after.lives(claim):
            left += 1
        else:
            claims.drop_stale(after.folder.claim(claim.item), claim)
    return left


def chosen(study: Study, sources: Sequence[str], targets: Sequence[str]) -> set[str]:
    """Returns the ids of the runs that filters name; of all runs where there is no filter.

    A source names its own training too, unless a target is named as well.

    Raises:
        ConfigError: A source or target that the study does not have.
    """
    known = {
        "source": {cell.source for cell in study.cells.values()} | {NONE},
        "target": {cell.target for cell in study.cells.values()},
    }
    for flag, names in (("source", sources), ("target", targets)):
        for name in names:
            if name not in known[flag]:
                raise ConfigError(f"--{flag}: {unknown(flag, name, known[flag])}")
    return {
        run.id
        for run in study.runs.values()
        if (not sources or run.source_name in sources)
        and (not targets or (run.cell is not None and run.task in targets))
    }


def divide(
    held: LiveClaims, wanted: set[str], *, whole: bool
) -> tuple[dict[str, list[claims.Claim]], list[claims.Claim], list[claims.Claim]]:
    """Decides what happens to the elements that hold chosen items.

    Args:
        held: who holds what.
        wanted: items to cancel.
        whole: cancel everything, also elements that hold nothing any more.

    Returns:
        Elements to cancel with their claims; claims to withdraw from waiting elements that keep
        others; claims to leave alone, because their element runs others too.
    """
    elements: dict[str, list[claims.Claim]] = {}
    withdrawn: list[claims.Claim] = []
    spared: list[claims.Claim] = []
    for element, items in held.elements.items():
        mine = [claim for claim in items if whole or claim.item in wanted]
        if len(mine) == len(items) and (mine or whole):
            elements[element] = mine
        elif mine and held.waits(element):
            withdrawn += mine
        else:
            spared += mine
    return elements, withdrawn, spared


def _ranges(elements: Iterable[str]) -> list[str]:
    """Writes elements as SLURM does: ``12_[0-3,7]``."""
    arrays: dict[str, list[int]] = defaultdict(list)
    plain = []
    for element in elements:
        array, _, index = element.partition("_")
        if index.isdigit():
            arrays[array].append(int(index))
        else:
            plain.append(element)
    for array, indices in arrays.items():
        texts = []
        # in a run of neighbours, index and position rise alike
        for _, pairs in groupby(enumerate(sorted(indices)), lambda pair: pair[1] - pair[0]):
            run = [index for _, index in pairs]
            texts.append(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}")
        plain.append(f"{array}_[{','.join(texts)}]")
    return plain


main = partial(run_command, cancel, "cancel")


if __name__ == "__main__":
    sys.exit(main())

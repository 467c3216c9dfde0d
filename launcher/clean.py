"""Frees the disk of what a study needs no more: ``python launcher/clean.py STUDY``.

Results, failures, the study's definition and its generated data are never touched, also those of
runs that its grid no longer plans.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # as a script, it runs its own checkout's code, whatever is installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stilt.system.command import run_command

import shutil
from collections.abc import Collection, Iterable
from functools import partial
from itertools import chain
from typing import Annotated

import tyro
from rich.prompt import Confirm
from rich.text import Text
from tyro.conf import Positional

from launcher.scheduler.live_claims import read_live_claims
from launcher.watch.observer import Observer
from stilt.errors import ConfigError, ResultError
from stilt.folder import StudyFolder, find_study, read_study
from stilt.system.console import new_table, output
from stilt.system.invocation import spelled
from stilt.system.units import counted, size

EMPTIED = {
    "saved states of interrupted runs": "resume",
    "logs of local workers": "logs",
    "submitit's files and logs of jobs": "slurm",
    "bundles": "bundles",
    "claims of dead jobs": "claims",
    "copies of the code": "code",
}
"""Folders of a study of which nothing is kept."""


def clean(
    study: Positional[str],
    root: Path = Path("logs"),
    yes: Annotated[bool, tyro.conf.arg(aliases=["-y"])] = False,
    dry_run: Annotated[bool, tyro.conf.arg(aliases=["-n"])] = False,
) -> int:
    """Removes what a study needs no more: checkpoints, saved states, logs, copies of the code.

    Results, failures and tables stay; the submitit files and bundles of its jobs go, too.

    Args:
        study: name of the study, or its folder.
        root: folder that holds studies.
        yes: do not ask.
        dry_run: show what would go, and remove nothing.
    """
    folder = find_study(study, root)
    held = read_live_claims(folder)
    if beyond := held.beyond_reach():
        raise ResultError(f"{folder.path.name}: {'; '.join(beyond)}.")
    if held.live:
        number = len(held.elements) + len(held.processes)
        verb = "still runs or waits" if number == 1 else "still run or wait"
        raise ResultError(
            f"{folder.path.name}: {counted(number, 'job')} {verb}; cancel first: "
            f"{spelled('cancel')} {folder.argument}."
        )
    status = Observer(folder, read_study(folder)).look(ask=False)
    needed = {cell.source for cell in status.cells if cell.state != "done"}
    sources = {source.name: folder.source(source.id) for source in status.sources}
    places = [place for name, place in sources.items() if name not in needed]
    places += unplanned(folder, sources.values())
    found = waste(folder, places)
    console = output()
    for link in linked(folder, places):
        console.print(Text(f"left alone: {link}, a link to {link.readlink()}", "yellow"))
    if not found:
        console.print(f"{folder.path}: nothing to remove.")
        return 0
    sizes = {what: sum(map(_bytes, paths)) for what, paths in found.items()}
    total = sum(sizes.values())
    table = new_table("to be removed", "files", "size", right=("files", "size"))
    for what, paths in found.items():
        table.add_row(what, str(len(paths)), size(sizes[what]))
    table.add_row("all", "", size(total), style="bold")
    console.print(table)
    if kept := needed & sources.keys():
        console.print(
            f"kept: the weights of {', '.join(sorted(kept))}, because cells that need them are "
            "not done"
        )
    for rows in set_aside(folder):
        console.print(
            f"kept: {rows.name} ({size(_bytes(rows))}), rows generated for a grid before; a "
            "submit that plans them again takes them back"
        )
    if dry_run:
        console.print("Dry run: nothing was removed.")
        return 0
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError("clean: nobody to ask here; say --yes.")
        if not Confirm.ask("Remove these?", console=console, default=False):
            console.print("Nothing was removed.")
            return 0
    for path in chain(*found.values()):
        if _is_folder(path):
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    console.print(f"freed {size(total)} ({total} bytes). Results are kept.")
    return 0


def waste(folder: StudyFolder, sources: Iterable[Path]) -> dict[str, list[Path]]:
    """Lists what can be removed, by sort; saved states of cells that are not done are among it.

    Args:
        folder: the study's folder.
        sources: folders of the sources that no cell needs any more.
    """
    weights = [path for place in sources for path in _own(folder, place)]
    weights = [path for path in weights if path.name != "result.json"]
    sorts = {"weights of sources": weights}
    sorts |= {what: _own(folder, folder.path / name) for what, name in EMPTIED.items()}
    # this follows no link below the study's own folder
    parts = [path for path in folder.path.rglob(".*") if path.name.endswith(".part")]
    half = [*_own(folder, folder.source("")), *folder.path.glob(f".{folder.synthesis().name}.*")]
    parts += [path for path in half if path.name.startswith(".") and _is_folder(path)]
    emptied = tuple(folder.path / name for name in EMPTIED.values())
    sorts["half-written files"] = [
        path for path in parts if not any(path.is_relative_to(place) for place in emptied)
    ]
    return {what: paths for what, paths in sorts.items() if paths}


def unplanned(folder: StudyFolder, planned: Collection[Path]) -> list[Path]:
    """Folders of sources that the study had before it was revised, where a grid left them."""
    there = [path for path in _own(folder, folder.source("")) if path.name[0] != "."]
    return [path for path in there if path.is_dir() and path not in planned]


def set_aside(folder: StudyFolder) -> list[Path]:
    """Rows that were generated for settings which a study no longer has."""
    return [
        path for path in sorted(folder.path.glob(f"{folder.synthesis().name}-*")) if path.is_dir()
    ]


def linked(folder: StudyFolder, sources: Iterable[Path]) -> list[Path]:
    """Links in the places of folders to be emptied: what they lead to is not the study's own."""
    places = [*(folder.path / name for name in EMPTIED.values()), folder.source(""), *sources]
    return [place for place in places if place.is_symlink()]


def _own(folder: StudyFolder, place: Path) -> list[Path]:
    """What lies in a folder of a study; nothing where a link leads there."""
    if any(path.is_symlink() for path in (place, place.parent) if path != folder.path):
        return []
    return sorted(place.iterdir()) if place.is_dir() else []


def _bytes(path: Path) -> int:
    return sum(map(_bytes, path.iterdir())) if _is_folder(path) else path.lstat().st_size


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


main = partial(run_command, clean, "clean")


if __name__ == "__main__":
    sys.exit(main())

"""Everything that jobs will read, fetched and checked where there is a network.

``python launcher/stage.py --grid full`` on the login node; jobs then run with the Hub switched off.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # as a script, it runs its own checkout's code, whatever is installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stilt.system.command import run_command

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from launcher.checks.machine import hub_answers, hub_cache
from launcher.flags import Places
from launcher.study.lookup import with_places
from launcher.study.resolve import ResolvedStudy, resolve_study, show_oddities
from launcher.study.staging import as_request, run
from launcher.watch.fields import Kind, show_fields
from launcher.watch.listing import Listed, show_names
from launcher.watch.shown_task import find_task, request_lengths, rows_of_task, show_task
from stilt.data.oddities import few_dev_rows
from stilt.data.splits import Splits
from stilt.data.staged import Staged
from stilt.errors import ConfigError, DataError
from stilt.system.console import new_table, output
from stilt.system.files import writable_folder
from stilt.system.invocation import spelled


def stage(
    grid: str | None = None,
    *,
    list: Listed | None = None,  # the flag's name
    show: str | None = None,
    fields: Kind | None = None,
    study: str | None = None,
    places: Annotated[Places, tyro.conf.arg(name="")],
    synthesise: Annotated[bool, tyro.conf.arg(aliases=["--synthesize"])] = False,
    device: str = "cpu",
    check: bool = False,
) -> int:
    """Fetches model and data of a grid, tokenises every task, and checks it all.

    One of --grid, --list, --show and --fields says what is asked for.

    Args:
        grid: name of a grid (full, demo, ...) or path of a TOML file.
        list: instead, list the grids or the tasks that can be named here, one's own among them.
        show: instead, show this task (a name, or the path of its file): examples, lengths, labels,
            baselines, cost of one cell, and what is odd. With --model by its tokenizer.
        fields: instead, list what a task, grid or cluster file may say, with an example of each.
        study: name of the study's folder below root; the grid's name by default.
        places: see ``Places``.
        synthesise: generate SynthesisGPT2's rows here too, instead of in a job.
        device: torch device to generate them on.
        check: only check that all is there, with the Hub switched off as in a job.
    """
    console = output()
    if list is not None:
        show_names(list, console)
        return 0
    if fields is not None:
        show_fields(fields, console)
        return 0
    if show is not None:
        return _show(show, places, console)
    if grid is None:
        raise ConfigError(
            "--grid NAME (what is to be staged), --list tasks, --show TASK or --fields task is "
            "expected."
        )
    resolved = resolve_study(grid, places, name=study)
    writable_folder(resolved.cache)
    request = as_request(resolved, generate=synthesise and not check, device=device)
    online = not check and hub_answers()
    if not online and not check:
        console.print("The Hub cannot be reached: only what is here already can be used.")
    found = run(request, console, online=online)
    problems = [f"{item.name}: {item.problem}" for item in found if item.problem]
    if online and any(item.of_hub for item in found) and not problems:
        console.print("the same again with the Hub switched off, as in a job")
        again = run(request, console, online=False)
        problems = [
            f"{item.name}, without the Hub: {item.problem}" for item in again if item.problem
        ]
    console.print(_table(resolved, found))
    for item in found:
        if item.note:
            console.print(f"{item.name}: {item.note}.")
    show_oddities({item.name: item.odd for item in found}, console)
    if problems:
        heading = [f"{len(problems)} problems:"] if len(problems) > 1 else []
        raise DataError("\n  ".join([*heading, *problems]))
    caches = [str(resolved.cache)] + [str(hub_cache())] * any(item.of_hub for item in found)
    console.print(
        f"\nAll is there. Nodes must see {' and '.join(caches)}.\n"
        f"Next: {spelled('submit')} {with_places(grid, places, study)}",
        soft_wrap=True,
    )
    return 0


def _show(name: str, places: Places, console: Console) -> int:
    """Shows one task; nothing is written."""
    task, near = find_task(name)
    splits = _explained(rows_of_task(task, places.data_dir))
    if places.model is None:
        show_task(task, near, splits, console)
        return 0
    request = request_lengths(task, near, places)
    (found,) = run(request, console, online=hub_answers())
    if found.problem:
        raise DataError(found.problem)
    show_task(task, near, splits, console, found.lengths, found.parameters)
    return 0


def _explained(splits: Splits) -> Splits:
    """Rows with what is said of them here alone: how dev was cut, and whether it is small."""
    where = "; ".join(filter(None, (splits.where, splits.cut)))
    return replace(splits, where=where, odd=(*splits.odd, *few_dev_rows(len(splits.dev))))


def _table(resolved: ResolvedStudy, found: Sequence[Staged]) -> Table:
    """Lists what was staged, and what was not."""
    title = f"{resolved.study.name}: cached files in {resolved.cache / 'encoded'}"
    numbers = ("train", "dev", "tokens", "at limit")
    table = new_table("", *numbers, title=title, right=numbers)
    table.add_column("from", overflow="fold")
    table.add_column("cached file (train)", overflow="fold")
    for item in found:
        table.add_row(
            _marked(item),
            *("" if rows is None else str(rows) for rows in (item.train, item.dev)),
            f"{item.tokens:.1f}" if item.tokens is not None else "",
            f"{100 * item.full:.0f}%" if item.full is not None else "",
            end_of(item.where),
            Text("see below", "red") if item.problem else item.file,
        )
    return table


def _marked(item: Staged) -> Text:
    """The name of a thing, and whether it is there, cannot be had, or is made by a job."""
    if item.problem:
        return Text(f"✗ {item.name}", "bold red")
    return Text(f"{'○' if item.later else '✓'} {item.name}")


def end_of(where: str, longest: int = 26) -> str:
    """Cuts a long path to its end, where paths differ; other words stay whole."""
    if len(where) <= longest or not where.startswith("/"):
        return where
    return f"…{where[1 - longest :]}"


main = partial(run_command, stage, "stage")


if __name__ == "__main__":
    sys.exit(main())

"""Runs what a study lacks: ``python launcher/submit.py --grid full``.

The same command again runs only what is missing.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from jobs.settings import Assignment, Settings
from launcher import local, preview
from launcher.opening import begin, check_data, command_line, commit, open_study
from launcher.outstanding import claim_bundles, lives_here, new_submission, outstanding
from stilt.errors import ConfigError, exit_code
from stilt.files import write_text
from stilt.plan import Plan, plan
from stilt.study import StudyFolder


def submit(
    grid: str,
    study: str | None = None,
    executor: Literal["local", "slurm"] = "slurm",
    root: Path = Path("logs"),
    data_dir: Path | None = None,
    model: str | None = None,
    dry_run: Annotated[bool, tyro.conf.arg(aliases=["-n"])] = False,
    workers: int | None = None,
    threads: int | None = None,
    bundles: int | None = None,
    chunk: int | None = None,
) -> int:
    """Runs every cell of a grid that has no result yet, sources before the targets that need them.

    Args:
        grid: name of a grid (full, demo, ...) or path of a TOML file.
        study: name of the study's folder below root; the grid's name by default.
        executor: where to run: this machine's cores and GPUs, or SLURM job arrays.
        root: folder that holds studies.
        data_dir: folder of local data files; STILT_DATA_DIR by default.
        model: folder, or Hub id as namespace/name@commit, in place of the grid's model.
        dry_run: print what would run, and write nothing.
        workers: local: worker processes at a time; one per GPU, or per core, by default.
        threads: local: CPU threads of each worker.
        bundles: bundles of cells to aim at: more balance better, fewer load less often.
        chunk: examples per backward pass at most, where memory is short; changes no result.
    """
    console = Console(stderr=False, soft_wrap=True)
    opened = open_study(
        grid, name=study, root=root, model=model, data_dir=data_dir, dry_run=dry_run
    )
    if dry_run:
        return preview.show(opened, console, executor=executor, bundles=bundles)
    console.print(
        f"study [bold]{opened.study.name}[/bold] in {opened.folder.path}: checking data",
        highlight=False,
    )
    found = check_data(opened)
    sizes = {name: size for name, (_, size) in found.items()}
    begin(opened, found)
    gpus = local.gpu_count()
    cores = len(os.sched_getaffinity(0))
    count = workers or gpus or cores
    state = outstanding(opened.study, opened.folder, lives_here)
    for message in state.damaged:
        console.print(f"[yellow]left out and run again:[/yellow] {message}", highlight=False)
    whole = plan(
        opened.study,
        cells=state.missing,
        sources_there=state.sources,
        synthesis_there=state.synthesis,
        held=state.held,
        sizes=sizes,
        bundles=bundles or 4 * count,
    )
    submission = new_submission(executor)
    mine = claim_bundles(whole, opened.folder, submission, lives_here)
    runs = sum(len(bundle.items) for bundle in mine.bundles)
    console.print(
        f"{len(state.done)} of {len(opened.study.cells)} cells done, {len(state.held)} held by "
        f"live jobs, {runs} runs to do in {len(mine.bundles)} bundles",
        highlight=False,
    )
    if not runs:
        console.print(f"nothing to do. Next: python analysis/summarize.py {opened.study.name}")
        return 0
    assert opened.model is not None
    settings = Settings(
        submission=submission,
        data_dir=opened.data_dir,
        cache=opened.cache,
        model=opened.model.name,
        model_revision=opened.model.revision,
        device="auto" if gpus else "cpu",
        threads=threads or max(1, cores // count),
        chunk=chunk,
        commit=commit(),
        command=command_line(),
    )
    assign(mine, opened.folder, settings)
    if executor == "slurm":
        raise ConfigError("--executor slurm: not there yet.")
    pool = local.Pool(
        opened.study,
        opened.folder,
        mine,
        submission=submission,
        workers=count,
        threads=settings.threads or 1,
        gpus=gpus,
        sizes=sizes,
        console=console,
    )
    outcome = pool.run()
    console.print(
        f"{len(outcome.done)} runs done, {len(outcome.failed)} failed. Results: "
        f"{opened.folder.results}\nNext: python analysis/summarize.py {opened.study.name}"
        + (f"   (why: python launcher/status.py {opened.study.name})" if outcome.failed else ""),
        highlight=False,
    )
    if outcome.interrupted:
        return 130
    return 1 if outcome.failed else 0


def assign(todo: Plan, folder: StudyFolder, settings: Settings) -> None:
    """Writes what each worker will read: its bundle and its settings."""
    for bundle in todo.bundles:
        content = Assignment(bundle=bundle, settings=settings).model_dump(mode="json")
        write_text(folder.bundles / f"{bundle.id}.json", json.dumps(content) + "\n")


def spelled(arguments: Sequence[str]) -> list[str]:
    """Lets ``executor=local`` be written for ``--executor local``."""
    found: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        plain = equals and name.replace("_", "").replace("-", "").isalpha()
        found += [f"--{name}", value] if plain and not name.startswith("-") else [argument]
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    arguments = spelled(sys.argv[1:] if argv is None else argv)
    return exit_code(lambda: tyro.cli(submit, args=arguments, prog="python launcher/submit.py"))


if __name__ == "__main__":
    sys.exit(main())

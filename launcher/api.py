"""A study from Python: defined here, one of its cells run here. ``import stilt`` shows both."""

import os
from pathlib import Path

from rich.console import Console

from jobs.settings import Settings
from launcher.flags import Places
from launcher.local.pool import Pool
from launcher.local.slots import gpu_count
from launcher.scheduler.ledger import append_lines, new_line
from launcher.scheduler.liveness import ClaimLiveness
from launcher.study.claiming import (
    assign,
    claim_bundles,
    new_submission,
    released_on_error,
    remove_broken,
)
from launcher.study.growth import Asked
from launcher.study.outstanding import outstanding
from launcher.study.resolve import (
    ResolvedStudy,
    begin,
    check_data,
    model_spec,
    resolve_study,
)
from launcher.study.worker_code import commit
from stilt.data.encode import cache_folder
from stilt.data.load import data_folder
from stilt.errors import ConfigError, ResultError, unknown
from stilt.folder import Name, StudyFolder, read_study
from stilt.model.contents import require_whole
from stilt.model.hub import require_here
from stilt.model.place import file_digests, find_model, identity
from stilt.plan import plan
from stilt.records.failures import reason
from stilt.records.finished import read_ending
from stilt.records.pins import found_in
from stilt.records.results import Result
from stilt.system.files import writable_folder
from stilt.system.invocation import recorded
from stilt.system.locks import lock_of, wait_for


def define_study(
    grid: Name,
    *,
    name: str | None = None,
    root: Name = "logs",
    model: Name | None = None,
    data_dir: Name | None = None,
) -> StudyFolder:
    """Makes a study of a grid, or lets the one that is there grow; runs nothing.

    Args:
        grid: name of a grid, or path of its TOML file.
        name: the study's; the grid's where absent.
        root: folder that holds studies.
        model: folder, installed wheel, or Hub id as ``namespace/name@commit``, in place of the
            grid's model.
        data_dir: folder of local data files; ``STILT_DATA_DIR`` where absent.

    Raises:
        ConfigError: The grid, a task, the model or a folder is not what it should be.
        DataError: A task's rows cannot be had, or are not those that the study began with.
        ResultError: The study that is there would lose runs.

    >>> import stilt
    >>> study = stilt.define_study("my-grid.toml", model="FOLDER", data_dir="data")
    >>> str(study.path)
    'logs/my-grid'
    """
    places = Places(Path(root), Path(data_dir) if data_dir else None, str(model) if model else None)
    resolved = resolve_study(os.fspath(grid), places, name=name)
    assert resolved.model is not None
    require_here(resolved.model)
    found = check_data(resolved)
    writable_folder(resolved.folder.path)
    lock = lock_of(resolved.folder.path / ".submit.lock")
    try:
        wait_for(lock, lambda: None)
        lives = ClaimLiveness(resolved.folder).lives
        begin(resolved, found, lives, Asked(command=recorded(), commit=commit()))
    finally:
        lock.release()
    return resolved.folder


def run_cell(
    study: StudyFolder,
    cell: str,
    *,
    model: Name | None = None,
    data_dir: Name | None = None,
    threads: int | None = None,
) -> Result:
    """Runs one cell on this machine, after the source that it needs where that is not there yet.

    A worker process does it, as for ``submit --executor local``: the result, or why there is none,
    is written to the study's folder. A result that is there already is only read.

    Args:
        study: what ``define_study`` or ``open_study`` gave.
        cell: its id.
        model: where the study's model lies, if not where its grid says.
        data_dir: folder of local data files; where absent, that in which the study found them.
        threads: CPU threads of the worker; one for each core where absent.

    Raises:
        ConfigError: There is no such cell, the model is not there, or another one, or ``threads``
            is below 1.
        ResultError: The cell failed, or somebody else runs it.
        KeyboardInterrupt: Ctrl-C; the state is saved, and the next call goes on.

    >>> import stilt
    >>> study = stilt.open_study("my-grid")
    >>> result = stilt.run_cell(study, stilt.results(study)["cell"][0])
    >>> result.status, result.metric, result.dev_rows
    ('ok', 'accuracy', 12)
    """
    if threads is not None and threads < 1:
        raise ConfigError(f"threads = {threads}: at least 1.")
    bound = read_study(study)
    if cell not in bound.cells:
        raise ConfigError(unknown("cell", cell, bound.cells))
    run = bound.runs[cell]
    resolved = _reopened(study, model, data_dir, cell)
    assert resolved.model is not None
    lives = ClaimLiveness(study).lives
    lock = lock_of(study.path / ".submit.lock")
    try:
        wait_for(lock, lambda: None)
        state = outstanding(bound, study, lives)
        wanted = [cell] if cell in state.missing else []
        whole = plan(bound, cells=wanted, there=state.there, held=state.held, bundles=1)
        gpus, each = gpu_count(), bound.grid.processes
        settings = Settings(
            submission=new_submission("local"),
            data_dir=resolved.data_dir,
            cache=resolved.cache.resolve(),
            model=resolved.model.name,
            model_revision=resolved.model.revision,
            model_files=resolved.model_files,
            device="gpu" if gpus else "cpu",
            threads=threads or max(1, len(os.sched_getaffinity(0)) // each),
            commit=commit(),
            command=recorded(),
        )
        with released_on_error(whole, study, settings.submission):
            mine = claim_bundles(whole, study, settings.submission, lives)
            remove_broken(mine, study, state.broken)
            assign(mine.bundles, study, settings)
            if mine.bundles:
                ids = (bundle.id for bundle in mine.bundles)
                append_lines(study, new_line(settings.submission, ids, settings.command))
    finally:
        lock.release()
    if mine.bundles:
        pool = Pool(
            resolved, mine, settings, workers=1, gpus=gpus, sizes={}, console=Console(quiet=True)
        )
        if pool.run().interrupted:
            raise KeyboardInterrupt
    result = read_ending(bound, study, run)
    if isinstance(result, Result):
        return result
    why = reason(study, cell) or ("somebody else holds it" if not mine.bundles else "no result")
    raise ResultError(f"cell {cell} ({run.title}): {why}.")


def _reopened(
    study: StudyFolder, model: Name | None, data_dir: Name | None, cell: str
) -> ResolvedStudy:
    """A study that is there, with its model and data.

    Raises:
        ConfigError: The model is not there, or another one.
        DataError: The data folder is no folder.
    """
    bound = read_study(study)
    spec = model_spec(os.fspath(model)) if model else bound.grid.model
    place = find_model(spec)
    require_whole(place)
    require_here(place)
    files = file_digests(place)
    if identity(spec, files) != bound.model_identity:
        raise ConfigError(f"model {place.name}: not the one that study {bound.name} began with.")
    data = data_folder(data_dir) or found_in(study, bound.tasks, bound.runs[cell].task)
    return ResolvedStudy(bound, study, place, data, cache_folder(), "", files)

"""A submit claims items, writes them down for workers, and releases what it does not run."""

import json
import os
import shutil
import time
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager

from jobs.settings import Assignment, Settings
from launcher.scheduler.ledger import PREFIXED
from launcher.study.outstanding import Lives, Outstanding
from stilt.cell import digest
from stilt.folder import StudyFolder
from stilt.plan import Bundle, Plan
from stilt.records import claims
from stilt.records.failures import record_failure
from stilt.study import Study
from stilt.system.files import write_text
from stilt.system.units import counted


def new_submission(executor: str, prefix: str = "") -> str:
    """Returns a name for one submit: its executor, the time, and what makes it unique.

    Args:
        executor: what runs it.
        prefix: what the names of its jobs begin with.
    """
    unique = f"{executor}-{time.strftime('%m%d%H%M%S')}-{uuid.uuid4().hex[:6]}"
    return f"{unique}{PREFIXED}{prefix}" if prefix else unique


def claim_bundles(plan: Plan, folder: StudyFolder, submission: str, lives: Lives) -> Plan:
    """Claims a plan's items and leaves out what somebody else claimed in the meantime.

    Returns:
        The plan with the items that this submission now holds.
    """
    kept: list[Bundle] = []
    for planned in plan.bundles:
        # two submits at once plan the same bundle and get a part each: the parts must not share
        # the file that says what is in them
        bundle = planned.model_copy(update={"id": digest([submission, planned.id])})
        mine = [item for item in bundle.items if claim(item, bundle.id, folder, submission, lives)]
        if mine:
            kept.append(bundle.model_copy(update={"items": tuple(mine)}))
    return Plan(bundles=tuple(kept))


def claim(item: str, bundle: str, folder: StudyFolder, submission: str, lives: Lives) -> bool:
    """Claims an item of a bundle; False where somebody who lives holds it."""
    path = folder.claim(item)
    own = claims.new_claim(item, submission, bundle)
    if claims.take(own, path):
        return True
    there = claims.read(path)
    if there is not None and lives(there):
        return False
    # given back by now; or stale; or a damaged file, which would hold its cell for ever
    free = (there is None and not os.path.lexists(path)) or claims.drop_stale(path, there)
    return free and claims.take(own, path)


def leave_hopeless(study: Study, folder: StudyFolder, state: Outstanding) -> Iterator[str]:
    """Records why cells of a source that diverged cannot be run, and says so, once for a source."""
    for source, cells in state.hopeless.items():
        title = study.runs[source].title
        for cell in cells:
            if not folder.failure(cell).exists():
                message = f"its {title} failed: diverged: its weights are of no use"
                record_failure(study, folder, cell, "source", message)
        yield (
            f"{counted(len(cells), 'cell')} of {title}, whose training diverged, as it would "
            "again: give it another seed or learning rate. Without "
            f"{folder.record(study.runs[source])} it is trained once more."
        )


def remove_broken(plan: Plan, folder: StudyFolder, broken: Iterable[str]) -> None:
    """Removes the damaged checkpoints of those sources that a plan trains again.

    Their records are sound, so that they would count as finished before they are trained. Only who
    holds a source's claim may do so.
    """
    planned = {item for bundle in plan.bundles for item in bundle.items}
    for source in planned.intersection(broken):
        place = folder.source(source)
        aside = place.with_name(f".{source}.{uuid.uuid4().hex}")
        place.rename(aside)
        shutil.rmtree(aside)


def assign(bundles: Iterable[Bundle], folder: StudyFolder, settings: Settings) -> None:
    """Writes what a worker will read: its bundle and its settings."""
    for bundle in bundles:
        content = Assignment(bundle=bundle, settings=settings).model_dump(mode="json")
        path = folder.bundles / f"{bundle.id}.json"
        write_text(path, json.dumps(content) + "\n", durable=False)


def release(folder: StudyFolder, submission: str, items: Iterable[str]) -> None:
    """Removes the claims of a submission on items that it did not run."""
    for item in claims.held(folder, items, submission):
        folder.claim(item).unlink(missing_ok=True)


def drop_dead(folder: StudyFolder, done: Collection[str], lives: Lives) -> None:
    """Removes the claims of runs that are done, of a process that died before it did so."""
    for path in folder.claims.glob("[!.]*.json"):
        there = claims.read(path) if path.stem in done else None
        if there is not None and not lives(there):
            claims.drop_stale(path, there)


@contextmanager
def released_on_error(plan: Plan, folder: StudyFolder, submission: str) -> Iterator[None]:
    """Releases a plan's items if what is done within fails: no job would ever run them."""
    with ExitStack() as undo:
        items = [item for bundle in plan.bundles for item in bundle.items]
        undo.callback(release, folder, submission, items)
        yield
        undo.pop_all()

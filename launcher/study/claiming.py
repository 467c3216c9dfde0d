"""A submit claims items, writes them down for workers, and releases what it does not run."""

import json
import os
import time
import uuid
from collections.abc import Iterable

from jobs.settings import Assignment, Settings
from launcher.study.outstanding import Lives
from stilt.cell import digest
from stilt.folder import StudyFolder
from stilt.plan import Bundle, Plan
from stilt.records import claims
from stilt.system.files import write_text


def new_submission(executor: str) -> str:
    """Returns a name for one submit: its executor, the time, and what makes it unique."""
    return f"{executor}-{time.strftime('%m%d%H%M%S')}-{uuid.uuid4().hex[:6]}"


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
        mine = [item for item in bundle.items if _claim(item, bundle, folder, submission, lives)]
        if mine:
            kept.append(bundle.model_copy(update={"items": tuple(mine)}))
    return Plan(bundles=tuple(kept))


def _claim(item: str, bundle: Bundle, folder: StudyFolder, submission: str, lives: Lives) -> bool:
    path = folder.claim(item)
    claim = claims.new_claim(item, submission, bundle.id)
    if claims.take(claim, path):
        return True
    there = claims.read(path)
    if there is not None and lives(there):
        return False
    # given back by now; or stale; or a damaged file, which would hold its cell for ever
    free = (there is None and not os.path.lexists(path)) or claims.drop_stale(path, there)
    return free and claims.take(claim, path)


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

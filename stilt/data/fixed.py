"""A task's rows are fixed when a study first sees them."""

import json

from stilt.data.load import Splits
from stilt.errors import DataError, ResultError
from stilt.folder import StudyFolder
from stilt.system.files import create_text


def fix_data(folder: StudyFolder, name: str, splits: Splits) -> None:
    """Fixes a task's rows for the study at first sight, and insists on the same rows after.

    Raises:
        DataError: The rows are not those that the study was begun with.
        ResultError: The file that fixes them is damaged.
    """
    path = folder.data_digest(name)
    content = {"digest": splits.digest(), "train": len(splits.train), "dev": len(splits.dev)}
    if create_text(path, json.dumps(content | {"where": splits.where}) + "\n"):
        return
    try:
        there = json.loads(path.read_bytes())
        same = there["digest"] == content["digest"]
    except (ValueError, TypeError, KeyError) as error:
        raise ResultError(f"{path}: not the digest of a task's rows ({error!r}).") from None
    if not same:
        raise DataError(
            f"{splits.where}: task {name!r} has other rows ({content['train']} train, "
            f"{content['dev']} dev) than this study began with ({there['train']}, "
            f"{there['dev']} from {there['where']}). Use the same data, or begin another study."
        )

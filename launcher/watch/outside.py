"""A study seen from outside its folder: in a tracker, and by messages to a webhook."""

import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from launcher.flags import Outside
from stilt.config import Tracker
from stilt.errors import ConfigError
from stilt.folder import StudyFolder
from stilt.records.notices import asked, host_of, notices
from stilt.system.units import clock, counted


def require_usable(outside: Outside) -> None:
    """Makes sure that a tracker is installed, and that an address is one.

    Raises:
        ConfigError: It is not so.
    """
    name = outside.tracker
    if name is not None and find_spec(name) is None:
        raise ConfigError(
            f"--tracker {name}: its package is not installed here. Install it: "
            f"{sys.executable} -m pip install {name}"
        )
    if outside.notify is not None:
        host_of(outside.notify)


def told(folder: StudyFolder, now: float) -> list[str]:
    """Lines on a study's trackers and messages, for people."""
    return [*_trackers(folder), *_messages(folder, now)]


def _trackers(folder: StudyFolder) -> list[str]:
    found = []
    for name in get_args(Tracker):
        place = folder.tracking / name
        if not place.is_dir():
            continue
        runs = _runs(name, place)
        many = f"{counted(runs, 'run')} in " if runs is not None else ""
        found.append(f"tracker {name}: {many}{place}; look: {_look(name, place)}")
    return found


def _runs(name: str, place: Path) -> int | None:
    """How many runs a tracker's folder has; None where that is not told by its files."""
    if name == "trackio":
        return None
    pattern = "*run-*" if name == "wandb" else "*"
    return sum(path.is_dir() and not path.is_symlink() for path in place.glob(pattern))


def _look(name: str, place: Path) -> str:
    where = shlex.quote(str(place))
    match name:
        case "tensorboard":
            return f"tensorboard --logdir {where}"
        case "trackio":
            return f"TRACKIO_DIR={where} trackio show"
        case _:
            return f"wandb sync {where}/offline-run-*"


def _messages(folder: StudyFolder, now: float) -> list[str]:
    found = []
    for notice in notices(folder)[-2:]:
        when = clock(datetime.fromisoformat(notice.when).timestamp(), now)
        if notice.problem is None:
            found.append(f"told {notice.host} at {when}: {notice.text}")
        else:
            found.append(
                f"could not tell {notice.host} at {when} ({notice.problem}): {notice.text}"
            )
    if waiting := asked(folder):
        found.append(f"{waiting.host} will be told when a run first fails and when all have ended")
    return found


def as_table(folder: StudyFolder) -> dict[str, Sequence[object]]:
    """What ``status --json`` tells of trackers and messages."""
    return {
        "trackers": [
            {"tracker": name, "folder": str(place.resolve()), "runs": _runs(name, place)}
            for name in get_args(Tracker)
            if (place := folder.tracking / name).is_dir()
        ],
        "notices": [notice.model_dump(mode="json") for notice in notices(folder)],
    }

"""Flags that several commands take, or that a submit has beside the study's own.

Nothing here takes long to import: ``--help`` needs all of it, and nothing else of the launcher.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typing_extensions import Doc

from stilt.config import Tracker


@dataclass(frozen=True)
class Places:
    """Flags of a command that say where studies, data and a model are."""

    root: Path = Path("logs")
    """folder that holds studies."""
    data_dir: Path | None = None
    """folder of local data files; STILT_DATA_DIR by default."""
    model: str | None = None
    """folder, installed wheel, or Hub id as namespace/name@commit, in place of the grid's model."""


@dataclass(frozen=True)
class WorkFlags:
    """How the work is divided among workers, and what each of them takes."""

    workers: int | None = None
    """local: worker processes at a time; one per GPU, or per core, by default."""
    threads: int | None = None
    """CPU threads of each worker."""
    bundles: Annotated[
        int | None,
        Doc(
            "bundles of cells to aim at for the whole study: more balance better, fewer load less "
            "often."
        ),
    ] = None
    hours: Annotated[
        float | None,
        Doc(
            "a budget of GPU-hours (worker-hours, on processors), sources included: run the cells "
            "that fit, the same configurations for all sources; the next submit without it runs "
            "the rest."
        ),
    ] = None


@dataclass(frozen=True)
class Outside:
    """Flags of a submit that let people follow it elsewhere; no result depends on them."""

    tracker: Annotated[
        Tracker | None,
        Doc(
            "also tell a tracker of each run as it trains: losses, gradient norms, learning "
            "rates, dev scores; it writes into the study's folder. wandb is offline unless "
            "WANDB_MODE is set."
        ),
    ] = None
    notify: Annotated[
        str | None,
        Doc(
            'address of a webhook that gets a message, {"text": ...}, when a run first fails and '
            "when all of this submit have ended."
        ),
    ] = None

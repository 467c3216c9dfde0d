"""Trackers beside the result files: TensorBoard, trackio or W&B, told of each run as it trains.

What a tracker does, or fails to do, changes no result: it is called outside the run's random state,
and its first error is told in the log and ends the tracking, not the run.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS

from stilt.errors import first_line
from stilt.training.runtime import outside_random_state

Update = Callable[[int, Mapping[str, float]], None]
"""Is told the number of an update, from 1, and what was measured in it."""

OFFLINE = {"WANDB_MODE": "offline", "WANDB_CONSOLE": "off", "WANDB_SILENT": "true"}
"""What holds unless the environment says otherwise: nodes may reach no server."""


class Tracking:
    """What a tracker is told of one run; silent without a tracker, and after its first error."""

    def __init__(
        self,
        name: str | None,
        folder: Path,
        say: Callable[[str], None],
        *,
        study: str,
        group: str,
        run: str,
        config: Mapping[str, Any],
    ) -> None:
        """Begins the tracker's run.

        Args:
            name: of the tracker, as accelerate calls it; None for none.
            folder: where runs are kept, each tracker's in a folder of its name.
            say: writes a line of the log.
            study: the tracker's project.
            group: what the run stands with, where the tracker knows groups.
            run: its name.
            config: what it was run with; None values are left out.
        """
        self._name = name
        self._say = say
        self._tracker: Any = None
        known = {key: value for key, value in config.items() if value is not None}
        self._do(lambda: self._begin(folder.absolute(), study, group, run, known))

    def _begin(
        self, folder: Path, study: str, group: str, run: str, config: dict[str, Any]
    ) -> None:
        name = str(self._name)
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        # W&B makes a folder of its name by itself
        places = {"TRACKIO_DIR": str(folder / "trackio"), "WANDB_DIR": str(folder)}
        for variable, value in (OFFLINE | places).items():
            os.environ.setdefault(variable, value)
        kind = LOGGER_TYPE_TO_CLASS[name]
        if kind.requires_logging_directory:
            tracker = kind(re.sub(r"[^\w.=@#-]+", "_", run), logging_dir=place)
        else:
            tracker = kind(study, name=run, group=group)
        tracker.start()
        self._tracker = tracker
        if name == "tensorboard":
            # as hyperparameters, they would be a second run beside each
            tracker.log({"config": f"```\n{json.dumps(config, indent=1)}\n```"}, step=0)
        else:
            tracker.store_init_configuration(config)

    def update(self, number: int, values: Mapping[str, float]) -> None:
        """Tells what was measured in an update, or after the last one."""
        self._do(lambda: self._tracker.log(dict(values), step=number))

    def end(self) -> None:
        """Ends the tracker's run."""
        if self._tracker is not None:
            self._do(self._tracker.finish)
        self._name = None

    def _do(self, call: Callable[[], Any]) -> None:
        if self._name is None:
            return
        try:
            with outside_random_state():
                call()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - no tracker may end a run
            self._say(
                f"tracker {self._name}: {type(error).__name__}: {first_line(error)}; "
                "the run goes on without it"
            )
            self._name = None

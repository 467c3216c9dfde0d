"""Which calibration holds for a submit, and what it and ended runs predict."""

import subprocess
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from launcher.cluster.profile import Profile
from stilt.cell import Run
from stilt.errors import ConfigError, ResultError
from stilt.folder import StudyFolder
from stilt.records.finished import read_ending
from stilt.records.results import Ended
from stilt.study import Study
from stilt.system.invocation import spelled
from stilt.task import Size
from stilt.training.speed.calibration import (
    Calibration,
    Setting,
    file_of,
    others,
    read_calibration,
    write_calibration,
)
from stilt.training.speed.forecast import Forecast, forecast

MEASURED = 200
"""Ended runs at most that a forecast is refined by."""
LIBRARIES = ("torch", "transformers")
"""Packages whose versions decide how long a run takes."""


@dataclass(frozen=True)
class Division:
    """Where a submit's workers run, and how they share a device."""

    place: str
    """The device, as a calibration names it."""
    workers: int
    """Side by side: on one GPU, or on all cores of the machine or array element."""
    threads: int
    """CPU threads of each."""
    gpus: int = 0
    """GPUs of the machine or array element; 0 for the processor alone."""

    @property
    def unit(self) -> str:
        """What hours are counted of."""
        return "GPU-hours" if self.gpus else "worker-hours"

    def device_seconds(self, seconds: float) -> float:
        """Seconds of a device that so many seconds of a worker take: workers share a GPU."""
        return seconds / self.workers if self.gpus else seconds


def here(workers: int, threads: int, gpus: int, wanted: int | None = None) -> Division:
    """This machine, with so many workers in all; ``wanted`` threads of each, where a person says.

    See ``launcher.local.slots.shared_out`` for the others.
    """
    if gpus:
        place = f"this machine: {_gpu_name()}"
        return Division(place, -(-workers // gpus), wanted or threads, gpus)
    return Division(f"this machine: {_processor()}", workers, wanted or threads)


def of_elements(profile: Profile, processes: int = 1) -> Division:
    """The array elements that a profile asks for; a run takes so many processes."""
    gpus = profile.element_gpus
    workers = max(1, profile.workers(processes) // max(1, gpus))
    return Division(profile.place, workers, profile.threads(processes), gpus)


def _gpu_name() -> str:
    try:
        run = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    except OSError:
        return "GPU"
    named = [line.partition(": ")[2].partition(" (")[0] for line in run.stdout.splitlines()]
    return next(iter(named), "") or "GPU"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "processor"
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else 'processor'}, {len(named)} cores"


@dataclass(frozen=True)
class Known:
    """What is known of the seconds of a study's runs."""

    forecast: Forecast
    division: Division
    calibration: Calibration | None = None
    setting: Setting | None = None
    """What of the calibration is reckoned with."""
    said: tuple[str, ...] = ()
    """Why a calibration is not used, or what to know of the one that is."""

    @property
    def predict(self) -> Callable[[Run], float] | None:
        """Predicts the seconds of a run; None without a calibration: plans then go by work."""
        return None if self.calibration is None else self.forecast.seconds

    @property
    def basis(self) -> str:
        """What predictions rest on, for people."""
        ended = self.forecast.ended
        by = f"{ended} ended run{'s' * (ended != 1)}"
        if self.calibration is None:
            return f"by {by}"
        day = self.calibration.made[:10]
        return f"by the calibration of {day}" + (f", refined by {by}" if ended else "")


def known(
    study: Study,
    cache: Path,
    division: Division,
    *,
    sizes: Mapping[str, Size] | None = None,
    ended: Iterable[tuple[Run, Ended]] = (),
) -> Known:
    """Finds the calibration of a study's model and recipe at a place, and what follows from it."""
    calibration, said = _find(study, cache, division.place)
    setting = None
    if calibration is not None:
        setting = calibration.setting(division.workers, division.threads)
        if (setting.workers, setting.threads) != (division.workers, division.threads):
            said += (
                f"measured with {setting.workers} x {setting.threads} threads, and to run with "
                f"{division.workers} x {division.threads}: predictions are of the former.",
            )
        unmeasured = [name for name, task in study.tasks.items() if not calibration.task(task)]
        if unmeasured:
            said += (
                f"hours on {', '.join(unmeasured)} are estimated by mean length; "
                f"{spelled('doctor')} --measure would measure them.",
            )
    found = forecast(study, calibration, setting, sizes=sizes, ended=ended)
    return Known(found, division, calibration, setting, said)


def _find(study: Study, cache: Path, place: str) -> tuple[Calibration | None, tuple[str, ...]]:
    """The calibration that holds, and what to say of it, or of those that do not."""
    recipe, model = study.grid.recipe, study.model_identity
    path = file_of(cache, model, recipe, place)
    try:
        found = read_calibration(path)
    except ConfigError as error:
        return None, (f"the calibration is not used: {error}",)
    if found is not None and study.grid.processes > 1:
        return None, ("the calibration is not used: it is of runs of one process each.",)
    if found is None:
        away = [f"{one.place} (recipe {one.recipe})" for one in others(cache, model, path)]
        told = (
            f"this model was measured elsewhere only, which tells no hours here: {'; '.join(away)}."
        )
        return None, (told,) if away else ()
    changed = [
        f"{name} {found.versions[name]}, now {now}"
        for name in LIBRARIES
        if found.versions.get(name) not in (None, now := version(name))
    ]
    return found, (f"the calibration was made with {'; '.join(changed)}.",) if changed else ()


def ended_runs(
    study: Study, folder: StudyFolder, done: Collection[str]
) -> Iterable[tuple[Run, Ended]]:
    """Records of runs that have ended, of some at most."""
    for item in sorted(done)[:MEASURED]:
        try:
            record = read_ending(study, folder, study.runs[item])
        except ResultError:
            # whoever looks for what is to be run says what is wrong with it
            continue
        if record is not None:
            yield study.runs[item], record


def keep(found: Known, folder: StudyFolder) -> None:
    """Copies the calibration into the study's folder, where status and the report find it."""
    if found.calibration is None or found.setting is None:
        return
    # the others are of ways that this study does not run in
    kept = found.calibration.model_copy(update={"settings": (found.setting,)})
    write_calibration(kept, folder.calibration)

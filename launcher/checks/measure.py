"""Measures a grid's model for planning: here, or as one short job on the cluster."""

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table
from submitit.slurm.slurm import _make_sbatch_string

from jobs.settings import MeasuringRequest
from launcher.cluster.profile import Profile
from launcher.send.arrays import Array
from launcher.send.environment import without_overriding
from launcher.send.script import Script, require_safe_path
from launcher.study.costs.known import Division
from launcher.study.resolve import ResolvedStudy
from launcher.study.staging import as_request
from launcher.study.worker_code import snapshot, worker_environment
from stilt.config import parse
from stilt.errors import ConfigError, DataError
from stilt.folder import StudyFolder
from stilt.plan import Bundle
from stilt.slurm.commands import ask
from stilt.system.console import new_table
from stilt.system.files import make_folder, write_text
from stilt.system.units import size
from stilt.training.speed.calibration import Calibration, Work, file_of, folder_of

SECONDS = 15.0
"""How long updates and passes are timed, for each way of dividing the device: each pair of a task
and a batch once at least, which takes longer where the model is large."""
MINUTES = 30
"""Time limit of the job: a large model is loaded a few times."""
UNEQUAL = 0.15
"""Median error of the fit above which something else disturbed the measurement."""


def as_measuring(resolved: ResolvedStudy, division: Division) -> MeasuringRequest:
    """What the measuring process is asked for.

    Raises:
        ConfigError: Each run of the grid takes several processes.
    """
    study = resolved.study
    if study.grid.processes > 1:
        raise ConfigError(
            f"grid {study.grid.name!r}, field 'processes' = {study.grid.processes}: --measure is "
            "for grids whose runs take one process each."
        )
    staging = as_request(resolved, generate=False, device="cpu")
    device = "gpu" if division.gpus else "cpu"
    return MeasuringRequest(
        study=study,
        folder=staging.folder,
        settings=staging.settings.model_copy(update={"device": device}),
        workers=division.workers,
        threads=division.threads,
        place=division.place,
        file=file_of(
            staging.settings.cache, study.model_identity, study.grid.recipe, division.place
        ),
        seconds=SECONDS,
    )


def measure_here(request: MeasuringRequest, console: Console) -> Calibration:
    """Measures in processes of their own, which alone load torch; shows what they do.

    Raises:
        DataError: They could not; the message has what they said.
    """
    found = None
    with tempfile.TemporaryDirectory(prefix="stilt-measure-") as folder:
        path = Path(folder) / "request.json"
        path.write_text(request.model_dump_json(), encoding="utf-8")
        errors = Path(folder) / "errors"
        command = [sys.executable, "-m", "jobs.measure.calibrate", str(path)]
        out, env = subprocess.PIPE, worker_environment()
        with (
            errors.open("wb") as talk,
            console.status("measuring") as status,
            subprocess.Popen(command, env=env, stdout=out, stderr=talk, text=True) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                kind, content = json.loads(line)
                if kind == "problem":
                    raise DataError(f"not measured: {content}")
                if kind == "doing":
                    status.update(f"measuring, {content}")
                elif kind == "measured":
                    found = parse(Calibration, content, request.file)
        if found is None:
            lines = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise DataError(f"measuring broke down: {lines[-1] if lines else 'without a word'}")
    return found


def measure_on_cluster(request: MeasuringRequest, profile: Profile) -> tuple[str, Path]:
    """Sends one short job that measures; returns its id and its log.

    Raises:
        ConfigError: SLURM refused it; the message is sbatch's.
    """
    folder = StudyFolder(folder_of(request.settings.cache.resolve()))
    require_safe_path(folder)
    make_folder(folder.slurm)
    asked = folder.slurm / f"{request.file.stem}.json"
    write_text(asked, request.model_dump_json() + "\n")
    text = cluster_script(request, profile, folder, snapshot(folder), asked)
    path = folder.slurm / f"{request.file.stem}.sh"
    write_text(path, text)
    with without_overriding({"time", "mem", "cpus-per-task"}):
        answer = ask("sbatch", "--parsable", str(path), seconds=300)
    if answer.problem is not None:
        raise ConfigError(f"sbatch: {answer.problem}")
    job = answer.output.strip().partition(";")[0]
    return job, folder.slurm / f"{job}_0_log.out"


def cluster_script(
    request: MeasuringRequest, profile: Profile, folder: StudyFolder, code: Path, asked: Path
) -> str:
    """What sbatch is given: a job with the resources of one array element."""
    script = Script(folder, profile, request.settings.model_copy(update={"threads": 1}), code)
    alone = Bundle(id="measure", stage="target", items=("measure",), cost=0)
    parameters = script.parameters(Array((alone,), parallel=1))
    for name in ("array_parallelism", "comment"):
        parameters.pop(name)
    parameters |= {"job_name": "stilt-measure", "time": min(profile.time, MINUTES)}
    command = shlex.join([sys.executable, "-m", "jobs.measure.calibrate", str(asked)])
    text: str = _make_sbatch_string(command=command, folder=folder.slurm, **parameters)
    return text


def show(found: Calibration, console: Console) -> None:
    """Prints what was measured, and what follows for settings."""
    console.print(_tasks(found))
    console.print(_settings(found))
    best, gpu = found.best, not found.device.startswith("cpu")
    each = "workers_per_gpu" if gpu else "workers"
    console.print(
        f"recommended: {each} {best.workers}, threads {best.threads} (the most updates a second)."
    )
    whole = "a whole batch of the longest rows fits memory: no chunk is needed"
    small = (
        f"memory ends: chunk = {found.chunk} in the grid (other cells: smaller passes draw other "
        "dropout masks), or cells try smaller passes by themselves"
    )
    console.print(f"chunk: {small if found.chunk else whole}.")
    if best.error > UNEQUAL:
        console.print(
            f"equal work took unequal time (median error {100 * best.error:.0f} %): something "
            "else ran on this machine. Measure again when it is idle.",
            style="yellow",
        )


def _tasks(found: Calibration) -> Table:
    setting = found.best
    table = new_table(
        *("task", "batch", "tokens an update", "passes", "s an update", "ms a dev row"),
        title=f"{found.model_name} on {found.place}, recipe {found.recipe}",
        right=("batch", "tokens an update", "passes", "s an update", "ms a dev row"),
    )
    for name, task in found.tasks.items():
        scored = 1000 * setting.evaluate.seconds(0, task.row)
        rows: dict[int, Work] = task.updates
        for batch in sorted(rows) or [0]:
            work = rows.get(batch)
            table.add_row(
                name,
                str(batch or "-"),
                f"{work.positions:,.0f}" if work else "-",
                f"{work.passes:.1f}" if work else "-",
                f"{setting.train.seconds(1, work):.3f}" if work else "-",
                f"{scored:.2f}",
            )
    return table


def _settings(found: Calibration) -> Table:
    table = new_table(
        *("workers", "threads", "updates/s, all", "start", "load", "memory of each", "fit error"),
        title="ways to divide the device",
        right=(
            "workers",
            "threads",
            "updates/s, all",
            "start",
            "load",
            "memory of each",
            "fit error",
        ),
    )
    for setting in found.settings:
        table.add_row(
            str(setting.workers),
            str(setting.threads),
            f"{found.throughput(setting):.2f}",
            f"{setting.start:.1f} s",
            f"{setting.load:.1f} s",
            size(setting.memory),
            f"{100 * setting.error:.0f} %",
        )
    return table

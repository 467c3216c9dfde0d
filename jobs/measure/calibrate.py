"""Measures a model on this machine's device: ``python -m jobs.measure.calibrate REQUEST.json``.

Workers side by side time the same work at once, as a submit's do; then with fewer or more of them,
as long as that brings more. Each line of standard output is a JSON list: ``["doing", TEXT]``,
``["measured", CALIBRATION]`` or ``["problem", TEXT]``.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, median
from typing import Any

from jobs.measure import tell
from jobs.measure.timed import Timings, error, fit
from jobs.settings import MeasuringRequest
from stilt.config import parse, read_json
from stilt.errors import ConfigError
from stilt.training.speed.calibration import (
    Calibration,
    Setting,
    read_calibration,
    write_calibration,
)

GAIN = 1.03
"""Of updates a second, that another division of a device has to bring to be looked beyond."""
MOST_SHARING = 4
"""Workers of one GPU at most."""
OF_CONTEXT = 600 * 2**20
"""Bytes of a GPU that a process takes beside what torch counts."""
FILLED = 0.9
"""Share of a memory that workers may fill by what was measured."""
Tell = Callable[..., None]


class MeasuringError(Exception):
    """A worker could not measure; the message says why."""


def calibrate(request: MeasuringRequest, tell: Tell) -> Calibration:
    """Measures the ways of dividing the device that are worth it, and writes the calibration.

    Raises:
        MeasuringError: A worker broke down.
    """
    ladder = divisions(request)
    first = ladder.index((request.workers, request.threads))
    found = [_measured(request, *ladder[first], tell)]
    whole = _kept(request, found)
    for step in (-1, 1):
        place = first + step
        while 0 <= place < len(ladder) and _fits(request, found[0], ladder[place][0]):
            found.append(_measured(request, *ladder[place], tell))
            whole = _kept(request, found)
            rates = [whole.throughput(setting) for setting in whole.settings]
            if rates[-1] < GAIN * max(rates[:-1]):
                break
            place += step
    return whole


def divisions(request: MeasuringRequest) -> list[tuple[int, int]]:
    """(workers, threads of each) of the ways to divide the device, fewer workers first."""
    asked = request.workers, request.threads
    cores = request.workers * request.threads
    if request.settings.device == "gpu":
        found = {(n, max(1, cores // n)) for n in range(1, MOST_SHARING + 1)}
    else:
        found = {(cores >> n, 1 << n) for n in range(cores.bit_length())}
    # one of each number of workers: that of the submit where it is asked for
    return sorted({asked, *(pair for pair in found if pair[0] not in (0, asked[0]))})


def _fits(request: MeasuringRequest, one: "_Measured", workers: int) -> bool:
    """Whether so many workers fit the memory, by what the first ones used."""
    each = one.setting.memory
    each += OF_CONTEXT if request.settings.device == "gpu" else 0
    return workers <= request.workers or workers * each <= FILLED * one.timings[0].capacity


class _Measured:
    """What the workers of one way measured."""

    def __init__(self, workers: int, threads: int, timings: Sequence[Timings]) -> None:
        self.timings = timings
        timed = [one for found in timings for one in found.timed]
        train = fit([one for one in timed if one.kind == "train"])
        evaluate = fit([one for one in timed if one.kind == "evaluate"])
        self.setting = Setting(
            workers=workers,
            threads=threads,
            start=mean(found.start for found in timings),
            load=median(found.load for found in timings),
            train=train,
            evaluate=evaluate,
            memory=max(found.memory for found in timings),
            timed=sum(one.updates for one in timed),
            error=error(timed, train, evaluate) if timed else 0.0,
        )


def _measured(request: MeasuringRequest, workers: int, threads: int, tell: Tell) -> _Measured:
    """Starts workers side by side, lets them begin together, and reads what they measured.

    Raises:
        MeasuringError: One broke down, or says why it cannot measure.
    """
    each = f"{threads} thread{'s' * (threads > 1)}"
    tell("doing", f"{workers} worker{'s' * (workers > 1)} of {each}: loading")
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ | {"OMP_NUM_THREADS": str(threads)}
    if request.settings.device == "gpu":
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")
        environment["CUDA_VISIBLE_DEVICES"] = visible[0]
    with tempfile.TemporaryDirectory(prefix="stilt-measure-") as folder:
        path = Path(folder) / "request.json"
        path.write_text(request.model_dump_json(), encoding="utf-8")
        command = [sys.executable, "-m", "jobs.measure.timing", str(path), str(threads)]
        with (Path(folder) / "errors").open("wb+") as talk:
            processes = [
                subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=talk,
                    text=True,
                )
                for _ in range(workers)
            ]
            try:
                for process in processes:
                    _answer(process, "ready", talk)
                tell("doing", f"{workers} worker{'s' * (workers > 1)} of {each}: timing")
                for process in processes:
                    assert process.stdin is not None
                    process.stdin.write("go\n")
                    process.stdin.flush()
                found = [_answer(process, "timed", talk) for process in processes]
            finally:
                for process in processes:
                    process.kill() if process.poll() is None else None
                    process.communicate()
    return _Measured(workers, threads, [parse(Timings, one, path) for one in found])


def _answer(process: "subprocess.Popen[str]", kind: str, talk: Any) -> Any:
    """What a worker says next of a kind; other lines are of libraries."""
    assert process.stdout is not None
    for line in process.stdout:
        said = json.loads(line) if line.startswith('["') else [""]
        if said[0] == "problem":
            raise MeasuringError(said[1])
        if said[0] == kind:
            return said[1] if len(said) > 1 else None
    talk.seek(0)
    lines = talk.read().decode(errors="replace").strip().splitlines()
    raise MeasuringError(f"measuring broke down: {lines[-1] if lines else 'without a word'}")


def _kept(request: MeasuringRequest, found: Sequence[_Measured]) -> Calibration:
    """Writes all that was measured, with the tasks that were measured of the model before.

    After each division, so that a job that meets its time limit leaves what it has.
    """
    one = found[0].timings[0]
    try:
        before = read_calibration(request.file)
    except ConfigError:
        # it is replaced
        before = None
    chunks = [t.chunk for measured in found for t in measured.timings if t.chunk is not None]
    whole = Calibration(
        model=request.study.model_identity,
        model_name=request.study.grid.model.name,
        recipe=request.study.grid.recipe,
        place=request.place,
        device=one.device,
        host=one.host,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=one.versions,
        capacity=one.capacity,
        chunk=min(chunks, default=None),
        settings=tuple(measured.setting for measured in found),
        tasks=(before.tasks if before else {}) | one.tasks,
    )
    write_calibration(whole, request.file)
    return whole


def main() -> int:
    """Measures what the request names; 2 where that cannot be."""
    path = Path(sys.argv[1])
    request = parse(MeasuringRequest, read_json(path), path)

    try:
        tell("measured", calibrate(request, tell).model_dump(mode="json"))
    except MeasuringError as problem:
        tell("problem", str(problem))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

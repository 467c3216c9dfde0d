"""One worker process: ``python -m jobs.process STUDY_FOLDER BUNDLE [--more]``.

With ``--more`` it is given further bundles over standard input: to load what it needs takes longer
than some runs do.
"""

import gc
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from jobs.bundle import DeviceFault, record_error, record_missing_device, run_bundle
from jobs.settings import DEVICE_BROKEN, INTERRUPTED, Assignment, read_assignment
from jobs.worker import DeviceMissing, Worker, forget_launchers, log
from stilt.cell import SYNTHESIS
from stilt.errors import disk_full, disk_trouble
from stilt.folder import StudyFolder, read_study
from stilt.records.deaths import DISK_FULL
from stilt.study import Study
from stilt.system.interrupt import Interrupted


def main() -> int:
    """Runs one bundle, and others for as long as there are any and nothing has gone wrong.

    Returns:
        Exit code of the last: 1 if a cell failed, ``INTERRUPTED`` if there is work left,
        ``DEVICE_BROKEN``, ``DISK_FULL``.
    """
    folder = StudyFolder(Path(sys.argv[1]))
    code = run(folder, sys.argv[2])
    line = Connection(sys.stdin.fileno()) if sys.argv[3:] == ["--more"] else None
    while line and code in (0, 1):
        # between bundles there is no state to save
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        free_memory()
        try:
            line.send(code)
            bundle = str(line.recv())
        except (EOFError, OSError):
            break
        try:
            log_into(folder, bundle)
        except OSError as error:
            if not disk_trouble(error):
                raise
            return DISK_FULL
        code = run(folder, bundle)
    return code


def free_memory() -> None:
    """Gives back what a bundle has left, as others may share the machine or the GPU meanwhile."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def log_into(folder: StudyFolder, bundle: str) -> None:
    """Sends what this process prints to a bundle's own log."""
    sys.stdout.flush()
    sys.stderr.flush()
    path = folder.bundle_log(bundle)
    with path.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    os.environ["STILT_LOG_FILE"] = str(path.relative_to(folder.path))


def run(folder: StudyFolder, bundle: str) -> int:
    """Runs one bundle in this process, or with the followers that it starts.

    Returns:
        See ``main``.
    """
    study, assignment = read_study(folder), read_assignment(folder, bundle)
    forget_launchers()
    try:
        # one process generates text, whatever the number of those that train together
        if study.grid.processes > 1 and assignment.bundle.stage != SYNTHESIS:
            from jobs.parallel.leader import Leader  # few studies need it

            return Leader(study, folder, assignment).run()
        return run_alone(study, folder, assignment)
    except DeviceMissing as missing:
        record_missing_device(study, folder, assignment, str(missing))
        return DEVICE_BROKEN
    except Interrupted:
        log("asked to stop; the state is saved")
        return INTERRUPTED
    except OSError as error:
        # not even the record of a failure could be written
        if not disk_trouble(error):
            raise
        log(f"disk: {disk_full(error)}")
        return DISK_FULL


def run_alone(study: Study, folder: StudyFolder, assignment: Assignment) -> int:
    """Runs one bundle in this process alone; returns the exit code."""
    worker = Worker(study, folder, assignment.settings)
    worker.stop.listen(signal.SIGTERM, signal.SIGINT)
    try:
        return 1 if run_bundle(worker, assignment.bundle.items) else 0
    except DeviceFault as fault:
        assert isinstance(fault.__cause__, Exception)
        record_error(worker, fault.item, fault.__cause__, fault.kind)
        if fault.kind == "node":
            return DEVICE_BROKEN
        folder.claim(fault.item).unlink(missing_ok=True)
        # what is left is for a new process
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())

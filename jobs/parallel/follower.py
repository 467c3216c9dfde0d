"""One follower: ``python -m jobs.parallel.follower STUDY_FOLDER BUNDLE``, started by its leader.

It takes its share of whatever the leader runs, until the leader ends it. It writes no result.
"""

import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from jobs.bundle import classify, record_error
from jobs.run_cell import Trial
from jobs.settings import DEVICE_BROKEN, read_assignment
from jobs.worker import Attempt, DeviceMissing, Worker, log
from stilt.folder import StudyFolder, read_study
from stilt.system.interrupt import Interrupted


def main() -> int:
    """Follows until the leader ends this process, or something goes wrong.

    Returns:
        Exit code: 0 after an interrupt, 1 where an item failed, ``DEVICE_BROKEN``.
    """
    folder = StudyFolder(Path(sys.argv[1]))
    assignment = read_assignment(folder, sys.argv[2])
    _end_with_leader()
    try:
        worker = Worker(read_study(folder), folder, assignment.settings)
    except DeviceMissing as missing:
        log(str(missing))
        return DEVICE_BROKEN
    while True:
        attempt = worker.team.broadcast(Attempt("given by the leader"))
        try:
            # the leader alone keeps what comes of it
            Trial(worker, attempt).run(lambda done, total: None)
        except Interrupted:
            # the leader has saved the state of all
            return 0
        except Exception as error:  # noqa: BLE001 - recorded, as by the leader
            traceback.print_exc()
            # where the leader failed first, it ends this process now, and records its own error
            time.sleep(1)
            record_error(worker, attempt.item, error, classify(error), attempt.number)
            return 1


def _end_with_leader() -> None:
    """Ignores every signal; the process ends when its standard input, the leader's pipe, closes."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())

"""A small study that is run by processes which a test may kill, starve or lie to.

Each command is a fork of this process, which has loaded all that takes time; what it does is what a
submit on this machine does: it looks at what is missing, claims it, and runs it as a worker.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from jobs import process
from jobs.settings import Settings
from launcher.scheduler.liveness import ClaimLiveness
from launcher.study.claiming import assign, claim_bundles, drop_dead, new_submission, release
from launcher.study.outstanding import outstanding
from stilt.folder import StudyFolder, write_study
from stilt.grid import load_grid
from stilt.plan import plan
from stilt.records.finished import finished, read_ending
from stilt.records.results import Failure, Result, read_record
from stilt.study import bind
from tests.support.own_study import make_own_study

Spoil = Callable[[], None]
"""Breaks something in the process that calls it."""


class FaultedStudy:
    """One source and four cells of a user's own, in a folder."""

    def __init__(self, place: Path, model: Path) -> None:
        """Makes the data and the grid below ``place``; nothing is run yet."""
        own = make_own_study(place)
        grid = own / "own.toml"
        grid.write_text(grid.read_text().replace('["pairs", "endings"]', '["pairs"]'))
        self.study = bind(load_grid(str(grid)), "tiny", near=own)
        self.folder = StudyFolder(place / "study")
        self.cache = place / "cache"
        self.log = place / "log.txt"
        self.data = own / "data"
        self.model = model

    def settings(self) -> Settings:
        return Settings(
            submission=new_submission("local"),
            data_dir=self.data,
            cache=self.cache,
            model=str(self.model),
            device="cpu",
            threads=1,
            # the state is saved after every update
            checkpoint_seconds=1e-9,
        )

    def command(self) -> int:
        """What a submit does, in this process; the exit code of its last worker."""
        write_study(self.study, self.folder)
        lives = ClaimLiveness(self.folder).lives
        state = outstanding(self.study, self.folder, lives)
        for message in state.damaged:
            print(message, flush=True)
        drop_dead(self.folder, state.done | state.there, lives)
        whole = plan(self.study, cells=state.missing, there=state.there, held=state.held, bundles=1)
        settings = self.settings()
        mine = claim_bundles(whole, self.folder, settings.submission, lives)
        assign(mine.bundles, self.folder, settings)
        codes = [0]
        for bundle in mine.bundles:
            if not all(finished(self.study, self.folder, need) for need in bundle.needs):
                # another command makes it
                release(self.folder, settings.submission, bundle.items)
                continue
            sys.argv = ["process", str(self.folder.path), bundle.id]
            codes.append(process.main())
        return max(codes)

    def start(self, spoil: Spoil = lambda: None) -> int:
        """Begins the command in a process of its own; its id."""
        pid = os.fork()
        if pid:
            return pid
        code = 70
        try:
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            sys.stdout = os.fdopen(os.dup(log), "w")
            sys.stderr = os.fdopen(os.dup(log), "w")
            spoil()
            code = self.command()
        except BaseException:  # noqa: BLE001 - it is told in the log
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def run(self, spoil: Spoil = lambda: None) -> int:
        """Runs the command to its end; its exit code, negative for a signal."""
        return wait(self.start(spoil))

    def run_and_kill(self, seconds: float) -> int:
        """Runs the command and kills it after some time, unless it has ended by then."""
        pid = self.start()
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        return wait(pid)

    def complete(self) -> None:
        """The same command again, as after any fault: it completes the study."""
        assert self.run() == 0, self.said()
        assert set(self.scores()) == set(self.study.cells), self.said()
        assert not list(self.folder.failures.glob("[!.]*.json"))
        assert not list(self.folder.claims.glob("[!.]*.json"))

    def said(self) -> str:
        """What all commands so far printed."""
        return self.log.read_text() if self.log.exists() else ""

    def scores(self) -> dict[str, object]:
        """All that is to be equal to the bit: score, predictions, losses, norms, token counts."""
        found = {}
        for cell in self.study.cells.values():
            result = read_ending(self.study, self.folder, self.study.runs[cell.id])
            if result is not None:
                found[cell.id] = _comparable(result)
        return found

    def failures(self) -> dict[str, str]:
        """Class of each failure."""
        records = {p.stem: read_record(Failure, p) for p in self.folder.failures.glob("[!.]*.json")}
        return {item: record.kind for item, record in records.items() if record}


def _comparable(result: Result) -> object:
    return result.score, result.dev, result.training


def wait(pid: int) -> int:
    """Exit code of a process, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

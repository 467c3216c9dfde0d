"""A worker process of this machine, which runs one bundle after the other."""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import Pipe

from launcher.study.worker_code import worker_environment
from stilt.folder import StudyFolder
from stilt.system.files import make_folder


class WorkerProcess:
    """A process that has loaded what takes seconds to load, and the pool's line to it."""

    def __init__(
        self, folder: StudyFolder, bundle: str, variables: Mapping[str, str], *, more: bool
    ) -> None:
        """Starts it with its first bundle.

        Args:
            folder: the study's.
            bundle: id of the bundle.
            variables: what its environment has besides this process's.
            more: whether it is to wait for further bundles.
        """
        log = folder.bundle_log(bundle)
        make_folder(log.parent)
        environment = {**worker_environment(), **variables}
        # threads that spin while others work are many times slower where cores are shared
        environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        environment["STILT_LOG_FILE"] = str(log.relative_to(folder.path))
        self._line, theirs = Pipe()
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jobs.process", str(folder.path), bundle),
                    *(["--more"] if more else []),
                ],
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=theirs.fileno(),
                env=environment,
                # a Ctrl-C goes to the launcher alone, which asks the workers to save
                start_new_session=True,
            )
        theirs.close()

    def ended(self) -> int | None:
        """Code with which the bundle has ended, the process's own where it has; None before."""
        with suppress(EOFError, OSError):
            if self._line.poll():
                return int(self._line.recv())
        return self.process.poll()

    @property
    def lives(self) -> bool:
        """Whether it can be given another bundle."""
        return self.process.poll() is None

    def give(self, bundle: str) -> bool:
        """Gives it another bundle; False where it has died meanwhile."""
        with suppress(OSError):
            self._line.send(bundle)
            return self.lives
        return False

    def dismiss(self) -> None:
        """Lets it end, as it is given nothing any more."""
        self._line.close()

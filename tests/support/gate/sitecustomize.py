"""Holds every run after its first step while a gate is shut, so that a test can break it there.

Python loads this at its start where this folder is on PYTHONPATH. STILT_GATE names a file: while
it is there, the gate is shut. A run that a signal asks to stop passes, as it would anywhere else.
Where the file says ``eat N``, the first run to come takes N MiB of memory, and all pass; where it
says ``deaf P``, process P does not pass, whatever it is asked.
"""

import contextlib
import os
import time
from pathlib import Path

if os.environ.get("STILT_GATE"):
    from stilt.records.claims import ClaimUpdater
    from stilt.system.interrupt import StopRequest

    gate = Path(os.environ["STILT_GATE"])
    requests: list[StopRequest] = []
    eaten: list[bytes] = []
    begin, note = StopRequest.__init__, ClaimUpdater.__call__

    def begin_and_remember(self):
        begin(self)
        requests.append(self)

    def note_and_wait(self, done, total):
        note(self, done, total)
        while 0 < done < total:
            try:
                word, _, number = gate.read_text().partition(" ")
            except FileNotFoundError:
                return
            if any(requests) and (word, number) != ("deaf", str(os.getpid())):
                return
            if word == "eat":
                with contextlib.suppress(FileExistsError):
                    gate.with_suffix(".eaten").touch(exist_ok=False)
                    eaten.append(b"x" * (int(number) << 20))
                return
            time.sleep(0.05)

    StopRequest.__init__, ClaimUpdater.__call__ = begin_and_remember, note_and_wait

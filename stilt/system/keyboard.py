"""To be imported before all that takes time to load: Ctrl-C ends a command without a traceback.

Once a command has begun, ``stilt.system.command.exit_code`` says the same; until then this does.
"""

import sys
from types import TracebackType


def _hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("interrupted before anything began.\n")
        raise SystemExit(130)
    sys.__excepthook__(kind, error, traceback)


sys.excepthook = _hook

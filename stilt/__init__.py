"""What a STILT study is: tasks, grids, cells, results, data, training.

For Python there is this, and what else can be imported may change:

- ``define_study``: a grid becomes a study; ``open_study``: one that is there.
- ``run_cell``: one cell is run on this machine.
- ``results``: all cells as a polars frame.
- ``violins``: a target's scores on a matplotlib axis.

Some of these stand in packages that import this one. So they are looked up when they are used, and
``import stilt`` imports nothing.
"""

import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if sys.version_info < (3, 11):  # noqa: UP036 - a cluster's own Python is often older
    raise SystemExit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ".")

if TYPE_CHECKING:
    from analysis.api import results as results
    from analysis.api import violins as violins
    from launcher.api import define_study as define_study
    from launcher.api import run_cell as run_cell
    from stilt.folder import open_study as open_study

_STANDS_IN = {
    "define_study": "launcher.api",
    "open_study": "stilt.folder",
    "results": "analysis.api",
    "run_cell": "launcher.api",
    "violins": "analysis.api",
}
"""Name -> the module that has it."""

__all__ = ["__version__", *_STANDS_IN]


def __getattr__(name: str) -> Any:
    if name not in _STANDS_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_STANDS_IN[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_STANDS_IN})

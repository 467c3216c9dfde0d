"""What a STILT study is: tasks, grids, cells, results, data, training.

Imports none of its sibling packages.
"""

import sys

__version__ = "0.1.0"

if sys.version_info < (3, 11):  # noqa: UP036 - a cluster's own Python is often older
    raise SystemExit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ".")

"""Files of installed distributions."""

import importlib.metadata
from functools import cache
from pathlib import Path


@cache
def wheel_root(name: str) -> Path | None:
    """Folder that an installed distribution's files are relative to; None if not installed."""
    try:
        return Path(str(importlib.metadata.distribution(name).locate_file("")))
    except importlib.metadata.PackageNotFoundError:
        return None

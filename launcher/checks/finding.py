"""One line of what the doctor finds."""

from dataclasses import dataclass
from typing import Final, Literal

OK: Final = "ok"
WARN: Final = "warning"
BAD: Final = "bad"
MARK = {OK: "✓", WARN: "!", BAD: "✗"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    what: str
    state: Literal["ok", "warning", "bad"]
    seen: str
    remedy: str = ""

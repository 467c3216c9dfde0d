"""Sizes, durations and times of day, as people write them."""

from datetime import UTC, datetime


def size(number: int) -> str:
    """Bytes in words: ``1.4 GB``."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def counted(number: int, noun: str, plural: str = "") -> str:
    """How many of something, in the right form: ``1 run``, ``2 runs``, ``0 studies``."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def span(seconds: float | None) -> str:
    """A duration in its two largest units: ``48 s``, ``12 min``, ``3 h 05 min``, ``2 d 4 h``."""
    if seconds is None:
        return "?"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    if whole < 172_800:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def clock(moment: float, now: float) -> str:
    """A time of day, with the date where it is another day."""
    then, today = (datetime.fromtimestamp(seconds, UTC).astimezone() for seconds in (moment, now))
    return f"{then:%H:%M}" if then.date() == today.date() else f"{then:%d %b %H:%M}"

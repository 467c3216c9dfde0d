"""SLURM's own words and numbers, as its commands print them, and what they mean."""

import re

LIVE = frozenset(
    (
        "PENDING", "RUNNING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESIZING",
        "RESV_DEL_HOLD", "SUSPENDED", "STOPPED", "COMPLETING", "CONFIGURING", "SIGNALING",
        "STAGE_OUT", "SPECIAL_EXIT", "POWER_UP_NODE", "UPDATE_DB",
    )
)  # fmt: skip
"""States from which a job can go on: squeue(1) and sacct(1), SLURM 22.05 to 25.05."""
NEVER_STARTS = "DependencyNeverSatisfied"
"""Reason of a job that waits for something that has failed: it will never start."""


def expand(job: str) -> list[str]:
    """Every element that an id names: ``12_[5-7,9%2]`` is ``12_5 12_6 12_7 12_9``."""
    array, bracket, inside = job.partition("_[")
    if not bracket:
        return [job]
    found: list[str] = []
    for part in inside.rstrip("]").partition("%")[0].split(","):
        matched = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if matched is None:
            # squeue shortens long lists to "1,2,..." unless asked with --array
            continue
        first, last, step = (int(text) if text else None for text in matched.groups())
        assert first is not None
        found += [f"{array}_{index}" for index in range(first, (last or first) + 1, step or 1)]
    return found


def setting(config: str, name: str) -> str | None:
    """A value in the text of ``scontrol show config``; None where it is absent or not set."""
    for line in config.splitlines():
        found, equals, value = line.partition("=")
        if equals and found.strip() == name and value.strip() not in ("", "(null)"):
            return value.strip()
    return None


def seconds(text: str) -> int | None:
    """Seconds of ``[[days-]hours:]minutes:seconds``, ``days-hours[:minutes]``, or a plain number.

    Source: sbatch(1), --time. None where it is none of these, such as ``UNLIMITED``.
    """
    matched = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if matched is None:
        return None
    days, *rest = matched.groups()
    parts = [int(part) for part in rest if part is not None]
    if days is not None:
        parts = [int(days) * 24 + parts[0], *parts[1:], 0, 0][:3]
    total = 0
    for part in parts:
        total = total * 60 + part
    return total

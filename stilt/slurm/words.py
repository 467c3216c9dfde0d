"""SLURM's own words and numbers, as its commands print them, and what they mean."""

import re

LIVE = frozenset(
    (
        "PENDING", "RUNNING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESIZING",
        "RESV_DEL_HOLD", "SUSPENDED", "STOPPED", "COMPLETING", "CONFIGURING", "SIGNALING",
        "STAGE_OUT", "SPECIAL_EXIT", "POWER_UP_NODE", "UPDATE_DB",
    )
)  # fmt: skip
ENDED = frozenset(
    (
        "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL",
        "PREEMPTED", "BOOT_FAIL", "DEADLINE", "REVOKED", "LAUNCH_FAILED", "RECONFIG_FAIL",
        "EXPIRED",
    )
)  # fmt: skip
"""Source of both: squeue(1) and sacct(1), JOB STATE CODES, SLURM 22.05 to 25.05."""
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


def state_word(text: str) -> str:
    """SLURM's state in full: without "by 0", and ``OUT_OF_ME+`` spelled out."""
    word = text.split()[0] if text.split() else "UNKNOWN"
    if word.endswith("+"):
        whole = [state for state in sorted(LIVE | ENDED) if state.startswith(word[:-1])]
        return whole[0] if whole else word[:-1]
    return word


def setting(config: str, name: str) -> str | None:
    """A value in the text of ``scontrol show config``; None where it is absent or not set."""
    for line in config.splitlines():
        found, equals, value = line.partition("=")
        if equals and found.strip() == name and value.strip() not in ("", "(null)"):
            return value.strip()
    return None


def seconds(text: str) -> int | None:
    """Reads ``[days-][hours:]minutes:seconds``, or plain seconds."""
    days, dash, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdigit() for part in parts) or (dash and not days.isdigit()):
        return None
    total = 0
    for part in parts:
        total = total * 60 + int(part)
    return total + 86_400 * int(days or 0)


def gpu_number(text: str) -> int:
    """GPUs in a resource list: ``cpu=4,gres/gpu=2``, ``gres:gpu:a100:2``, ``gpu:1``."""
    plain = re.findall(r"gres/gpu=(\d+)", text)
    if plain:
        return int(plain[0])
    typed = re.findall(r"gpu(?:[:=][A-Za-z][^:,=()]*)?[:=](\d+)", text)
    return sum(map(int, typed)) or int("gpu" in text)

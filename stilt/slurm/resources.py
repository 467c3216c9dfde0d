"""Generic resources (GPUs, shares of them, licences of a node), in every spelling of SLURM's.

The one place that reads them: what a person asks for, what a node has, and what a job was given.
Sources: gres.conf(5) and slurm.conf(5), Gres; sbatch(1), --gres and --gpus; sinfo(1), %G; TRES in
sacct(1); scontrol(1), TresPerNode.
"""

import re
from collections import Counter

ALLOWED = "NAME[:TYPE][:NUMBER], with commas between, such as gpu:1, gpu:a100:2 or shard:4"
"""How a person writes generic resources."""
SHARES = ("mps", "shard")
"""Resources that are parts of a GPU; of one GPU for each job, unless the cluster says otherwise."""
POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
"""Letters behind a number, and the power of 1024 that they stand for."""
NOTHING = ("", "(null)", "N/A", "none")
"""What stands for no resources."""

_NAME = re.compile(r"[A-Za-z][\w-]*", re.ASCII)
_TYPE = re.compile(r"[A-Za-z0-9][\w.+-]*", re.ASCII)
_NUMBER = re.compile(r"[0-9]+[kKmMgGtTpP]?")

Resources = Counter[tuple[str, str]]
"""(name, type) -> how many; the type is empty where any will do."""


def resources(text: str) -> Resources | None:
    """Reads a list of generic resources; None where it is not understood.

    ``gpu:a100:4(S:0-1),gpu`` of nodes and sbatch, ``gres:gpu:1`` of squeue and scontrol with
    22.05, ``gres/gpu:1`` of later ones, ``gres/gpu=2,gres/gpu:a100=1`` of accounting, where the
    number without a type is the total of all types.
    """
    found: Resources = Counter()
    if text.strip() in NOTHING:
        return found
    totals: Resources = Counter()
    for part in _parts(text):
        read = _read(part)
        if read is None:
            return None
        name, kind, count = read
        # accounting alone writes "="
        (totals if "=" in part and not kind else found)[name, kind] += count
    for (name, _), total in totals.items():
        found[name, ""] += max(0, total - _count(found, name))
    return found


def gpu_number(given: Resources) -> int:
    """GPUs among resources; a share of one needs that one."""
    return _count(given, "gpu") or int(any(given[key] for key in given if key[0] in SHARES))


def tracked_gpus(text: str) -> int:
    """GPUs in a list of any trackable resources, such as ``cpu=4,gres/gpu=2,mem=8G``.

    0 where it is not understood: whoever asks has noted what was asked for.
    """
    mine = (part for part in _parts(text) if "=" not in part or part.startswith("gres"))
    return gpu_number(resources(",".join(mine)) or Counter())


def holds(has: Resources, wanted: Resources) -> bool:
    """Whether a node has what is wanted; a resource without a type is one of any type."""
    return all(_count(has, name, kind) >= count for (name, kind), count in wanted.items() if count)


def as_sbatch_takes_it(text: str) -> str:
    """A list as sbatch of any version takes it: ``gres/gpu=1`` is ``gpu:1``."""
    return re.sub(r"(^|,)gres[:/]", r"\1", text).replace("=", ":")


def _parts(text: str) -> list[str]:
    """What stands between the commas, without the sockets or indices in brackets."""
    return [part.strip() for part in re.sub(r"\([^()]*\)", "", text).split(",")]


def _count(given: Resources, name: str, kind: str = "") -> int:
    return sum(
        number
        for (other, its), number in given.items()
        if other == name and kind.lower() in ("", its.lower())
    )


def _read(part: str) -> tuple[str, str, int] | None:
    """Name, type and number of one resource; None where it is not understood.

    A type may be of digits only (``gpu:3090:1``), but what stands alone behind the name, and reads
    as a number, is one.
    """
    words, equals, count = re.sub(r"^gres[:/]", "", part).partition("=")
    name, *kinds = words.split(":")
    kinds = [word for word in kinds if word != "no_consume"]
    if not equals:
        count = kinds.pop() if kinds and _NUMBER.fullmatch(kinds[-1]) else "1"
    kind = "".join(kinds)
    fits = _NAME.fullmatch(name) and _NUMBER.fullmatch(count) and len(kinds) <= 1
    if not fits or (kinds and not _TYPE.fullmatch(kind)):
        return None
    digits = count.rstrip("kKmMgGtTpP")
    return name, kind, int(digits) * 1024 ** POWERS[count[len(digits) :].upper()]

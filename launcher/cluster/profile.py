"""What a cluster is asked for: one small TOML file per user or project, and flags that override it.

An example; every field may be left out::

    account   = "nlp"
    partition = "gpu"
    gres      = "gpu:a100:1"
    time      = "4:00:00"
    memory    = "32G"
    cpus      = 8
    parallel  = 40
    setup     = ["module load cuda"]
    [extra]
    mail-type = "FAIL"
"""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator
from pydantic.config import JsonDict

from stilt.config import Count, Written, flags_of, parse, read_toml
from stilt.errors import ConfigError
from stilt.slurm.resources import ALLOWED, as_sbatch_takes_it, gpu_number, resources
from stilt.slurm.words import seconds

FILE = "cluster.toml"
LAUNCHER_FLAGS = (
    *("array", "comment", "dependency", "error", "kill-on-invalid-dep", "nodes"),
    *("no-requeue", "ntasks", "ntasks-per-core", "ntasks-per-gpu", "ntasks-per-node"),
    *("ntasks-per-socket", "open-mode", "output", "requeue", "signal"),
)
"""Flags of sbatch that the launcher sets itself, or that would undo one that it sets."""
REFUSED_OPTIONS = ("chdir", "parsable", "quiet", "test-only", "wait", "wrap")
"""Flags with which jobs would not be sent, would not be found, or would be waited for."""
JOB_NAME = "job-name"
"""The flag of ``[extra]`` that is no flag of sbatch's as it is: jobs are found by their names."""
PREFIX = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,38}[A-Za-z0-9])?")
SAME = ("account", "constraint", "exclude", "gpus", "gres", "partition", "qos", "time")
FIELD_OF = {name: name for name in SAME} | {
    "cpus-per-task": "cpus",
    "gpus-per-node": "gpus",
    "gpus-per-socket": "gpus",
    "gpus-per-task": "gpus",
    "mem": "memory",
    "tres-per-job": "gres",
    "tres-per-node": "gres",
    "tres-per-socket": "gres",
    "tres-per-task": "gres",
}
"""Flags of sbatch that a field of the profile stands for."""
MOST_GPUS = 64
"""GPUs of one element; no node has more, and ``gpu:3090`` is a number without its type."""
MOST_MINUTES = 366 * 24 * 60
MOST_MEGABYTES = 2**40
"""More than any node has."""
NUMBER_OR_TEXT: JsonDict = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
"""What a field is that is read from a text, too, for the reference."""
QUOTING = "'\"`\\"
"""Signs that would end or change a quoted word of the job's script."""


def _plain_word(text: str) -> str:
    """Makes sure that a value is one word, which stays one in the job's script."""
    if not text.isprintable() or set(text) & set(QUOTING + " ") or not text:
        raise ValueError("one word is expected, without spaces, quotes or control characters")
    return text


def _shell_lines(text: str) -> str:
    """Makes sure that lines of the shell hold nothing that a terminal would not show."""
    if not text.replace("\n", "").replace("\t", "").isprintable():
        raise ValueError("lines of the shell are expected, without control characters")
    return text


def _memory(text: Any) -> str:
    """Memory as sbatch takes it; people write 32GB and 32 GiB, too."""
    found = re.fullmatch(r"([0-9]{1,9}) ?(?:([KMGT])(?:i?B)?)?", str(text), re.IGNORECASE)
    if not isinstance(text, str) or not found:
        raise ValueError('a number with K, M, G or T behind it is expected, such as "32G"')
    return found[1] + (found[2] or "").upper()


Text = Annotated[str, AfterValidator(_plain_word)]


class Profile(Written):
    """Resources of one array element, and limits that hold for a whole submit."""

    account: Text | None = None
    """Account to charge."""
    partition: Text | None = None
    """Partition (queue)."""
    qos: Text | None = None
    """Quality of service."""
    gres: Text | None = None
    """Generic resources of one element, such as gpu:a100:1."""
    constraint: Text | None = None
    """Features a node must have."""
    exclude: Text | None = None
    """Nodes not to use."""
    time: int = Field(
        default=240, ge=2, le=MOST_MINUTES, strict=True, json_schema_extra=NUMBER_OR_TEXT
    )
    """Time limit of one element: minutes, or hours:minutes:seconds."""
    memory: Annotated[str, BeforeValidator(_memory)] | None = None
    """Memory of one element, such as 32G."""
    cpus: Count = 4
    """CPUs of one element."""
    gpus: Annotated[int, Field(ge=0, le=MOST_GPUS, strict=True)] | None = None
    """GPUs of one element; 0 for none."""
    workers_per_gpu: Count = 1
    """Processes that share an element and its GPU."""
    parallel: Count | None = None
    """Elements that run at one time at most."""
    array_size: Count | None = None
    """Elements of one array at most; asked of the cluster where absent."""
    signal_seconds: int = Field(default=120, ge=10, le=65_535, strict=True)
    """How long before the time limit a worker is told to save its state."""
    max_timeouts: int = Field(default=20, ge=0, le=10_000, strict=True)
    """How often an element is requeued after the time limit."""
    setup: tuple[Annotated[str, AfterValidator(_shell_lines)], ...] = ()
    """Shell lines run before the worker: modules, proxies, scratch folders."""
    extra: dict[str, str | int | bool] = Field(default_factory=dict)
    """Any other flags of sbatch; true for a flag without a value. The names of all jobs begin with
    ``job-name``."""

    @field_validator("time", mode="before")
    @classmethod
    def _time(cls, value: Any) -> Any:
        return minutes(value) if isinstance(value, str) else value

    @field_validator("gres")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        wanted = resources(value or "")
        if wanted is None:
            raise ValueError(f"expected is {ALLOWED}")
        if gpu_number(wanted) > MOST_GPUS:
            raise ValueError(
                f"that is {gpu_number(wanted)} GPUs for one element, and {MOST_GPUS} are the most; "
                "a type stands before the number, as in gpu:3090:1"
            )
        return value and as_sbatch_takes_it(value)

    @field_validator("extra")
    @classmethod
    def _not_ours(cls, value: dict[str, str | int | bool]) -> dict[str, str | int | bool]:
        plain = {}
        for key, flag in sorted(value.items()):
            name = key.lstrip("-").replace("_", "-")
            plain[name] = flag
            if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
                raise ValueError(f"{key!r} is no flag of sbatch: small letters and dashes")
            if isinstance(flag, str) and (not flag.isprintable() or set(flag) & set(QUOTING)):
                raise ValueError(
                    f"'{name}' = {flag!r}: one line without quotes or control characters is "
                    "expected"
                )
            why = _taken(name)
            if why:
                raise ValueError(f"'{name}' {why}")
            if name == JOB_NAME and not (isinstance(flag, str) and PREFIX.fullmatch(flag)):
                raise ValueError(
                    f"'{name}' = {flag!r}: at most 40 letters, digits, dots and dashes are "
                    "expected; the names of all jobs begin with them"
                )
        return plain

    @model_validator(mode="after")
    def _consistent(self) -> "Profile":
        # sbatch(1): --mem, --mem-per-cpu and --mem-per-gpu exclude each other
        for name in ("mem-per-cpu", "mem-per-gpu"):
            if name in self.extra and self.memory is not None:
                raise ValueError(f"field 'extra': '{name}' and 'memory' exclude each other")
        named = gpu_number(resources(self.gres or "") or Counter())
        if self.gres and not named and self.gpus is None:
            raise ValueError(
                f"'gres' = {self.gres!r} names no GPU: add gpu:1, or say gpus = 0 for CPUs alone"
            )
        if named and self.gpus not in (None, named):
            raise ValueError(
                f"'gres' = {self.gres!r} and 'gpus' = {self.gpus} disagree: give one of them"
            )
        if self.signal_seconds > 30 * self.time:
            raise ValueError(
                f"'signal_seconds' = {self.signal_seconds}: at most half of 'time' "
                f"({self.time} minutes) can be kept for saving"
            )
        return self

    @property
    def job_prefix(self) -> str:
        """What a person wants the names of her jobs to begin with; empty for nothing."""
        return str(self.extra.get(JOB_NAME, ""))

    @property
    def megabytes(self) -> int | None:
        """Memory of one element in MB, as sbatch counts; None where none is asked for by name."""
        if self.memory is None:
            return None
        letter = self.memory[-1] if self.memory[-1].isalpha() else "M"
        count = int(self.memory.rstrip(letter)) * 1024 ** ("KMGT".index(letter) - 1)
        # sbatch(1): 0 is all that the node has
        return max(1, int(count)) if count else MOST_MEGABYTES

    @property
    def element_gpus(self) -> int:
        """GPUs that one element gets."""
        if self.gpus is not None:
            return self.gpus
        return gpu_number(resources(self.gres or "gpu:1") or Counter())

    @property
    def gpus_beside_gres(self) -> int | None:
        """GPUs that are asked for by their number, as ``gres`` names none; None for none."""
        named = gpu_number(resources(self.gres or "") or Counter())
        return None if named else self.element_gpus or None

    @property
    def node_resources(self) -> str | None:
        """All generic resources that an element wants of its node, as sbatch writes them."""
        gpus = self.gpus_beside_gres
        return ",".join(filter(None, (self.gres, f"gpu:{gpus}" if gpus else None))) or None

    @property
    def place(self) -> str:
        """Where its elements run, as far as it says: what a measured speed holds for."""
        names = ("partition", "gres", "constraint")
        said = [f"{name} {value}" for name in names if (value := getattr(self, name)) is not None]
        gpus = self.gpus_beside_gres
        said += [f"{gpus} GPU{'s' * (gpus > 1)}"] if gpus else []
        said += ["no GPU"] if not self.element_gpus else []
        return f"SLURM: {', '.join(said)}"

    def workers(self, processes: int) -> int:
        """Workers of one element.

        Args:
            processes: data-parallel processes of each.

        Raises:
            ConfigError: An element has fewer GPUs than one run wants.
        """
        if 0 < self.element_gpus < processes:
            raise ConfigError(
                f"the grid's field 'processes' = {processes} wants as many GPUs for each run, and "
                f'an array element gets {self.element_gpus}: set gres = "gpu:{processes}" in '
                f"{FILE}, or --gres gpu:{processes}."
            )
        return max(1, self.workers_per_gpu * max(1, self.element_gpus) // processes)

    def threads(self, processes: int) -> int:
        """CPU threads of each of an element's processes."""
        return max(1, self.cpus // (self.workers(processes) * processes))


OVERRIDING = (
    *("account", "partition", "qos", "gres", "constraint", "exclude", "time", "memory", "cpus"),
    *("gpus", "workers_per_gpu", "parallel"),
)
Flags = flags_of(Profile, dict.fromkeys(OVERRIDING), time=str)
"""Flags that override the profile, for --executor slurm; None where the profile is to decide."""


def read_profile(file: Path | None = None, **flags: Any) -> Profile:
    """Reads the cluster's profile and lets flags override it.

    Args:
        file: the profile; by default the first of ``profile_paths`` that is there.
        flags: values of ``Flags``.

    Raises:
        ConfigError: The file, or a flag, says something that is not allowed.
    """
    path = file or next((place for place in profile_paths() if place.is_file()), None)
    table = read_toml(path) if path else {}
    given = {name: value for name, value in flags.items() if value is not None}
    # both say how many GPUs: what is typed counts, unless the file's names other things too
    if "gres" in given or set(_names(table.get("gres"))) <= {"gpu"}:
        for one, other in (("gres", "gpus"), ("gpus", "gres")):
            if one in given and other not in given:
                table.pop(other, None)
    where = f"{path} with flags" if path and given else path or "flags"
    return parse(Profile, table | given, where)


def _names(gres: Any) -> list[str]:
    """Names of the resources that a file asks for, whatever stands there."""
    return [name for name, _ in (resources(gres) or ())] if isinstance(gres, str) else []


def profile_paths() -> list[Path]:
    """Files that hold a profile, the first one found wins: the project's, then the user's."""
    return [Path(FILE), Path(platformdirs.user_config_dir("stilt", appauthor=False)) / FILE]


def _taken(name: str) -> str | None:
    """Why a flag of sbatch is not one for ``[extra]``; None where it is.

    sbatch takes the beginning of a flag for the whole of it: getopt_long(3).
    """
    if "clusters".startswith(name):
        return (
            "would send jobs where nobody looks for them: export SLURM_CLUSTERS instead, which "
            "squeue, sacct and scancel obey too"
        )
    if name == JOB_NAME:
        return None
    if name in FIELD_OF:
        return f"has a field of its own: '{FIELD_OF[name]}', above [extra]"
    if name in LAUNCHER_FLAGS:
        return "is set by the launcher"
    if name in REFUSED_OPTIONS:
        return "would keep the launcher from sending jobs or finding them"
    flags = (*FIELD_OF, *LAUNCHER_FLAGS, *REFUSED_OPTIONS, JOB_NAME)
    longer = next((flag for flag in flags if flag.startswith(name)), None)
    if longer is None:
        return None
    return f"is the beginning of '{longer}', and '{longer}' {_taken(longer) or 'can be given'}"


def minutes(text: str) -> int:
    """Whole minutes of a time as SLURM writes it, rounded up.

    Source: sbatch(1), --time: minutes, minutes:seconds, hours:minutes:seconds, days-hours,
    days-hours:minutes, days-hours:minutes:seconds.

    Raises:
        ValueError: It is not one of these forms.
    """
    found = seconds(text)
    if found is None:
        raise ValueError("minutes, hours:minutes:seconds or days-hours are expected")
    return found if text.strip().isdigit() else -(-found // 60)

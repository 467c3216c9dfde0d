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

from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import ConfigDict, Field, field_validator, model_validator

from stilt.config import Frozen, flags_of, parse, read_toml
from stilt.errors import ConfigError
from stilt.slurm.words import gpu_number, seconds

FILE = "cluster.toml"
LAUNCHER_FLAGS = (
    *("array", "comment", "dependency", "error", "job-name", "kill-on-invalid-dep", "nodes"),
    *("no-requeue", "ntasks", "ntasks-per-core", "ntasks-per-gpu", "ntasks-per-node"),
    *("ntasks-per-socket", "open-mode", "output", "requeue", "signal"),
)
"""Flags of sbatch that the launcher sets itself, or that would undo one that it sets."""
REFUSED_OPTIONS = ("chdir", "parsable", "quiet", "test-only", "wait", "wrap")
"""Flags with which jobs would not be sent, would not be found, or would be waited for."""
SAME = ("account", "constraint", "exclude", "gpus", "gres", "partition", "qos", "time")
FIELD_OF = {name: name for name in SAME} | {
    "cpus-per-task": "cpus",
    "gpus-per-node": "gpus",
    "gpus-per-socket": "gpus",
    "gpus-per-task": "gpus",
    "mem": "memory",
}
"""Flags of sbatch that a field of the profile stands for."""

AtLeastOne = Annotated[int, Field(ge=1)]
Text = Annotated[str, Field(pattern=r"^\S+$")]


class Profile(Frozen):
    """Resources of one array element, and limits that hold for a whole submit."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    account: Text | None = None
    """Account to charge."""
    partition: Text | None = None
    """Partition (queue)."""
    qos: Text | None = None
    """Quality of service."""
    gres: Text | None = None
    """Generic resources of one element, such as gpu:a100:1."""
    constraint: str | None = None
    """Features a node must have."""
    exclude: Text | None = None
    """Nodes not to use."""
    time: int = Field(default=240, ge=2)
    """Time limit of one element: minutes, or hours:minutes:seconds."""
    memory: str | None = Field(default=None, pattern=r"^\d+[KMGT]?$")
    """Memory of one element, such as 32G."""
    cpus: AtLeastOne = 4
    """CPUs of one element."""
    gpus: Annotated[int, Field(ge=0)] | None = None
    """GPUs of one element; 0 for none."""
    workers_per_gpu: AtLeastOne = 1
    """Processes that share an element and its GPU."""
    parallel: AtLeastOne | None = None
    """Elements that run at one time at most."""
    array_size: AtLeastOne | None = None
    """Elements of one array at most; asked of the cluster where absent."""
    signal_seconds: int = Field(default=120, ge=10)
    """How long before the time limit a worker is told to save its state."""
    max_timeouts: int = Field(default=20, ge=0)
    """How often an element is requeued after the time limit."""
    setup: tuple[str, ...] = ()
    """Shell lines run before the worker: modules, proxies, scratch folders."""
    extra: dict[str, str | int | bool] = Field(default_factory=dict)
    """Any other flags of sbatch; true for a flag without a value."""

    @field_validator("time", mode="before")
    @classmethod
    def _time(cls, value: Any) -> Any:
        return minutes(value) if isinstance(value, str) else value

    @field_validator("extra")
    @classmethod
    def _not_ours(cls, value: dict[str, str | int | bool]) -> dict[str, str | int | bool]:
        plain = {key.lstrip("-").replace("_", "-"): flag for key, flag in value.items()}
        for name in sorted(plain):
            why = _taken(name)
            if why:
                raise ValueError(f"'{name}' {why}")
        return plain

    @model_validator(mode="after")
    def _consistent(self) -> "Profile":
        # sbatch(1): --mem, --mem-per-cpu and --mem-per-gpu exclude each other
        for name in ("mem-per-cpu", "mem-per-gpu"):
            if name in self.extra and self.memory is not None:
                raise ValueError(f"field 'extra': '{name}' and 'memory' exclude each other")
        if self.signal_seconds > 30 * self.time:
            raise ValueError(
                f"'signal_seconds' = {self.signal_seconds}: at most half of 'time' "
                f"({self.time} minutes) can be kept for saving"
            )
        return self

    @property
    def element_gpus(self) -> int:
        """GPUs that one element gets."""
        return gpu_number(self.gres or "gpu:1") if self.gpus is None else self.gpus

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
    where = f"{path} with flags" if path and given else path or "flags"
    return parse(Profile, table | given, where)


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
    if name in FIELD_OF:
        return f"has a field of its own: '{FIELD_OF[name]}', above [extra]"
    if name in LAUNCHER_FLAGS:
        return "is set by the launcher"
    if name in REFUSED_OPTIONS:
        return "would keep the launcher from sending jobs or finding them"
    flags = (*FIELD_OF, *LAUNCHER_FLAGS, *REFUSED_OPTIONS)
    longer = next((flag for flag in flags if flag.startswith(name)), None)
    return f"is the beginning of '{longer}', and '{longer}' {_taken(longer)}" if longer else None


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

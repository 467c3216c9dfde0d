"""What workers run: the code's copy for SLURM, its commit, the environment."""

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from stilt.folder import StudyFolder
from stilt.system.files import make_folder
from stilt.system.invocation import ROOT, is_checkout

REPOSITORY = ROOT
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
}
"""Variables with which a worker fetches nothing and draws no bars in its log."""


def commit() -> str | None:
    """Returns the repository's commit, with ``+`` where the working tree has changes."""
    if not is_checkout():
        # what is installed may lie in an environment within another repository
        return None
    command = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty=+", "--abbrev=12"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip() or None


def worker_environment() -> dict[str, str]:
    """Returns the environment in which a worker runs this code, fetches nothing, draws no bars.

    The folder that it is started in is not searched: a jobs.py or random.py there is the person's.
    An empty part of PYTHONPATH would stand for that folder.
    """
    path = [str(REPOSITORY), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    own = {"PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"}
    return os.environ | QUIET | own


def snapshot(folder: StudyFolder, repository: Path = REPOSITORY) -> Path:
    """Copies the code into the study's folder, once for each state of it.

    Args:
        folder: the study's folder; the copy is ``code/<digest>`` below it.
        repository: folder that holds the packages.

    Returns:
        The copy, to be put on a job's ``PYTHONPATH``.
    """
    files = (
        path
        for package in ("stilt", "launcher", "jobs")
        for path in (repository / package).rglob("*")
        if path.suffix in (".py", ".toml") and path.is_file() and "__pycache__" not in path.parts
    )
    content = {path.relative_to(repository): path.read_bytes() for path in sorted(files)}
    seen = hashlib.sha256()
    for name, data in content.items():
        seen.update(f"{name.as_posix()}\0{len(data)}\0".encode() + data)
    place = folder.path / "code" / seen.hexdigest()[:12]
    if place.is_dir():
        return place.resolve()
    make_folder(place.parent)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".") as temporary:
        copy = Path(temporary) / "code"
        for name, data in content.items():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(target.stat().st_mode & 0o444)
        try:
            copy.rename(place)
        except OSError:
            # another submit made the same copy in the meantime
            if not place.is_dir():
                raise
    return place.resolve()

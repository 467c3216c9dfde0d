"""What a process that may load torch is asked for, and what it finds: ``jobs.staging``."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from jobs.settings import Settings, StagingRequest
from launcher.study.resolve import ResolvedStudy
from launcher.study.worker_code import worker_environment
from stilt.data.splits import Splits
from stilt.data.staged import Staged
from stilt.errors import DataError, ModelError
from stilt.model.tried import tried_file


def as_request(resolved: ResolvedStudy, *, generate: bool, device: str) -> StagingRequest:
    """Returns what the staging process is asked for."""
    assert resolved.model is not None
    settings = Settings(
        submission="stage",
        data_dir=resolved.data_dir,
        cache=resolved.cache.absolute(),
        model=resolved.model.name,
        model_revision=resolved.model.revision,
        model_files=resolved.model_files,
        device="cpu",
    )
    return StagingRequest(
        study=resolved.study,
        folder=resolved.folder.path.absolute(),
        settings=settings,
        generate=generate,
        device=device,
    )


def run(request: StagingRequest, console: Console, *, online: bool) -> list[Staged]:
    """Stages in a process of its own, which alone loads torch; shows what it does.

    Raises:
        DataError: The process broke down; the message has its last line.
    """
    environment = worker_environment()
    if online:
        environment.pop("HF_HUB_OFFLINE")
    with tempfile.TemporaryDirectory(prefix="stilt-stage-") as folder:
        path = Path(folder) / "request.json"
        path.write_text(request.model_dump_json(), encoding="utf-8")
        errors = Path(folder) / "errors"
        with errors.open("wb") as talk, console.status("loading torch") as status:
            found = []
            with subprocess.Popen(
                [sys.executable, "-m", "jobs.staging", str(path)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=talk,
                text=True,
            ) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    # other lines are of libraries
                    kind, content = json.loads(line) if line.startswith('["') else ("", None)
                    if kind == "doing":
                        status.update(str(content))
                    elif kind == "staged":
                        found.append(Staged.model_validate(content))
        if process.returncode:
            lines = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise DataError(f"staging broke down: {lines[-1] if lines else 'without a word'}")
    return found


def require_tried(resolved: ResolvedStudy, splits: Mapping[str, Splits], console: Console) -> None:
    """Tries the study's model on its tasks, as staging does, unless that was done before.

    Args:
        resolved: the study.
        splits: rows of each task that is not generated.
        console: is told what is done.

    Raises:
        ModelError: The model, or its tokenizer, is of no use for a task.
    """
    study = resolved.study
    digests = {name: splits[name].digest() if name in splits else "" for name in study.tasks}
    untried = tuple(
        name
        for name, task in study.tasks.items()
        if not tried_file(resolved.cache, study.model_identity, task, digests[name]).is_file()
    )
    if not untried:
        return
    console.print("trying the model on each task, once; this takes up to a minute")
    request = as_request(resolved, generate=False, device="cpu")
    try:
        found = run(request.model_copy(update={"trial": untried}), console, online=False)
    except DataError as error:
        # such as for want of memory on a login node: the jobs try it, too
        console.print(f"it could not be tried here ({error}): the first job will tell")
        return
    for item in found:
        if item.note:
            console.print(f"{item.name}: {item.note}.")
    if problems := [item.problem for item in found if item.problem]:
        raise ModelError("\n  ".join(dict.fromkeys(problems)))

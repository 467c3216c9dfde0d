"""The one place that asks SLURM's commands: without variables that change their answers."""

import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass

SECONDS = 30.0
"""For one call; a controller that answers later is taken to be down."""
MOMENT = 3.0
"""Seconds after which a person is told what is waited for."""
FLAG_VARIABLES = ("SACCTMGR_", "SACCT_", "SCANCEL_", "SCONTROL_", "SINFO_", "SQUEUE_")
"""Beginnings of variables that stand for flags of these commands, such as SQUEUE_PARTITION, and
which a user sets for her own looks at the queue; see ENVIRONMENT VARIABLES in each one's manual.
SLURM_CONF and SLURM_CLUSTERS stay: they say which SLURM is meant."""
FORMAT_VARIABLES = ("SLURM_BITSTR_LEN", "SLURM_TIME_FORMAT")
"""Variables that change how ids of elements and times are written."""


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    output: str = ""
    errors: str = ""
    problem: str | None = None
    """Why there is no answer; None where there is one."""
    code: int | None = None
    """Exit code, negative where a signal ended the command; None where it did not end by itself."""


def ask(
    *command: str, seconds: float | None = None, waiting: Callable[[str], object] | None = None
) -> Answer:
    """Runs a command of SLURM and waits for its end.

    Args:
        command: the program and its arguments.
        seconds: how long to wait at most; ``SECONDS`` by default.
        waiting: told what is waited for, where it takes more than a ``MOMENT``.
    """
    name = command[0]
    limit = SECONDS if seconds is None else seconds
    environment = {
        variable: value
        for variable, value in os.environ.items()
        if variable not in FORMAT_VARIABLES and not variable.startswith(FLAG_VARIABLES)
    }
    note = f"waiting for SLURM: {name} has not answered yet (at most {limit:g} s)"
    timer = threading.Timer(MOMENT, waiting or str, [note])
    timer.daemon = True
    timer.start()
    try:
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit,
            check=False,
            env=environment,
        )
    except FileNotFoundError:
        return Answer(problem=f"{name} is not installed here")
    except PermissionError:
        return Answer(problem=f"{name} may not be run")
    except subprocess.TimeoutExpired:
        return Answer(problem=f"{name} did not answer in {limit:g} s")
    finally:
        timer.cancel()
    if run.returncode == 0:
        return Answer(run.stdout, run.stderr, code=0)
    said = [line.strip() for line in run.stderr.splitlines() if line.strip()]
    why = said[-1] if said else f"exit code {run.returncode}"
    return Answer(run.stdout, run.stderr, f"{name} failed: {why}"[:200], run.returncode)

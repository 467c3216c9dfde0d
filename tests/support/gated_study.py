"""A study on a real SLURM whose runs wait in the middle, so that a test can break them there."""

import contextlib
import io
import json
import os
import subprocess
from pathlib import Path
from unittest import mock

from launcher.status import main as status
from stilt.folder import StudyFolder, read_study
from stilt.records.claims import Claim
from stilt.study import Study
from tests.support.live_study import (
    PROFILE,
    endings,
    numbers,
    running_cells,
    submit,
    submit_command,
    wait,
    wait_for_all_jobs,
)

GATE = Path(__file__).with_name("gate")
"""A folder for PYTHONPATH: see its ``sitecustomize``."""


def undisturbed(own: Path, root: Path) -> dict[str, tuple]:
    """What a study comes to where nothing goes wrong, run on this machine."""
    submit(own, root, "--executor", "local", "--workers", "1", "--bundles", "1")
    folder = StudyFolder(root / "own")
    study = read_study(folder)
    found = numbers(study, folder)
    assert len(found) == len(study.cells) + len(study.sources)
    return found


class GatedStudy:
    """One study in a folder of its own; its gate is shut at first."""

    def __init__(self, own: Path, place: Path, calm: dict[str, tuple]) -> None:
        """Writes the gate.

        Args:
            own: grid, model and data.
            place: where the study's root and the gate will be.
            calm: what ``undisturbed`` tells of it.
        """
        self.own = own
        self.root = place / "logs"
        self.calm = calm
        self.gate = place / "gate"
        self.shut()

    @property
    def folder(self) -> StudyFolder:
        return StudyFolder(self.root / "own")

    @property
    def study(self) -> Study:
        return read_study(self.folder)

    def shut(self, word: str = "wait") -> None:
        """Shuts the gate; for other words see its ``sitecustomize``."""
        part = self.gate.with_suffix(".part")
        part.write_text(word)
        part.replace(self.gate)

    def open(self) -> None:
        self.gate.unlink(missing_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        """What commands and jobs are given so that they see the gate."""
        here = os.environ.get("PYTHONPATH", "")
        path = os.pathsep.join(filter(None, (str(GATE), here)))
        return os.environ | {"PYTHONPATH": path, "STILT_GATE": str(self.gate)}

    def profile(self, more: str) -> Path:
        """A profile of the cluster with more lines than the usual one, or others in their place."""
        lines = {line.partition(" = ")[0]: line for line in (PROFILE + more).splitlines()}
        path = self.gate.with_name("other.toml")
        path.write_text("\n".join(lines.values()) + "\n")
        return path

    def submit(self, *more: str, check: bool = True) -> str:
        """Submits to SLURM as a person would; returns what was printed."""
        return submit(self.own, self.root, *more, check=check, env=self.environment)

    def start(self, *more: str, **options) -> subprocess.Popen[str]:
        """Begins a submit and does not wait for its end."""
        return subprocess.Popen(
            submit_command(self.root, *more),
            **{"cwd": self.own, "env": self.environment} | options,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def at_gate(self, count: int, but: set[str] = frozenset()) -> list[Claim]:
        """Waits until so many cells are at the gate, in elements other than some."""

        def there():
            if not self.folder.study_file.exists():
                return None
            found = running_cells(self.folder, self.study, but)
            found = [claim for claim in found if claim.done]
            return found if len(found) >= count else None

        return wait(there, f"{count} cells at the gate")

    def shown(self, *arguments: str) -> str:
        """What status.py shows on a wide screen, with a blank for each space."""
        wide = mock.patch.dict(os.environ, COLUMNS="400")
        with wide, contextlib.redirect_stdout(io.StringIO()) as printed:
            status([*arguments, "--root", str(self.root)])
        return " ".join(printed.getvalue().split())

    def items(self) -> dict[str, dict]:
        """What ``status.py --json`` says of each run."""
        return {item["id"]: item for item in json.loads(self.shown("own", "--json"))["items"]}

    def states(self) -> list[tuple[str, str]]:
        """(state, class) of all runs, in order."""
        return sorted((item["state"], item["kind"] or "") for item in self.items().values())

    def wait_for(self, item: str, state: str, kind: str = "") -> str:
        """Waits until status tells so of a run; returns what ``status.py why`` then shows."""

        def told():
            found = self.items()[item]
            return (found["state"], found["kind"] or "") == (state, kind)

        wait(told, f"{item} to be {state} {kind}\n{self.shown('why', item)}")
        return self.shown("why", item)

    def log(self, claim: Claim) -> str:
        """Path of the log that a claim's element writes."""
        [path] = self.folder.slurm.glob(f"{claim.job}_*log.out")
        return str(path)

    def finish(self, *, once: bool = True, submits: int = 6) -> None:
        """Opens the gate, submits what is missing, and compares with the undisturbed study.

        Args:
            once: whether each run ended with a score only once.
            submits: how many are allowed.
        """
        self.open()
        wait_for_all_jobs()
        for _ in range(submits):
            there = self.folder.study_file.exists()
            if there and len(numbers(self.study, self.folder)) == len(self.calm):
                break
            self.submit("--bundles", "2")
            wait_for_all_jobs()
        assert numbers(self.study, self.folder) == self.calm, self.shown("own")
        assert not once or set(endings(self.folder).values()) == {1}
        assert not list(self.folder.failures.glob("*.json"))
        assert not list(self.folder.claims.glob("[!.]*.json"))
        assert {state for state, _ in self.states()} == {"done"}

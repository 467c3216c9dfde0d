"""An array element of SLURM, run in this process, for the tests of what it does."""

import signal
from pathlib import Path

import pytest

from jobs.settings import Settings
from jobs.slurm_task import BundleTask
from launcher.study.claiming import assign
from stilt.folder import StudyFolder, write_study
from stilt.grid import load_grid
from stilt.plan import Bundle
from stilt.records import claims
from stilt.study import bind
from tests.support.fake_commands import Commands

JOB = "JobId=7 Partition=gpu ExcNodeList=(null) Features=(null) TresPerNode=gres:gpu:1"


class Element:
    """A bundle that was submitted, and what SLURM is told."""

    def __init__(self, study, folder, settings, commands) -> None:
        self.study, self.folder, self.settings, self.commands = study, folder, settings, commands
        self.cells = [c.id for c in study.cells.values() if c.source_id is None]

    def submit(self, stage, items):
        for item in items:
            assert claims.take(claims.new_claim(item, "slurm-1", stage), self.folder.claim(item))
        bundle = Bundle(id=stage, stage=stage, items=tuple(items), cost=1.0)
        assign([bundle], self.folder, self.settings)

    def run(self, stage, workers=1):
        return BundleTask(str(self.folder.path), stage, workers)()

    def held(self):
        return {path.stem for path in self.folder.claims.glob("[!.]*.json")}

    def scored(self):
        return {path.stem for path in self.folder.results.glob("*.json")}

    def asked(self, word):
        return [line for line in self.commands.called("scontrol") if f" {word}" in line]


@pytest.fixture(autouse=True)
def _python_path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.fixture
def element(own_study, roberta, tmp_path, monkeypatch):
    """An array element of SLURM on node1; node2 is left, and scontrol takes what it is told."""
    study = bind(load_grid(str(own_study / "own.toml")), "tiny", near=own_study)
    folder = StudyFolder(tmp_path / "study")
    write_study(study, folder)
    folder.slurm.mkdir()
    commands = Commands(tmp_path / "slurm", monkeypatch)
    commands.say("scontrol", f"{JOB} node1")
    commands.say("sinfo", "node1|gpu:1|(null)|idle|gpu*\nnode2|gpu:1|(null)|idle|gpu*\n")
    for name, value in {
        "SUBMITIT_EXECUTOR": "slurm",
        "SUBMITIT_FOLDER": str(folder.slurm),
        "SLURM_JOB_ID": "7",
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_ARRAY_TASK_ID": "0",
        "SLURMD_NODENAME": "node1",
        "STILT_LOG_FILE": "",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("jobs.requeue.PAUSE_SECONDS", 0.0)
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR2, signal.SIGTERM)}
    settings = Settings(
        submission="slurm-1",
        data_dir=own_study / "data",
        cache=tmp_path / "cache",
        model=str(roberta),
        device="cpu",
        threads=1,
    )
    yield Element(study, folder, settings, commands)
    for number, handler in before.items():
        signal.signal(number, handler)

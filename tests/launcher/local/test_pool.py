"""The pool with made-up workers; true ones run in tests/launcher/test_submit.py."""

import sys
from io import StringIO

import pytest
from rich.console import Console

from jobs.settings import Settings
from launcher.local.pool import Pool
from launcher.study.claiming import claim_bundles
from launcher.study.resolve import ResolvedStudy
from stilt.folder import StudyFolder, write_study
from stilt.grid import Grid
from stilt.plan import plan
from stilt.records.claims import new_claim, read, take
from stilt.study import bind
from tests.support.fake_study import EIGHT_CELLS, make_study


def test_a_run_that_ends_just_before_its_worker_is_done_and_did_not_crash(tmp_path, monkeypatch):
    study = make_study(tmp_path / "small", grid=EIGHT_CELLS)
    folder = StudyFolder(tmp_path / "small")
    cell = next(iter(study.cells))
    record = folder.result(cell).read_bytes()
    folder.result(cell).unlink()

    class Worker:
        """A process that writes the last record as it is looked at, and has ended."""

        returncode = 0

        def poll(self):
            folder.result(cell).write_bytes(record)
            folder.claim(cell).unlink(missing_ok=True)
            return self.returncode

    given = {}
    monkeypatch.setattr(
        "launcher.local.workers.subprocess.Popen",
        lambda *what, **how: given.update(how) or Worker(),
    )
    monkeypatch.setattr("launcher.local.pool.WORKER_SECONDS", 0)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    mine = claim_bundles(plan(study, cells=[cell]), folder, "local-1", lambda claim: True)
    pool = Pool(
        ResolvedStudy(study, folder, None, None, tmp_path),
        mine,
        Settings(submission="local-1", cache=tmp_path, model="model"),
        workers=1,
        gpus=0,
        sizes={},
        console=Console(file=StringIO()),
    )
    outcome = pool.run()
    assert (outcome.done, outcome.failed) == ([cell], [])
    # threads that spin while they wait are many times slower where cores are shared
    assert given["env"]["OMP_WAIT_POLICY"] == "PASSIVE"


def pool_of(folder, study, mine, said):
    return Pool(
        ResolvedStudy(study, folder, None, None, folder.path.parent),
        mine,
        Settings(submission="local-1", cache=folder.path.parent, model="model"),
        workers=1,
        gpus=0,
        sizes={},
        console=Console(file=said, width=200),
    )


@pytest.fixture
def small(tmp_path):
    """A study without results, one of its cells, and a plan of that alone."""
    study = make_study(tmp_path / "small", grid=EIGHT_CELLS, missing=1.0, sources=False)
    folder = StudyFolder(tmp_path / "small")
    cell = next(cell.id for cell in study.cells.values() if cell.source_id is None)
    mine = claim_bundles(plan(study, cells=[cell]), folder, "local-1", lambda claim: True)
    return study, folder, cell, mine


@pytest.mark.parametrize(
    "why", ["the study no longer has it", "others hold it, or it was cancelled", "taken"]
)
def test_a_run_whose_claim_is_gone_when_its_worker_ends_is_no_failure(small, monkeypatch, why):
    study, folder, cell, mine = small
    other = new_claim(cell, "local-2", "theirs")

    class Worker:
        """A process that finds that its one cell is not to be run any more."""

        returncode = 0
        pid = 7

        def poll(self):
            folder.claim(cell).unlink(missing_ok=True)
            if why == "taken":
                take(other, folder.claim(cell))
            return self.returncode

    monkeypatch.setattr("launcher.local.workers.subprocess.Popen", lambda *what, **how: Worker())
    monkeypatch.setattr("launcher.local.pool.WORKER_SECONDS", 0)
    if why == "the study no longer has it":
        (block,) = EIGHT_CELLS["blocks"]
        fewer = EIGHT_CELLS | {"blocks": [block | {"sources": ["hellaswag"]}]}
        write_study(bind(Grid.model_validate(fewer), study.model_identity, name="small"), folder)
    said = StringIO()
    outcome = pool_of(folder, study, mine, said).run()
    assert (outcome.done, outcome.failed) == ([], [])
    assert not folder.failure(cell).exists()
    told = "others hold it, or it was cancelled" if why == "taken" else why
    assert f"left out, because {told}" in said.getvalue()
    # nobody takes away what another one holds
    assert read(folder.claim(cell)) == (other if why == "taken" else None)


WORKER = """#!{python}
import pathlib, signal, sys, time
from multiprocessing.connection import Connection

asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
pathlib.Path({ready!r}).touch()
while not asked:
    time.sleep(0.01)
line = Connection(0)
try:
    line.send(0)
    line.recv()
except (EOFError, OSError):
    sys.exit(0)
"""


def test_a_worker_that_is_asked_to_stop_in_its_last_run_does_not_wait_for_more(
    small, tmp_path, monkeypatch
):
    study, folder, _, mine = small
    script, ready = tmp_path / "worker", tmp_path / "ready"
    script.write_text(WORKER.format(python=sys.executable, ready=str(ready)))
    script.chmod(0o755)
    monkeypatch.setattr("launcher.local.workers.sys.executable", str(script))
    pool = pool_of(folder, study, mine, StringIO())

    def look():
        if ready.exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(pool._memory, "look", look)
    assert pool.run().interrupted
    (run,) = pool.running
    # one that waited would have been killed after two minutes
    assert run.worker.process.returncode == 0

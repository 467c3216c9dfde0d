"""The pool with made-up workers; true ones run in tests/launcher/test_submit.py."""

from io import StringIO

from rich.console import Console

from jobs.settings import Settings
from launcher.local.pool import Pool
from launcher.study.claiming import claim_bundles
from launcher.study.resolve import ResolvedStudy
from stilt.folder import StudyFolder, write_study
from stilt.grid import Grid
from stilt.plan import plan
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


def test_what_a_worker_gave_back_because_the_study_lost_it_is_no_failure(tmp_path, monkeypatch):
    study = make_study(tmp_path / "small", grid=EIGHT_CELLS, missing=1.0, sources=False)
    folder = StudyFolder(tmp_path / "small")
    cell = next(cell.id for cell in study.cells.values() if cell.source_id is None)

    class Worker:
        """A process that finds its one cell no longer in the study."""

        returncode = 0
        pid = 7

        def poll(self):
            folder.claim(cell).unlink(missing_ok=True)
            return self.returncode

    monkeypatch.setattr("launcher.local.workers.subprocess.Popen", lambda *what, **how: Worker())
    monkeypatch.setattr("launcher.local.pool.WORKER_SECONDS", 0)
    mine = claim_bundles(plan(study, cells=[cell]), folder, "local-1", lambda claim: True)
    (block,) = EIGHT_CELLS["blocks"]
    fewer = EIGHT_CELLS | {"blocks": [block | {"sources": ["hellaswag"]}]}
    write_study(bind(Grid.model_validate(fewer), study.model_identity, name="small"), folder)
    said = StringIO()
    pool = Pool(
        ResolvedStudy(study, folder, None, None, tmp_path),
        mine,
        Settings(submission="local-1", cache=tmp_path, model="model"),
        workers=1,
        gpus=0,
        sizes={},
        console=Console(file=said, width=200),
    )
    outcome = pool.run()
    assert (outcome.done, outcome.failed) == ([], [])
    assert not folder.failure(cell).exists()
    assert "left out, because the study no longer has it" in said.getvalue()

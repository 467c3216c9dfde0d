"""The pool with made-up workers; true ones run in tests/launcher/test_submit.py."""

from io import StringIO

from rich.console import Console

from jobs.settings import Settings
from launcher.local.pool import Pool
from launcher.study.claiming import claim_bundles
from launcher.study.resolve import ResolvedStudy
from stilt.folder import StudyFolder
from stilt.plan import plan
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
            folder.claim(cell).unlink()
            return self.returncode

    monkeypatch.setattr("launcher.local.pool.subprocess.Popen", lambda *what, **how: Worker())
    monkeypatch.setattr("launcher.local.pool.WORKER_SECONDS", 0)
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

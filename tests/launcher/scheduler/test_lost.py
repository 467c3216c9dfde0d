"""What a dead job held is free again, and what is known of its end is written down."""

import json
import socket
from collections.abc import Callable

import pytest

from jobs.settings import Settings
from launcher.scheduler.job_states import JobState
from launcher.scheduler.lost import bad_nodes, record_lost_jobs
from launcher.study.claiming import assign
from stilt.folder import StudyFolder
from stilt.plan import Bundle
from stilt.records import claims
from stilt.records.claims import Claim
from stilt.records.failures import attempts, record_failure
from stilt.records.results import Failure, read_record
from stilt.slurm.words import NEVER_STARTS
from tests.support.fake_study import make_study


class ClaimLiveness:
    """One look at a scheduler that knows what it is told."""

    def __init__(self, live: Callable[[Claim], bool], states: dict[str, JobState]) -> None:
        self.lives = live
        self.states = states

    def job(self, claim):
        return self.states.get(claim.job or "")

    def element(self, claim):
        return claim.job


@pytest.fixture
def folder(tmp_path):
    return StudyFolder(tmp_path / "small")


@pytest.fixture
def study(folder):
    return make_study(folder.path, missing=1.0, sources=False)


def state(word, **more):
    return JobState(job="7_0", state=word, live=False, node="gpu3", **more)


def hold(folder, item, *, submission="slurm-1", job=None):
    claim = claims.new_claim(item, submission, "bundle")
    claim = claim.model_copy(update={"running": job is not None, "job": job})
    assert claims.take(claim, folder.claim(item))
    return claim


@pytest.mark.parametrize(
    ("word", "kind"),
    [("OUT_OF_MEMORY", "oom"), ("NODE_FAIL", "node"), ("TIMEOUT", "timeout"), ("FAILED", "bug")],
)
def test_a_run_whose_job_ended_under_it_fails_with_that_class(study, folder, word, kind):
    cell = next(iter(study.cells))
    hold(folder, cell, job="7_0")
    lost = record_lost_jobs(study, folder, ClaimLiveness(lambda claim: False, {"7_0": state(word)}))
    record = read_record(Failure, folder.failure(cell))
    assert record.kind == kind
    assert record.job == "7_0"
    assert word in record.message
    assert record.host == "gpu3"
    assert list(lost) == [cell]
    assert not folder.claim(cell).exists()


def test_memory_that_ran_out_is_recorded_with_what_the_job_had(study, folder):
    first, second = list(study.cells)[:2]
    bundle = Bundle(id="bundle", stage="target", items=(first, second), cost=1.0)
    settings = Settings(submission="slurm-1", cache=folder.path, model="m", memory=8_000)
    assign([bundle], folder, settings)
    lives = ClaimLiveness(lambda claim: False, {"7_0": state("OUT_OF_MEMORY")})
    hold(folder, first, job="7_0")
    record_lost_jobs(study, folder, lives)
    assert read_record(Failure, folder.failure(first)).memory == 8_000
    # of a job whose bundle is gone it is not known
    (folder.bundles / "bundle.json").unlink()
    hold(folder, second, job="7_0")
    record_lost_jobs(study, folder, lives)
    assert read_record(Failure, folder.failure(second)).memory is None


OOM_KILL = "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0. Some of the step tasks ..."
TIME_LIMIT = "slurmstepd: error: *** STEP 7.0 ON gpu3 CANCELLED AT 2026-11-22 DUE TO TIME LIMIT ***"


@pytest.mark.parametrize(
    ("known", "said", "kind"),
    [
        (None, OOM_KILL, "oom"),
        (None, TIME_LIMIT, "timeout"),
        (None, "step 5", "lost"),
        (state("FAILED", exit_code="0:9"), OOM_KILL, "oom"),
        (state("FAILED", exit_code="0:9"), "step 5", "killed"),
        (state("FAILED", exit_code="137:0"), "step 5", "killed"),
        (state("FAILED", exit_code="9:0"), "srun: error: gpu3: task 0: Killed", "killed"),
        (state("FAILED", exit_code="9:0"), f"{OOM_KILL}\nsrun: error: task 0: Killed", "oom"),
        (state("FAILED", exit_code="9:0"), "step 5", "bug"),
    ],
)
def test_what_slurm_does_not_tell_of_an_end_is_told_by_the_log(study, folder, known, said, kind):
    cell = next(iter(study.cells))
    hold(folder, cell, job="7_0")
    folder.slurm.mkdir()
    (folder.slurm / "7_0_0_log.out").write_text(f"epoch 1\n{said}\n")
    record_lost_jobs(
        study, folder, ClaimLiveness(lambda claim: False, {"7_0": known} if known else {})
    )
    record = read_record(Failure, folder.failure(cell))
    assert record.kind == kind
    # where SLURM has forgotten the node, the worker has noted its machine
    assert record.host == ("gpu3" if known else socket.gethostname())
    # what nobody knows is not held against the node
    assert bad_nodes(folder) == []


@pytest.mark.parametrize("word", ["CANCELLED", "PENDING"])
def test_a_cell_that_was_dropped_although_its_source_is_there_is_merely_missing(
    study, folder, monkeypatch, word
):
    cell = next(cell.id for cell in study.cells.values() if cell.source_id is not None)
    monkeypatch.setattr(
        "launcher.scheduler.lost.finished", lambda study, folder, item: item != cell
    )
    hold(folder, cell)

    class Dropped(ClaimLiveness):
        def job(self, claim):
            return state(word, reason=NEVER_STARTS)

    assert record_lost_jobs(study, folder, Dropped(lambda claim: False, {})) == {}
    assert not folder.claim(cell).exists()
    assert not folder.failure(cell).exists()


def test_a_run_that_was_cancelled_is_merely_missing(study, folder):
    cell = next(iter(study.cells))
    hold(folder, cell, job="7_0")
    assert (
        record_lost_jobs(
            study, folder, ClaimLiveness(lambda claim: False, {"7_0": state("CANCELLED")})
        )
        == {}
    )
    assert not folder.claim(cell).exists()
    assert not folder.failure(cell).exists()


def test_a_job_that_dies_before_its_first_cell_is_not_silent(study, folder):
    cell = next(cell.id for cell in study.cells.values() if cell.source_id is None)
    hold(folder, cell)

    class Known(ClaimLiveness):
        def job(self, claim):
            return state("FAILED")

    record_lost_jobs(study, folder, Known(lambda claim: False, {}))
    assert "before this one began" in read_record(Failure, folder.failure(cell)).message


def test_a_cell_whose_source_failed_says_so(study, folder):
    source = next(iter(study.sources.values()))
    cell = study.dependants(source.id)[0]
    record_failure(study, folder, source.id, "oom", "its job ended with OUT_OF_MEMORY")
    hold(folder, cell)
    record_lost_jobs(study, folder, ClaimLiveness(lambda claim: False, {}))
    record = read_record(Failure, folder.failure(cell))
    assert record.kind == "source"
    assert record.message == (
        f"its source {source.name} failed: oom: its job ended with OUT_OF_MEMORY"
    )


def test_live_jobs_and_other_executors_keep_what_they_hold(study, folder):
    first, second = list(study.cells)[:2]
    hold(folder, first)
    hold(folder, second, submission="local-1")
    assert (
        record_lost_jobs(study, folder, ClaimLiveness(lambda claim: claim.item == first, {})) == {}
    )
    assert folder.claim(first).exists()
    assert folder.claim(second).exists()


def test_failures_are_counted_until_the_cell_succeeds(study, folder):
    cell = next(iter(study.cells))
    assert attempts(folder, cell) == 0
    for _ in range(2):
        record_failure(study, folder, cell, "node", "two\nlines")
    assert attempts(folder, cell) == 2
    assert json.loads(folder.failure(cell).read_text())["message"] == "two lines"


def test_a_node_that_broke_is_kept_away_from(study, folder):
    cells = list(study.cells)
    record_failure(study, folder, cells[0], "node", "CUDA error", job="7_0", host="gpu3")
    record_failure(study, folder, cells[1], "node", "CUDA error", job="7_1", host="gpu3")
    record_failure(study, folder, cells[2], "oom", "too large", job="7_2", host="gpu4")
    assert bad_nodes(folder) == ["gpu3"]


def test_a_claim_on_what_the_study_does_not_have_stops_nothing(study, folder):
    cell = next(iter(study.cells))
    hold(folder, "0" * 12, job="7_0")
    hold(folder, cell, job="7_0")
    dead = ClaimLiveness(lambda claim: False, {"7_0": state("NODE_FAIL")})
    assert list(record_lost_jobs(study, folder, dead)) == [cell]

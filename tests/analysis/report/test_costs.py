"""What a study has cost: asked of SLURM's accounting, and kept for machines that cannot ask."""

import pytest

from analysis.read.collect import collect
from analysis.read.copied import ACCOUNTING
from analysis.report.costs import Accounting, update_accounting
from stilt.folder import StudyFolder
from tests.support.fake_commands import Commands
from tests.support.fake_study import TINY, make_study


@pytest.fixture
def collection(tmp_path):
    study = make_study(tmp_path / "s", grid=TINY)
    return collect(StudyFolder(tmp_path / "s"), study)


@pytest.fixture
def commands(tmp_path, monkeypatch):
    return Commands(tmp_path / "slurm", monkeypatch)


ANSWER = """\
1000_1|stilt-slurm-1|3600|cpu=4,gres/gpu=2,node=1|7200000
1000_1|stilt-slurm-1|600|cpu=4,gres/gpu=2,node=1|
1001_2|stilt-slurm-2|1000|cpu=4,node=1|0
1002|somebody-elses|9999|cpu=4,gres/gpu=8|1
not a line of accounting
"""


def test_accounting_is_asked_for_the_studys_jobs_alone(collection, commands):
    commands.say("sacct", ANSWER)
    found = update_accounting(collection)
    assert found == Accounting(jobs=3, seconds=5200, gpu_seconds=8400, joules=7_200_000)
    (call,) = commands.called("sacct")
    assert "--jobs=1000,1001,1002 " in call
    assert "--starttime=2026-11-19T" in call


def test_an_answer_is_kept_for_where_nobody_can_ask(collection, commands):
    commands.say("sacct", ANSWER)
    found = update_accounting(collection)
    commands.say("sacct", errors="cannot connect", code=1)
    assert update_accounting(collection) == found
    # another cluster has no such jobs
    commands.say("sacct", "1000|other|5|cpu=1|")
    assert update_accounting(collection) == found
    (collection.folder.summary / ACCOUNTING).write_text("{")
    assert update_accounting(collection) is None


def test_a_cluster_that_measures_no_energy_is_not_taken_to_use_none(collection, commands):
    commands.say("sacct", "1000_1|stilt-a|60|cpu=4|0\n")
    assert update_accounting(collection).joules is None


def test_a_study_that_ran_on_one_machine_asks_nobody(tmp_path, commands, collection):
    commands.say("sacct", ANSWER)
    cells = collection.cells.clear()
    sources = collection.sources.clear()
    alone = type(collection)(collection.study, collection.folder, cells, sources, ())
    assert update_accounting(alone) is None
    assert commands.called("sacct") == []

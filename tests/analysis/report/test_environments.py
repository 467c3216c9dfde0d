"""Where a study's numbers come from."""

from analysis.read.collect import collect
from analysis.report.environments import environments
from stilt.folder import StudyFolder
from tests.support.fake_study import EIGHT_CELLS, make_study

COMMITS = ("1" * 40, "2" * 40)


def test_runs_are_grouped_by_machine_and_code_and_every_run_that_ended_is_counted(tmp_path):
    folder = StudyFolder(tmp_path / "s")
    study = make_study(folder.path, grid=EIGHT_CELLS, commits=COMMITS, failed=0.3, diverged=0.3)
    cells = collect(folder, study).cells
    found = environments(folder, cells)
    places = [(made.host, made.device, made.commit, made.code) for made in found]
    assert len(set(places)) == len(places) > 1
    assert {made.commit for made in found} == set(COMMITS)
    statuses = cells["status"].to_list()
    assert set(statuses) >= {"ok", "diverged", "failed"}
    assert sum(made.runs for made in found) == statuses.count("ok") + statuses.count("diverged")
    for made in found:
        assert made.versions == (("torch", "2.9.0"), ("transformers", "5.20.0"))
        assert (made.threads, made.command) == (2, "python -m jobs.worker")


def test_a_study_without_a_result_has_no_environment(tmp_path):
    folder = StudyFolder(tmp_path / "s")
    study = make_study(folder.path, grid=EIGHT_CELLS, missing=1.0, sources=False)
    assert environments(folder, collect(folder, study).cells) == []

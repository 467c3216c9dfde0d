"""Which job an sbatch made, whatever a site's wrapper prints around it."""

import shlex
from pathlib import Path

import pytest
from submitit.core.utils import DelayedSubmission, JobPaths

from launcher.scheduler.ledger import read_ledger
from launcher.submit import main
from tests.support.submitted import arguments, everything, folder, sent_items

BANNERS = [
    "Welcome! Your last job 4711 ended well.\n",
    "job 4711\n",
    "Submitted batch job 4711\n",
    "4711\n",
    "4711;north\n",
    "\x1b[1mMaintenance on Monday\x1b[0m\n\n",
]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("launcher.send.takeover.time.sleep", lambda seconds: None)


@pytest.mark.parametrize("banner", BANNERS)
def test_the_number_in_a_wrapper_s_banner_is_no_array_s(own, fake, banner):
    fake.tell("banner", banner)
    assert main(arguments(own, "--bundles", "8")) == 0
    noted = [line.array for line in read_ledger(folder()).lines if line.array]
    assert noted == [str(script.job) for script in fake.scripts]
    assert "4711" not in noted
    assert sent_items() == everything()


@pytest.mark.parametrize(
    "said", ["$job", "$job;north", "Submitted batch job $job on cluster north"]
)
def test_each_form_of_sbatch_s_answer_is_read_without_a_second_look(own, fake, monkeypatch, said):
    text = (fake.bin / "sbatch").read_text().replace('echo "$job" ;;', f'echo "{said}" ;;')
    (fake.bin / "sbatch").write_text(text)

    def look(*_):
        raise AssertionError("squeue was asked")

    monkeypatch.setattr("launcher.send.sbatch.find_array", look)
    assert main(arguments(own)) == 0
    noted = [line.array for line in read_ledger(folder()).lines if line.array]
    assert noted == [str(script.job) for script in fake.scripts]


def test_an_answer_that_names_no_job_and_a_queue_without_it_is_a_refusal(own, fake, capsys):
    (fake.bin / "sbatch").write_text("#!/bin/sh\necho please use our own command\n")
    assert main(arguments(own)) == 2
    assert capsys.readouterr().err == (
        "error: sbatch: it names no job: 'please use our own command'\n"
    )
    assert not list(folder().claims.glob("*.json"))


def tasks_found(script):
    """What submitit loads for each element of an array, in the folder that the script names."""
    place = Path(shlex.split(script.text.splitlines()[-1])[-1])
    one = script.flag("array") is None
    names = [f"{script.job}{'' if one else f'_{i}'}" for i in range(script.elements)]
    paths = [JobPaths(place, job_id=name).submitted_pickle for name in names]
    return [DelayedSubmission.load(path).function for path in paths]


def test_each_element_finds_its_task_and_the_script_is_kept_under_the_job_s_name(own, fake):
    assert main(arguments(own, "--bundles", "8")) == 0
    bundles = {line.array: line.bundles for line in read_ledger(folder()).lines if line.array}
    for script in fake.scripts:
        assert tuple(task.bundle for task in tasks_found(script)) == bundles[str(script.job)]
        assert (folder().slurm / f"{script.job}_submission.sh").read_text() == script.text
    assert [path.name for path in folder().slurm.rglob(".*")] == []


def test_a_cluster_that_counts_jobs_anew_gives_no_element_an_earlier_job_s_task(
    own, fake, monkeypatch
):
    monkeypatch.setattr("launcher.scheduler.liveness.INTENT_SECONDS", 0)
    seen = []
    for _ in range(2):
        # the controller was set up anew: it knows no job, and begins with the same number
        fake.forget()
        assert main(arguments(own, "--bundles", "8")) == 0
        seen.append({s.job: [task.bundle for task in tasks_found(s)] for s in fake.scripts})
    first, second = seen
    assert first.keys() == second.keys()
    assert all(not set(first[job]) & set(second[job]) for job in first)
    sent = {line.array: line.bundles for line in read_ledger(folder()).lines if line.array}
    assert {str(job): tuple(bundles) for job, bundles in second.items()} == sent


def test_what_is_refused_leaves_nothing_behind(own, fake, capsys):
    fake.tell("refuse", "invalid qos")
    assert main(arguments(own)) == 2
    assert list(folder().slurm.iterdir()) == []
    assert Path("logs/own/study.json").is_file()

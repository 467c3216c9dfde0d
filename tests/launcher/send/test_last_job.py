"""The job after all others, as sbatch is given it."""

import re
import shlex

from launcher.submit import main
from stilt.records.notices import asked, notices
from tests.support.submitted import arguments, folder
from tests.support.webhook import webhook

HOOK = ["--notify", "http://127.0.0.1:9/s3cret"]


def test_a_last_job_waits_for_the_end_of_all_arrays_and_takes_little(own, fake):
    assert main([*arguments(own), *HOOK]) == 0
    *arrays, last = fake.scripts
    submission = asked(folder()).submission
    assert last.flag("dependency") == ":".join(["afterany", *(str(a.job) for a in arrays)])
    assert last.flag("job-name") == f"stilt-notice-{submission}"
    assert (last.flag("time"), last.flag("cpus-per-task"), last.flag("array")) == ("10", "1", None)
    assert last.flag("gres") is None and last.flag("mem") == "1G"
    assert last.flag("partition") == arrays[0].flag("partition")
    assert {array.flag("job-name") for array in arrays} == {f"stilt-{submission}"}
    command = next(line for line in last.text.splitlines() if "jobs.notice" in line)
    assert shlex.split(command)[-2:] == [str(folder().path.resolve()), submission]
    assert "export PYTHONSAFEPATH=1" in last.text
    assert "s3cret" not in "".join(script.text for script in fake.scripts)


def test_sizes_that_a_profile_asks_for_are_the_arrays_alone(own, fake, tmp_path):
    profile = tmp_path / "profile.toml"
    profile.write_text('gpus = 0\n[extra]\nmem-per-cpu = "8G"\nreservation = "lab"\n')
    assert main([*arguments(own), *HOOK, "--profile", str(profile)]) == 0
    *arrays, last = fake.scripts
    assert arrays[0].flag("mem-per-cpu") == "8G" and last.flag("mem-per-cpu") is None
    assert arrays[0].flag("reservation") == last.flag("reservation") == "lab"


def test_without_a_webhook_there_is_no_such_job(own, fake):
    assert main(arguments(own)) == 0
    assert not [s for s in fake.scripts if "notice" in str(s.flag("job-name"))]


def test_a_last_job_that_slurm_refuses_is_told_and_the_arrays_run(own, fake, capsys, monkeypatch):
    monkeypatch.setattr("launcher.send.last_job.ask", refused)
    assert main([*arguments(own), *HOOK]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "no message at the end: sbatch failed: no such partition." in said
    assert fake.scripts


def refused(*command, **how):
    from stilt.slurm.commands import Answer

    assert re.fullmatch(r".*_notice\.sh", command[-1])
    return Answer(problem="sbatch failed: no such partition")


def test_where_nothing_could_be_sent_nobody_waits_for_a_message(own, fake):
    fake.tell("refuse", "AssocGrpSubmitJobsLimit")
    assert main([*arguments(own), *HOOK]) == 1
    assert asked(folder()) is None and not notices(folder())


def test_the_command_of_the_last_job_tells_the_webhook(own, fake, monkeypatch):
    import subprocess

    with webhook() as hook:
        assert main([*arguments(own), "--notify", hook.url]) == 0
        command = next(line for line in fake.scripts[-1].text.splitlines() if "jobs.notice" in line)
        words = shlex.split(command)
        code = re.search(r"PYTHONPATH=\$\(printf %s (\S+?):", fake.scripts[-1].text)[1]
        subprocess.run(words[words.index("-m") - 1 :], check=True, env={"PYTHONPATH": code})
    (text,) = hook.texts
    assert re.fullmatch(r"study \S+ has ended: 0 of 48 cells done, 0 failed", text)

"""Variables that sbatch reads: what the profile or the launcher says wins over them."""

import os
from pathlib import Path

from launcher.send.environment import without_overriding
from launcher.submit import main
from tests.support.submitted import arguments


def test_variables_for_sbatch_do_not_win_over_the_profile_or_the_launcher(
    own, fake, monkeypatch, capsys
):
    Path("cluster.toml").write_text('account = "nlp"\nmemory = "8G"\n[extra]\nmail-type = "END"\n')
    lost = {"ACCOUNT", "TIMELIMIT", "MEM_PER_CPU", "GPUS", "GRES", "JOB_NAME", "ARRAY_INX"}
    lost |= {"SIGNAL", "NO_REQUEUE", "OPEN_MODE", "COMMENT", "OUTPUT", "ERROR", "WAIT", "MAIL_TYPE"}
    kept = {"PARTITION", "QOS", "CONSTRAINT", "RESERVATION", "EXCLUSIVE", "WCKEY"}
    for name in lost | kept:
        monkeypatch.setenv(f"SBATCH_{name}", "mine")
    assert main(arguments(own)) == 0
    for script in fake.scripts:
        seen = {name for name in script.variables if name.startswith("SBATCH_")}
        assert seen == {f"SBATCH_{name}" for name in kept}
    assert os.environ["SBATCH_ACCOUNT"] == "mine"
    told = capsys.readouterr().out
    assert "SBATCH_ACCOUNT, SBATCH_ARRAY_INX" in told
    assert "SBATCH_PARTITION" not in told


def test_a_submit_from_inside_a_job_keeps_the_cluster_but_not_the_job(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_CPU_BIND", "quiet")
    monkeypatch.setenv("SLURM_CONF", "/etc/other.conf")
    monkeypatch.setenv("SBATCH_ACCOUNT", "nlp")
    with without_overriding(()):
        assert "SLURM_JOB_ID" not in os.environ
        assert "SLURM_CPU_BIND" not in os.environ
        assert os.environ["SLURM_CONF"] == "/etc/other.conf"
        assert os.environ["SBATCH_ACCOUNT"] == "nlp"
    assert os.environ["SLURM_JOB_ID"] == "7"

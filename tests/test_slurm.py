"""Submitting to SLURM: what goes out, once, whatever happens; without a cluster."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from launcher import slurm
from launcher.submit import main
from stilt.failures import record_loss
from stilt.study import StudyFolder, read_study
from tests.cluster_study import make_study
from tests.fake_slurm import Fake

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """3 sources and none x 2 targets x 2 warmup ratios x 3 seeds = 48 cells."""
    folder = tmp_path_factory.mktemp("own")
    make_study(folder)
    return folder


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Fake:
    made = Fake(tmp_path / "fake", array_size=10)
    monkeypatch.setenv("FAKE", str(made.folder))
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("SLURM_", "SBATCH_")):
            monkeypatch.delenv(name)
    return made


def arguments(own: Path, *more: str) -> list[str]:
    return [f"grid={own / 'own.toml'}", f"data_dir={own / 'data'}", *more]


def folder(root: str = "logs") -> StudyFolder:
    return StudyFolder(Path(root) / "own")


def sent_items() -> Counter:
    """How often each item is in a bundle of an array that SLURM has, by submissions.jsonl."""
    found: Counter = Counter()
    for line in folder().submissions.read_text().splitlines():
        for bundle in json.loads(line).get("bundles", []):
            held = json.loads((folder().bundles / f"{bundle}.json").read_text())
            found.update(held["bundle"]["items"])
    return found


def everything() -> Counter:
    study = read_study(folder())
    return Counter([*study.cells, *study.sources])


def test_sources_go_out_first_and_each_target_waits_for_its_own_source_alone(own, fake, capsys):
    assert main(arguments(own, "--bundles", "8")) == 0
    assert sent_items() == everything()
    sources, targets = fake.scripts[:3], fake.scripts[3:]
    assert all(script.flag("array") is None for script in sources)
    assert [script.flag("dependency") for script in sources] == [None] * 3
    ok = [f"afterok:{script.job}" for script in sources]
    assert sorted(str(script.flag("dependency")) for script in targets) == sorted([*ok, "None"])
    assert {script.flag("kill-on-invalid-dep") for script in fake.scripts} == {"yes"}
    printed = capsys.readouterr().out
    assert all(str(script.job) in printed for script in fake.scripts)
    assert "status.py own" in printed


def test_no_array_exceeds_what_the_cluster_takes_and_the_limit_is_divided(own, fake):
    assert main(arguments(own, "--bundles", "48", "--parallel", "9")) == 0
    assert sent_items() == everything()
    assert max(script.elements for script in fake.scripts) <= 10
    targets = [script for script in fake.scripts if script.flag("array")]
    assert len(targets) == 8
    at_a_time = [int(str(script.flag("array")).split("%")[1]) for script in targets]
    # 2 or 3 places for none and for each source, divided over two arrays of each
    assert sum(at_a_time) <= 9


def test_a_second_submit_sends_nothing_while_the_first_is_in_the_queue(own, fake, capsys):
    assert main(arguments(own)) == 0
    count = len(fake.scripts)
    assert main(arguments(own)) == 0
    assert len(fake.scripts) == count
    assert "nothing to do" in capsys.readouterr().out


def test_what_a_dead_array_held_goes_out_again_and_nothing_else(own, fake, monkeypatch):
    assert main(arguments(own, "--bundles", "8")) == 0
    lost = fake.scripts[-1]
    fake.end(lost.job)
    monkeypatch.setattr("launcher.scheduler.INTENT_SECONDS", 0)
    assert main(arguments(own, "--bundles", "8")) == 0
    again = Counter({item: n for item, n in sent_items().items() if n > 1})
    assert set(again.values()) == {2}
    assert len(again) == 12


def test_an_sbatch_that_times_out_after_it_was_accepted_sends_nothing_twice(own, fake):
    fake.tell("timeout")
    assert main(arguments(own, "--bundles", "8")) == 0
    assert sent_items() == everything()
    assert len(fake.scripts) == 7
    waiting = {path.name for path in folder().slurm.glob("*_submitted.pkl")}
    expected = {
        f"{script.job}_{i}_submitted.pkl" if script.flag("array") else f"{script.job}_submitted.pkl"
        for script in fake.scripts
        for i in range(script.elements)
    }
    assert waiting >= expected


def test_a_launcher_killed_between_sbatch_and_its_note_loses_and_doubles_nothing(
    own, fake, monkeypatch
):
    command = [sys.executable, str(REPOSITORY / "launcher/submit.py"), *arguments(own)]
    command += ["--bundles", "8"]
    fake.tell("kill")
    killed = subprocess.run(command, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    orphan = fake.scripts[0].job
    monkeypatch.setattr("launcher.scheduler.INTENT_SECONDS", 0)
    assert main(arguments(own, "--bundles", "8")) == 0
    assert sent_items() == everything()
    assert (folder().slurm / f"{orphan}_submitted.pkl").exists()
    # the orphan makes a source; its targets, sent by the second launcher, wait for it
    assert f"afterok:{orphan}" in {script.flag("dependency") for script in fake.scripts}


def test_two_submits_at_the_same_moment_share_the_cells_between_them(own, fake):
    command = [sys.executable, str(REPOSITORY / "launcher/submit.py"), *arguments(own)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    for process in running:
        process.stdout.close()
    assert sent_items() == everything()


def test_what_sbatch_refuses_is_told_in_its_words_and_nothing_is_held(own, fake, capsys):
    fake.tell("refuse", "invalid partition specified: gpuu")
    assert main(arguments(own, "--partition", "gpuu")) == 2
    assert capsys.readouterr().err == "error: sbatch: invalid partition specified: gpuu\n"
    assert not list(folder().claims.glob("*.json"))


NODES = "node1|gpu:1|(null)|idle|gpu*\nnode2|gpu:1|(null)|{}|gpu*\n"


def break_node(name):
    """Writes that a GPU of a node broke under a cell; what was in the queue is gone."""
    study = read_study(folder())
    record_loss(
        study, folder(), next(iter(study.cells)), "node", "CUDA error", job="101_0", host=name
    )


def test_a_node_that_broke_is_excluded_where_another_is_left(own, fake, monkeypatch):
    fake.tell("refuse", "not yet")
    main(arguments(own))
    (fake.folder / "refuse").unlink()
    break_node("node1")
    fake.tell("nodes", NODES.format("mix"))
    assert main(arguments(own)) == 0
    assert {script.flag("exclude") for script in fake.scripts} == {"node1"}


@pytest.mark.parametrize("other", ["drain", "idle"])
def test_the_only_fitting_node_is_used_also_after_it_broke(own, fake, other):
    fake.tell("refuse", "not yet")
    main(arguments(own))
    (fake.folder / "refuse").unlink()
    break_node("node1")
    # down by sinfo, or said to fit and refused by sbatch all the same
    fake.tell("nodes", NODES.format(other))
    fake.tell("only", "node1")
    assert main(arguments(own)) == 0
    assert {script.flag("exclude") for script in fake.scripts} == {None}
    assert sent_items() == everything()


def test_no_more_is_queued_than_the_user_may_queue(own, fake, capsys):
    fake.tell("limit", "6")
    assert main(arguments(own, "--bundles", "48")) == 0
    assert sum(script.elements for script in fake.scripts) <= 6
    assert "may still queue" in capsys.readouterr().out
    sent = sent_items()
    assert max(sent.values()) == 1
    claimed = {path.stem for path in folder().claims.glob("[!.]*.json")}
    assert claimed == set(sent)


def test_a_dry_run_prints_what_sbatch_would_be_given_and_writes_nothing(own, fake, capsys):
    assert main(arguments(own, "--dry-run", "--gres", "gpu:a100:1", "--time", "2:30:00")) == 0
    printed = capsys.readouterr().out
    assert "#SBATCH --gres=gpu:a100:1" in printed
    assert "#SBATCH --time=150" in printed
    assert "export HF_HUB_OFFLINE=1" in printed
    assert "--dependency='afterok:<array 0>'" in printed
    assert not Path("logs").exists()
    assert not fake.scripts


def test_a_profile_of_the_project_is_used_and_flags_override_it(own, fake):
    Path("cluster.toml").write_text(
        'account = "nlp"\npartition = "gpu"\ntime = "1-00"\nmemory = "32G"\n'
        'setup = ["module load cuda"]\n[extra]\nmail-type = "FAIL"\n'
    )
    assert main(arguments(own, "--partition", "short")) == 0
    script = fake.scripts[0]
    assert script.flag("account") == "nlp"
    assert script.flag("partition") == "short"
    assert script.flag("time") == "1440"
    assert script.flag("mem") == "32G"
    assert script.flag("mail-type") == "FAIL"
    assert script.text.index("module load cuda") < script.text.index("export PYTHONPATH")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partion = 'gpu'", "Did you mean 'partition'?"),
        ("time = 'soon'", "field 'time' = 'soon'"),
        ("[extra]\narray = '0-3'", "'array' has a field of its own"),
        ("time = 2\nsignal_seconds = 100", "at most half of 'time'"),
    ],
)
def test_a_wrong_profile_is_told_by_file_and_field(own, fake, capsys, text, message):
    Path("cluster.toml").write_text(text)
    assert main(arguments(own)) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: cluster.toml: ")
    assert message in told


def test_a_submit_from_inside_a_job_keeps_the_cluster_but_not_the_job(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_CPU_BIND", "quiet")
    monkeypatch.setenv("SLURM_CONF", "/etc/other.conf")
    monkeypatch.setenv("SBATCH_ACCOUNT", "nlp")
    with slurm.outside_job():
        assert "SLURM_JOB_ID" not in os.environ
        assert "SLURM_CPU_BIND" not in os.environ
        assert os.environ["SLURM_CONF"] == "/etc/other.conf"
        assert os.environ["SBATCH_ACCOUNT"] == "nlp"
    assert os.environ["SLURM_JOB_ID"] == "7"

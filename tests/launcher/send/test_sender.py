"""Submitting to SLURM: what goes out, once, whatever happens; without a cluster."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from launcher.cancel import main as cancel
from launcher.clean import main as clean
from launcher.send.environment import without_overriding
from launcher.status import main as status
from launcher.submit import main
from stilt.folder import StudyFolder, read_study
from stilt.records import claims
from stilt.records.failures import record_loss
from tests.support.cluster_study import make_study
from tests.support.fake_slurm import Fake

REPOSITORY = Path(__file__).parents[3]


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


def test_a_second_submit_sees_jobs_that_squeue_hides_and_does_not_ask_for_a_part_of_them(
    own, fake, monkeypatch
):
    fake.tell("hidden")
    assert main(arguments(own)) == 0
    count = len(fake.scripts)
    monkeypatch.setattr("launcher.scheduler.liveness.INTENT_SECONDS", 0)
    monkeypatch.setenv("SQUEUE_PARTITION", "short")
    assert main(arguments(own)) == 0
    assert len(fake.scripts) == count


def test_what_a_dead_array_held_goes_out_again_and_nothing_else(own, fake, monkeypatch):
    assert main(arguments(own, "--bundles", "8")) == 0
    lost = fake.scripts[-1]
    fake.end(lost.job)
    monkeypatch.setattr("launcher.scheduler.liveness.INTENT_SECONDS", 0)
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
    fake.tell("kill", "0")
    killed = subprocess.run(command, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    orphan = fake.scripts[0].job
    monkeypatch.setattr("launcher.scheduler.liveness.INTENT_SECONDS", 0)
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


def test_own_sources_go_out_before_another_launchers_source_is_waited_for(
    own, fake, monkeypatch, capsys
):
    # two that wait for each other's sources, and keep back their own, would wait in vain
    assert main(arguments(own, "--bundles", "8")) == 0
    for script in fake.scripts:
        fake.end(script.job)
    before = len(fake.scripts)
    for path in folder().claims.glob("*.json"):
        path.unlink()
    theirs, *ours = read_study(folder()).sources.values()
    assert claims.take(claims.new_claim(theirs.id, "slurm-other", "b"), folder().claim(theirs.id))
    seen = []
    monkeypatch.setattr("launcher.send.other_submits.PATIENCE_SECONDS", 0.5)
    clock = SimpleNamespace(
        monotonic=time.monotonic, sleep=lambda seconds: seen.append(len(fake.scripts))
    )
    # its name there alone: others sleep, too
    monkeypatch.setattr("launcher.send.other_submits.time", clock)
    capsys.readouterr()
    assert main(arguments(own, "--bundles", "8")) == 0
    assert seen[0] >= before + len(ours)
    told = capsys.readouterr().out
    assert f"what needs source {theirs.name}: slurm-other holds it and has no job yet" in told
    new = Counter({item: n for item, n in sent_items().items() if n > 1})
    study = read_study(folder())
    assert set(new) & set(study.sources) == {source.id for source in ours}
    kept_back = {cell.id for cell in study.cells.values() if cell.source_id == theirs.id}
    assert set(new) & set(study.cells) == set(study.cells) - kept_back
    assert not any(folder().claim(cell).exists() for cell in kept_back)


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


def test_what_a_limit_that_nobody_shows_leaves_room_for_goes_out(own, fake, capsys):
    fake.tell("room", "10")
    assert main(arguments(own, "--bundles", "48")) == 0
    assert sum(script.elements for script in fake.scripts) == 10
    told = capsys.readouterr().out
    assert "AssocGrpSubmitJobsLimit" in told
    assert "The same command sends them when jobs have ended." in told
    claimed = {path.stem for path in folder().claims.glob("[!.]*.json")}
    assert claimed == set(sent_items())
    fake.tell("room", "1000")
    assert main(arguments(own, "--bundles", "48")) == 0
    assert sent_items() == everything()


def test_where_not_one_job_fits_nothing_is_held_and_the_exit_code_is_1(own, fake, capsys):
    fake.tell("room", "0")
    assert main(arguments(own)) == 1
    told = capsys.readouterr().out
    assert "Not one job more fits" in told
    assert told.endswith("nothing was sent.\n")
    assert not list(folder().claims.glob("*.json"))
    fake.tell("limit", "0")
    assert main(arguments(own)) == 1
    assert capsys.readouterr().out.endswith("nothing was sent.\n")


def test_an_array_that_is_too_long_for_the_cluster_goes_out_in_parts_that_share_its_places(
    own, fake
):
    fake.tell("longest", "3")
    assert main(arguments(own, "--bundles", "48", "--parallel", "16")) == 0
    assert sent_items() == everything()
    assert max(script.elements for script in fake.scripts) == 3
    # places of those that do not wait for another part to end
    together = [
        int(str(script.flag("array")).split("%")[1])
        for script in fake.scripts
        if script.flag("array") and "afterany" not in str(script.flag("dependency"))
    ]
    assert sum(together) <= 16


def test_a_launcher_killed_between_two_parts_loses_and_doubles_nothing(own, fake, monkeypatch):
    fake.tell("longest", "3")
    command = [sys.executable, str(REPOSITORY / "launcher/submit.py"), *arguments(own)]
    command += ["--bundles", "48"]
    fake.tell("kill", "105")
    killed = subprocess.run(command, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    second = fake.scripts[-1]
    assert second.elements == 3
    monkeypatch.setattr("launcher.scheduler.liveness.INTENT_SECONDS", 0)
    assert main(arguments(own, "--bundles", "48")) == 0
    assert sent_items() == everything()
    waiting = {path.name for path in folder().slurm.glob(f"{second.job}_*_submitted.pkl")}
    assert waiting == {f"{second.job}_{i}_submitted.pkl" for i in range(3)}


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
        ("[extra]\narray = '0-3'", "'array' is set by the launcher"),
        ("[extra]\nmem = '8G'", "'mem' has a field of its own: 'memory'"),
        ("[extra]\ncpus_per_task = 2", "'cpus-per-task' has a field of its own: 'cpus'"),
        ("[extra]\ngpus-per-node = 2", "'gpus-per-node' has a field of its own: 'gpus'"),
        ("[extra]\npartition = 'gpu'", "'partition' has a field of its own: 'partition'"),
        ("[extra]\nclusters = 'north'", "export SLURM_CLUSTERS instead"),
        ("[extra]\ndepend = 'singleton'", "'depend' is the beginning of 'dependency'"),
        ("memory = '8G'\n[extra]\nmem-per-cpu = '2G'", "'mem-per-cpu' and 'memory' exclude"),
        ("time = 2\nsignal_seconds = 100", "at most half of 'time'"),
    ],
)
def test_a_wrong_profile_is_told_by_file_and_field(own, fake, capsys, text, message):
    Path("cluster.toml").write_text(text)
    assert main(arguments(own)) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: cluster.toml: ")
    assert message in told


@pytest.fixture
def from_north_to_south(own, fake, monkeypatch):
    """A study whose three sources went to one cluster, seen from another with the same home."""
    fake.tell("limit", "3")
    assert main(arguments(own, "--bundles", "8")) == 0
    (fake.folder / "limit").unlink()
    fake.tell("cluster", "south")
    monkeypatch.setattr("launcher.scheduler.liveness.INTENT_SECONDS", 0)
    return fake


def test_jobs_of_another_cluster_hold_their_cells_and_what_needs_them(
    own, from_north_to_south, capsys
):
    fake = from_north_to_south
    assert main(arguments(own, "--bundles", "8")) == 0
    [targets_of_none] = fake.scripts[3:]
    assert targets_of_none.flag("dependency") is None
    assert set(sent_items().values()) == {1}
    told = capsys.readouterr().out
    assert "3 runs are held by jobs of cluster north; ask there." in told
    assert told.count("cluster north has the job that makes it; submit there.") == 3


def test_a_cluster_looks_after_its_own_jobs_whoever_looked_from_elsewhere(own, from_north_to_south):
    fake = from_north_to_south
    assert main(arguments(own, "--bundles", "8")) == 0
    fake.tell("cluster", "north")
    fake.end(fake.scripts[0].job)
    assert main(arguments(own, "--bundles", "8")) == 0
    again = [item for item, count in sent_items().items() if count > 1]
    assert len(again) == 1
    assert sent_items().keys() == everything().keys()


def test_what_a_cluster_that_is_no_more_held_goes_out_as_the_word_on_it_says(
    own, from_north_to_south, capsys, monkeypatch
):
    # the launcher that claimed them was this process, which still lives
    monkeypatch.setattr("stilt.records.claims.process_lives", lambda claim: False)
    assert main(arguments(own, "--bundles", "8")) == 0
    assert f"remove the lines that name it from {folder().submissions}" in capsys.readouterr().out
    lines = folder().submissions.read_text().splitlines(keepends=True)
    folder().submissions.write_text("".join(line for line in lines if '"north"' not in line))
    assert main(arguments(own, "--bundles", "8")) == 0
    assert sent_items() == everything()


def test_jobs_of_another_cluster_are_told_and_neither_cancelled_nor_cleaned(
    from_north_to_south, capsys
):
    status(["own"])
    assert "held by a job of cluster north: ask there" in capsys.readouterr().out
    # the fake has no scancel: a call would be told as a problem
    assert cancel(["own"]) == 1
    assert (
        capsys.readouterr().out
        == "left alone: 3 runs held by jobs of cluster north: cancel there\n"
    )
    assert clean(["own", "--yes"]) == 2
    assert "cluster north holds 3 runs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"SLURM_CLUSTERS": "north,south"}, "Export the name of one."),
        ({"SLURM_CLUSTERS": "all"}, "Export the name of one."),
        ({"SBATCH_CLUSTERS": "south"}, "Export SLURM_CLUSTERS=south instead"),
        ({"SLURM_CLUSTERS": "north", "SBATCH_CLUSTERS": "south"}, "Export SLURM_CLUSTERS=south"),
    ],
)
def test_variables_that_send_jobs_where_nobody_looks_are_refused(
    own, fake, monkeypatch, capsys, variables, message
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(arguments(own)) == 2
    assert message in capsys.readouterr().err
    assert not fake.scripts


def test_one_cluster_named_for_all_commands_is_taken(own, fake, monkeypatch):
    monkeypatch.setenv("SLURM_CLUSTERS", "south")
    monkeypatch.setenv("SBATCH_CLUSTERS", "south")
    assert main(arguments(own)) == 0
    assert fake.scripts[0].variables["SLURM_CLUSTERS"] == "south"


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


def test_a_path_with_signs_of_the_shell_reaches_the_worker_as_it_is(own, fake):
    root = Path("""a "quote", $HOME, `date` and 'more'""")
    root.mkdir()
    assert main(arguments(own, "--root", str(root))) == 0
    [line] = [li for li in fake.scripts[0].text.splitlines() if "export PYTHONPATH" in li]
    shell = ["sh", "-c", f'unset PYTHONPATH; {line}; printf %s "$PYTHONPATH"']
    seen = subprocess.run(shell, capture_output=True, text=True, check=True).stdout
    assert seen.startswith(f"{(root / 'own/code').resolve()}/")
    assert (Path(seen) / "jobs").is_dir()


@pytest.mark.parametrize("root", ["at 50%", "10:30", "two\nlines", "back\\slash"])
def test_a_path_that_sbatch_or_python_would_read_otherwise_is_refused(own, fake, capsys, root):
    assert main(arguments(own, "--root", root)) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: the study's folder '/")
    assert "its path cannot have" in told
    assert not Path(root).exists()


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

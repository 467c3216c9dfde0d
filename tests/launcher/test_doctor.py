"""What the doctor sees of a machine and its cluster, with made-up commands of SLURM."""

import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from launcher.doctor import main as doctor
from stilt.system.files import create_text
from stilt.system.units import size
from tests.support.json_lines import write_jsonl

SINFO = "".join(
    [
        *(f"d{i}|(null)|(null)|idle|debug*|8|31000|30:00|up\n" for i in range(2)),
        *(f"g{i}|gpu:a100:4(S:0)|(null)|mix|gpu|64|515000|2-00:00:00|up\n" for i in range(10)),
        "o1|gpu:1|(null)|idle|old|8|31000|1:00|down\n",
    ]
)


@pytest.fixture
def commands(commands, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("STILT_DATA_DIR", raising=False)
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *a, **k: str(tmp_path / "config"))
    return commands


@pytest.fixture
def slurm(commands):
    """A cluster where all is well, with partition ``gpu`` in the profile."""
    for name in ("srun", "squeue", "scancel", "sacctmgr"):
        commands.say(name)
    commands.say("sbatch", "slurm 24.05.1\n")
    commands.say("scontrol", "MaxArraySize            = 1001\nSlurmctld(primary) at ctl is UP\n")
    commands.say("sacct")
    commands.say("sinfo", SINFO)
    Path("cluster.toml").write_text('partition = "gpu"\ntime = "4:00:00"\n')
    return commands


def look(capsys, *arguments):
    """Exit code, and what was found: name -> (state, the whole line)."""
    code = doctor(["--root", "logs", *arguments])
    lines = capsys.readouterr().out.splitlines()
    found = {}
    for line in lines:
        for state in ("ok", "warning", "bad"):
            for mark in "✓!✗":
                name, seen, rest = line.partition(f"{mark} {state} ")
                if seen:
                    found[name.strip()] = (state, rest)
    return code, found


def test_a_good_cluster_is_ready(slurm, capsys):
    code, found = look(capsys)
    assert code == 0
    assert found["SLURM"][0] == "ok"
    assert "slurm 24.05.1" in found["SLURM"][1]
    assert found["sacct"][0] == "ok"
    assert "MaxArraySize 1001" in found["limits"][1]
    assert "gpu: up, 10 nodes" in found["partition"][1]
    assert "gpu:a100:4" in found["GPU"][1]
    assert found["packages"][0] == "ok"


def test_without_slurm_only_the_local_executor_is_left(commands, capsys):
    code, found = look(capsys)
    assert code == 0
    assert found["SLURM"][0] == "warning"
    assert "--executor local" in found["SLURM"][1]


def test_slurm_asked_for_and_absent_is_bad(commands, capsys):
    code, found = look(capsys, "--executor", "slurm")
    assert code == 1
    assert "not here: sbatch, srun, squeue, scancel, scontrol, sinfo" in found["SLURM"][1]


def test_a_controller_that_is_down_is_bad(slurm, capsys):
    slurm.say("scontrol", errors="slurm_ping: Connection refused", code=1)
    code, found = look(capsys)
    assert code == 1
    assert found["SLURM"][0] == "bad"
    assert "Connection refused" in found["SLURM"][1]


def test_no_sacct_or_a_database_that_is_down_is_a_warning(slurm, capsys):
    slurm.say("sacct", errors="sacct: error: Connection refused", code=1)
    code, found = look(capsys)
    assert code == 0
    assert found["sacct"][0] == "warning"
    (slurm.folder / "sacct").unlink()
    assert look(capsys)[1]["sacct"][0] == "warning"


@pytest.mark.parametrize(
    ("profile", "line", "message"),
    [
        ('partition = "gpuu"', "partition", "not among debug, gpu, old"),
        ('partition = "old"', "partition", "old is not up"),
        (
            'partition = "gpu"\ntime = "3-00"',
            "partition",
            "'time' = 4320 minutes, and partition gpu allows 2 d 0 h",
        ),
        ('partition = "debug"\ntime = 20', "GPU", "no node of the partition has one"),
        ("tiem = 3", "profile", "Did you mean 'time'?"),
    ],
)
def test_a_profile_that_cannot_work_is_bad(slurm, capsys, profile, line, message):
    Path("cluster.toml").write_text(profile + "\n")
    code, found = look(capsys)
    assert code == 1
    assert found[line][0] == "bad"
    assert message in found[line][1]


def test_the_default_partition_is_looked_at_where_none_is_named(slurm, capsys):
    Path("cluster.toml").write_text("time = 20\ngpus = 0\n")
    code, found = look(capsys)
    assert code == 0
    assert "debug: up, 2 nodes" in found["partition"][1]


def test_jobs_that_would_go_where_nobody_looks_are_bad(slurm, capsys, monkeypatch):
    monkeypatch.setenv("SBATCH_CLUSTERS", "south")
    code, found = look(capsys)
    assert code == 1
    assert "Export SLURM_CLUSTERS=south instead" in found["clusters"][1]


def test_a_full_queue_is_a_warning(slurm, capsys):
    slurm.say("sacctmgr", "nlp|2|normal\n")
    slurm.say("squeue", "12_0\n12_1\n")
    code, found = look(capsys)
    assert code == 0
    assert found["limits"][0] == "warning"
    assert "0 more jobs" in found["limits"][1]


def test_a_folder_that_cannot_be_written_is_bad(commands, capsys, monkeypatch):
    # a file stands where the folder would be: root may write anywhere else
    Path("file").write_text("")
    monkeypatch.setenv("STILT_CACHE", "file/cache")
    code, found = look(capsys)
    assert found["cache"][0] in ("ok", "warning", "bad")
    monkeypatch.setattr("launcher.checks.machine.writable_folder", refuse)
    code, found = look(capsys)
    assert code == 1
    assert found["studies"][0] == "bad"
    assert "set --root to a folder you own" in found["studies"][1]


def refuse(path):
    from stilt.errors import ConfigError

    raise ConfigError("no")


def test_a_file_system_without_hard_links_is_bad(commands, capsys, monkeypatch):
    def unlinked(path, text):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("launcher.checks.machine.create_text", unlinked)
    code, found = look(capsys)
    assert code == 1
    assert "hard links" in found["studies"][1]


def test_looking_leaves_nothing_behind(commands, capsys, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    look(capsys)
    assert sorted(tmp_path.rglob("*")) == before
    assert create_text(tmp_path / "logs/x", "1")


def test_a_grid_is_reckoned_with(commands, capsys, roberta):
    code, found = look(capsys, "--grid", "full", "--model", str(roberta))
    assert code == 1
    assert "full: 1152 cells" in found["grid"][1]
    assert found["task mednli"][0] == "bad"
    assert "Put mednli/mli_train_v1.jsonl" in found["task mednli"][1]
    assert found["rows"][0] == "warning"
    assert "the Hub cannot be reached: " in found["rows"][1] and "rte" in found["rows"][1]
    assert found["model"] == ("ok", found["model"][1]) and str(roberta) in found["model"][1]


def test_what_a_grid_needs_of_the_hub_is_looked_for_in_its_cache(
    commands, capsys, monkeypatch, tmp_path
):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "home/datasets"))
    write_jsonl(tmp_path / "home/datasets/Rowan___hella_swag/default/0.0.0/x/a.arrow", [])
    _, found = look(capsys, "--grid", "table2", "--model", f"org/encoder@{'0a' * 20}")
    assert found["model"][0] == "warning"
    assert (
        "hub:org/encoder@0a0a0a0a is not here, and the Hub cannot be reached" in (found["model"][1])
    )
    assert "from the Hub's cache: hellaswag" in found["tasks"][1]
    assert "hellaswag" not in found["rows"][1] and "rte" in found["rows"][1]
    monkeypatch.setattr("launcher.checks.machine.hub_answers", lambda: True)
    _, found = look(capsys, "--grid", "table2", "--model", f"org/encoder@{'0a' * 20}")
    assert found["model"][0] == "ok" and "fetches it" in found["model"][1]
    assert "rows" not in found and "rte" in found["tasks"][1]


def test_a_grid_that_is_unknown_is_bad(commands, capsys):
    code, found = look(capsys, "--grid", "ful")
    assert code == 1
    assert "Did you mean 'full'?" in found["grid"][1]


TASK = """kind = "classification"
text_a = "{text}"
label = "answer"
labels = ["no", "yes"]
max_length = 16
epochs = 1
[[data]]
train = "own/train.jsonl"
dev = "own/dev.jsonl"
"""


def test_rows_that_cannot_be_used_keep_a_grid_from_being_ready(commands, capsys, roberta):
    Path("own.toml").write_text(TASK)
    Path("small.toml").write_text(
        'include = ["setup/paper"]\nsources = ["none"]\ntargets = ["own"]\nlearning_rate = [1e-5]\n'
        "batch_size = [8]\nwarmup_ratio = [0]\nseed = [1, 2]\n"
    )
    for split in ("train", "dev"):
        rows = [{"text": "a b", "label": "no"}, {"text": "c d", "label": "yes"}]
        write_jsonl(Path(f"data/own/{split}.jsonl"), rows)
    words = ("--grid", "small.toml", "--model", str(roberta), "--data-dir", "data")
    code, found = look(capsys, *words)
    assert code == 1
    assert found["task own"][0] == "bad"
    assert "train.jsonl, row 1: field 'answer' (the label) is missing" in found["task own"][1]
    Path("own.toml").write_text(TASK.replace('label = "answer"\n', ""))
    code, found = look(capsys, *words)
    assert code == 0
    assert "4 rows here can be used" in found["tasks"][1]
    assert "own/" in found["data"][1]
    # of two runs no more than two states are saved, of all numbers of the model
    numbers = sum(tensor.size for tensor in load_file(roberta / "model.safetensors").values())
    need = size(3 * 4 * 2 * numbers)
    assert f"{need} at most for 0 sources and 2 saved states; " in found["disk"][1]


def test_a_data_folder_of_files_alone_is_not_empty(commands, capsys):
    Path("data").mkdir()
    assert "/data: empty" in look(capsys, "--data-dir", "data")[1]["data"][1]
    Path("data/train.csv").write_text("text,label\n")
    assert "/data: train.csv" in look(capsys, "--data-dir", "data")[1]["data"][1]


def test_a_data_folder_that_is_none_is_bad(commands, capsys):
    code, found = look(capsys, "--data-dir", "nowhere")
    assert code == 1
    assert "nowhere: no such folder" in found["data"][1]


def test_the_python_that_runs_is_named(commands, capsys):
    assert sys.executable in look(capsys)[1]["python"][1]


def test_a_folder_in_tmp_is_a_warning_only_where_compute_nodes_have_another(
    slurm, capsys, monkeypatch
):
    monkeypatch.setenv("STILT_CACHE", "/tmp/stilt-cache")
    monkeypatch.setattr("launcher.checks.machine.SPARE_BYTES", 0)
    _, found = look(capsys, "--executor", "slurm")
    assert found["cache"][0] == "warning" and "a /tmp of their own" in found["cache"][1]
    _, found = look(capsys, "--executor", "local")
    assert found["cache"][0] == "ok"

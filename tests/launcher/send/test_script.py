"""The script that sbatch is given: profile, flags, and paths with odd signs."""

import json
import subprocess
from pathlib import Path

import pytest

from launcher.scheduler.ledger import read_ledger
from launcher.submit import main
from tests.support.submitted import arguments, folder


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


def test_names_of_jobs_begin_as_the_profile_says_and_are_found_by_it(own, fake, capsys):
    Path("cluster.toml").write_text('[extra]\njob-name = "nlp.alice"\n')
    assert main(arguments(own, "--dry-run")) == 0
    assert "#SBATCH --job-name=nlp.alice-stilt-SUBMISSION\n" in capsys.readouterr().out
    assert main(arguments(own)) == 0
    sent = len(fake.scripts)
    submissions = {line.submission for line in read_ledger(folder()).lines}
    unique = submissions.pop().removesuffix("+nlp.alice")
    assert not submissions
    assert {script.flag("job-name") for script in fake.scripts} == {f"nlp.alice-stilt-{unique}"}
    # another profile finds them by the name that they were sent with
    Path("cluster.toml").unlink()
    assert main(arguments(own)) == 0
    assert len(fake.scripts) == sent


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[extra]\njob-name = 'a b'", "'job-name' = 'a b': at most 40 letters, digits, dots and"),
        ("[extra]\njob-name = true", "'job-name' = True: at most 40 letters, digits, dots and"),
        ("[extra]\njob-nam = 'a'", "'job-nam' is the beginning of 'job-name'"),
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
        ('constraint = "a\\n#SBATCH --array=0-9"', "field 'constraint' = 'a\\n#SBATCH"),
        ('[extra]\nmail-user = "a\\nexit 1"', "'mail-user' = 'a\\nexit 1'"),
        ('[extra]\ntres-per-task = "gres/gpu:1"', "has a field of its own: 'gres'"),
        ("gpus = true", "field 'gpus' = True: a whole number is expected"),
        ("time = 2\nsignal_seconds = 100", "at most half of 'time'"),
    ],
)
def test_a_wrong_profile_is_told_by_file_and_field(own, fake, capsys, text, message):
    Path("cluster.toml").write_text(text)
    assert main(arguments(own)) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: cluster.toml: ")
    assert message in told


def seen_path(script: str, before: str) -> str:
    """PYTHONPATH of a job, by its script, after a command of the shell."""
    lines = [line for line in script.splitlines() if "PYTHONPATH" in line]
    shell = ["bash", "-uc", "; ".join([before, *lines, 'printf %s "$PYTHONPATH"'])]
    return subprocess.run(shell, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("path", ["", ":", "/a:/b", ":/a::/b:"])
def test_no_empty_part_of_pythonpath_reaches_a_job(own, fake, path):
    assert main(arguments(own)) == 0
    seen = seen_path(fake.scripts[0].text, f"export PYTHONPATH={path}").split(":")
    assert seen[1:] == [part for part in path.split(":") if part]
    assert (Path(seen[0]) / "jobs").is_dir()


def test_a_path_with_signs_of_the_shell_reaches_the_worker_as_it_is(own, fake):
    root = Path("""a "quote", $HOME, `date` and 'more'""")
    root.mkdir()
    assert main(arguments(own, "--root", str(root))) == 0
    seen = seen_path(fake.scripts[0].text, "unset PYTHONPATH")
    assert seen.startswith(f"{(root / 'own/code').resolve()}/")
    assert (Path(seen) / "jobs").is_dir()


@pytest.mark.parametrize("root", ["at 50%", "10:30", "back\\slash"])
def test_a_path_that_sbatch_or_python_would_read_otherwise_is_refused(own, fake, capsys, root):
    assert main(arguments(own, "--root", root)) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: the study's folder '/")
    assert "its path cannot have" in told
    assert not Path(root).exists()


@pytest.mark.parametrize(
    ("profile", "gres", "number"),
    [
        ('gres = "gpu:3090:1"', "gpu:3090:1", None),
        ('gres = "gres/gpu:1"', "gpu:1", None),
        ('gres = "shard:1"', "shard:1", None),
        ('gres = "lscratch:100"\ngpus = 2', "lscratch:100", "2"),
        ('gres = "lscratch:100"\ngpus = 0', "lscratch:100", None),
        ("", None, "1"),
    ],
)
def test_an_element_asks_for_the_gpus_that_its_workers_are_told_of(
    own, fake, profile, gres, number
):
    Path("cluster.toml").write_text(profile)
    assert main(arguments(own)) == 0
    told = {(script.flag("gres"), script.flag("gpus-per-node")) for script in fake.scripts}
    assert told == {(gres, number)}
    wanted = "cpu" if "gpus = 0" in profile else "gpu"
    bundles = [json.loads(path.read_text()) for path in folder().bundles.glob("*.json")]
    assert {bundle["settings"]["device"] for bundle in bundles} == {wanted}
    assert {line.workers for line in read_ledger(folder()).lines} == {2 if number == "2" else 1}

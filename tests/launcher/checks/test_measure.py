"""A tiny model measured from the command line, and what planning, status and report make of it."""

import json
import os
from pathlib import Path
from zipfile import ZipFile

import pytest

from analysis.summarize import main as summarize
from launcher.doctor import main as doctor
from launcher.status import main as status
from launcher.submit import main as submit
from stilt.folder import StudyFolder, read_study
from stilt.records.results import Result, read_record
from stilt.training.speed.calibration import Calibration
from tests.support.cluster_study import make_study
from tests.support.fake_slurm import Fake
from tests.support.live_study import PROFILE, wait_for_all_jobs
from tests.support.own_study import make_own_study
from tests.support.tiny_encoder import save_tiny_roberta, trained_tokenizer


def flags(own: Path, model: Path) -> list[str]:
    return [
        *("--grid", str(own / "own.toml"), "--root", str(own / "logs")),
        *("--data-dir", str(own / "data"), "--model", str(model)),
    ]


@pytest.fixture(scope="module")
def measured(tmp_path_factory, roberta):
    """A user's folder, whose model was measured once; ``cache`` in it is the cache."""
    own = make_own_study(tmp_path_factory.mktemp("measured"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STILT_CACHE", str(own / "cache"))
        patch.setattr("launcher.checks.measure.SECONDS", 0.1)
        assert doctor([*flags(own, roberta), "--measure"]) == 0
    return own


@pytest.fixture
def own(measured, monkeypatch):
    monkeypatch.setenv("STILT_CACHE", str(measured / "cache"))
    return measured


def submitted(own, model, *more):
    return submit([*flags(own, model), "--executor", "local", "--workers", "1", *more])


def test_what_was_measured_names_device_model_recipe_and_versions(own, roberta):
    (path,) = (own / "cache/calibrations").glob("*.json")
    made = Calibration.model_validate_json(path.read_text())
    assert made.model.startswith("sha256:") and made.model_name == roberta.name
    assert made.recipe == "paper" and made.device.startswith("cpu ")
    assert made.place.startswith("this machine: ") and "cores" in made.place
    assert {"torch", "transformers"} <= made.versions.keys()
    cores = len(os.sched_getaffinity(0))
    assert (made.settings[0].workers, made.settings[0].threads) == (cores, 1)
    for found in made.settings:
        assert found.workers * found.threads <= cores
        assert found.start > 0 and found.load > 0 and found.memory > 0 and found.timed > 0
        assert found.train.seconds(1, made.tasks["pairs"].updates[8]) > 0
    assert made.tasks.keys() == {"pairs", "endings"}
    pairs, endings = made.tasks["pairs"], made.tasks["endings"]
    assert (pairs.train, pairs.dev) == (endings.train, endings.dev) == (24, 12)
    # a batch of eight rows, of one sequence each and of three
    assert pairs.updates[8].positions >= 8 * pairs.tokens
    assert endings.updates[8].positions >= 3 * 8 * endings.tokens
    assert made.chunk is None


def test_the_dry_run_tells_hours_by_it(own, roberta, capsys):
    assert submitted(own, roberta, "--study", "dry", "--dry-run") == 0
    told = capsys.readouterr().out
    assert ", by the calibration of" in told
    assert not (own / "logs/dry").exists()


def test_a_calibration_of_another_device_or_model_is_not_used(own, roberta, capsys, monkeypatch):
    monkeypatch.setattr("launcher.study.costs.known._processor", lambda: "another, 1 cores")
    assert submitted(own, roberta, "--study", "dry", "--dry-run") == 0
    told = capsys.readouterr().out
    assert "by the calibration" not in told
    assert (
        "this model was measured elsewhere only, which tells no hours here: this machine: " in told
    )
    other = save_tiny_roberta(own / "other", trained_tokenizer())
    (other / "config.json").write_text((other / "config.json").read_text() + "\n")
    monkeypatch.undo()
    monkeypatch.setenv("STILT_CACHE", str(own / "cache"))
    assert submitted(own, other, "--study", "dry", "--dry-run") == 0
    told = capsys.readouterr().out
    assert "by the calibration" not in told and "measured elsewhere" not in told


def test_a_budget_runs_a_part_and_the_next_submit_the_rest_and_the_report_compares(
    own, roberta, capsys
):
    folder = StudyFolder(own / "logs/own")
    # how long things take differs from machine to machine: the budget is made of what is told
    assert submitted(own, roberta, "--hours", "1e-12") == 2
    said = capsys.readouterr().err
    assert "no cell fits; the cheapest takes about " in said
    cheapest = float(said.partition("takes about ")[2].split()[0])
    assert submitted(own, roberta, "--hours", str(3 * cheapest)) == 0
    study = read_study(folder)
    part = {file.stem for file in folder.results.glob("*.json")}
    assert 0 < len(part) <= len(study.cells)
    assert "--hours" in capsys.readouterr().out
    assert submitted(own, roberta) == 0
    results = {cell: read_record(Result, folder.result(cell)) for cell in study.cells}
    assert all(results.values()) and part <= results.keys()
    assert folder.calibration.is_file()
    capsys.readouterr()
    assert status(["own", "--root", str(own / "logs"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["work_done"] == 1.0
    assert summarize([str(folder.path), "--no-figures", "--bundle", str(own / "own.zip")]) == 0
    with ZipFile(own / "own.zip") as bundle:
        assert "calibration.json" in bundle.namelist()
        sheet = bundle.read("CHECKLIST.md").decode()
    assert "**Predicted seconds of a run**: median relative error" in sheet


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--measure"], "--measure: --grid says which model and tasks are measured."),
        (["--on-cluster"], "--on-cluster: goes with --measure."),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_line(arguments, said, capsys):
    assert doctor(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_task_without_rows_is_named_and_nothing_is_written(own, roberta, capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    arguments = [*flags(own, roberta), "--measure", "--data-dir", str(tmp_path / "empty")]
    before = sorted((own / "cache/calibrations").iterdir())
    assert doctor(arguments) == 2
    assert "not measured: task 'endings': no data found." in capsys.readouterr().err
    assert sorted((own / "cache/calibrations").iterdir()) == before


def test_on_a_cluster_one_short_job_measures(own, roberta, capsys, tmp_path, monkeypatch):
    made = Fake(tmp_path / "fake")
    monkeypatch.setenv("FAKE", str(made.folder))
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("cluster.toml").write_text('partition = "gpu"\ngres = "gpu:a100:1"\ncpus = 6\n')
    assert doctor([*flags(own, roberta), "--measure", "--on-cluster"]) == 0
    (script,) = made.scripts
    assert script.flag("partition") == "gpu" and script.flag("gres") == "gpu:a100:1"
    assert script.flag("time") == "30" and script.flag("cpus-per-task") == "6"
    assert script.flag("array") is None
    assert "jobs.measure.calibrate" in script.text
    told = capsys.readouterr().out
    assert "measures on SLURM: partition gpu, gres gpu:a100:1" in told
    (request,) = (own / "cache/calibrations/slurm").glob("*.json")
    asked = json.loads(request.read_text())
    assert (asked["workers"], asked["threads"]) == (1, 6)
    assert asked["settings"]["device"] == "gpu"


@pytest.mark.slurm
@pytest.mark.slow
@pytest.mark.nightly
def test_a_job_measures_on_the_cluster_what_planning_there_reckons_by(
    cluster, tmp_path, monkeypatch, capsys
):
    own = tmp_path / "own"
    own.mkdir()
    make_study(own, sources=0, targets=1, seeds=2)
    (own / "cluster.toml").write_text(PROFILE)
    monkeypatch.chdir(own)
    monkeypatch.setenv("STILT_CACHE", str(tmp_path / "cache"))
    grid = ["--grid", "own.toml", "--data-dir", "data"]
    assert doctor([*grid, "--measure", "--on-cluster"]) == 0
    wait_for_all_jobs()
    capsys.readouterr()
    assert submit([*grid, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert ", by the calibration of" in told
    # 1.5 times the longest element and 5 minutes, in place of the profile's 30
    assert "#SBATCH --time=6" in told

"""One true study from the command line to result files, with a tiny model, run locally."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from launcher import submission
from launcher.local.slots import shared_out
from launcher.local.workers import WorkerProcess
from launcher.submit import main as submit
from stilt.cell import Cell
from stilt.folder import StudyFolder, read_study
from stilt.records.claims import new_claim, take
from stilt.records.results import Failure, Result, SourceResult, read_record
from tests.support.json_lines import write_jsonl
from tests.support.own_study import command, make_own_study

pytestmark = pytest.mark.slow


@pytest.fixture
def arguments(own_study, roberta):
    return command(own_study, roberta)


@pytest.fixture
def folder(own_study):
    return StudyFolder(own_study / "logs/own")


@pytest.fixture(scope="module")
def run_once(tmp_path_factory, roberta):
    """A study that has run from beginning to end, and what it printed."""
    own = make_own_study(tmp_path_factory.mktemp("once"))
    script = Path(__file__).parents[2] / "launcher/submit.py"
    run = subprocess.run(
        [sys.executable, script, *command(own, roberta)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return own, run.stdout


@pytest.fixture
def finished(run_once, folder):
    """A copy of the finished study for one test to spoil."""
    shutil.copytree(run_once[0] / "logs/own", folder.path)
    return folder


def results(folder):
    paths = sorted(folder.results.glob("*.json"))
    return {path.stem: read_record(Result, path) for path in paths}


def test_a_study_runs_and_the_same_command_again_runs_only_what_is_missing(
    arguments, finished, folder, run_once, capsys
):
    assert "9 runs done, 0 failed" in run_once[1]
    study = read_study(folder)
    first = results(folder)
    assert set(first) == set(study.cells)
    assert len(first) == 8
    (source,) = study.sources.values()
    trained = read_record(SourceResult, folder.source(source.id) / "result.json")
    assert trained.status == "ok" and trained.source == source
    for cell_id, result in first.items():
        assert result.cell == study.cells[cell_id]
        assert result.status == "ok"
        assert result.study == study.digest
        assert len(result.dev.predictions) == result.dev_rows == 12
        right = sum(a == b for a, b in zip(result.dev.predictions, result.dev.gold, strict=True))
        assert result.score == pytest.approx(right / 12)
        # both tasks: 24 rows in batches of 8
        assert result.training.updates == 3 * study.tasks[result.cell.target].epochs
    carried = next(
        r for r in first.values() if (r.cell.source, r.cell.target) == ("endings", "endings")
    )
    assert carried.training.fresh == ()
    assert not list(folder.claims.glob("*.json"))
    assert not list(folder.failures.glob("*.json"))

    before = {path: path.stat().st_mtime_ns for path in folder.results.glob("*.json")}
    lost = next(iter(before))
    lost.unlink()
    capsys.readouterr()
    assert submit(arguments) == 0
    assert "7 of 8 cells done" in capsys.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in folder.results.glob("*.json")}
    assert [path for path in before if after[path] != before[path]] == [lost]
    again = results(folder)[lost.stem]
    assert again.dev == first[lost.stem].dev
    assert again.training.loss == first[lost.stem].training.loss

    assert submit(arguments) == 0
    printed = capsys.readouterr().out
    assert f"nothing to do. Next: python analysis/summarize.py {folder.path}" in printed


def test_one_process_runs_a_slot_s_bundles_and_each_has_its_own_log(
    arguments, finished, folder, monkeypatch
):
    by_two = {cell: result.dev for cell, result in results(folder).items()}
    for path in folder.results.glob("*.json"):
        path.unlink()
    shutil.rmtree(folder.logs)
    started = []

    class Counted(WorkerProcess):
        def __init__(self, *given, **more):
            super().__init__(*given, **more)
            started.append(self.process)

    monkeypatch.setattr("launcher.local.pool.WorkerProcess", Counted)
    # as many as each of two workers has
    threads = str(shared_out(1, 2)[1])
    given = [*arguments[:-4], "--workers", "1", "--threads", threads, "--bundles", "4"]
    assert submit(given) == 0
    # in another process, and after other cells
    assert {cell: result.dev for cell, result in results(folder).items()} == by_two
    assert [process.poll() for process in started] == [0]
    logs = [path.read_text() for path in folder.logs.glob("*.log")]
    assert len(logs) == 4
    assert sorted(cell for log in logs for cell in by_two if f" {cell} " in log) == sorted(by_two)


def test_a_result_is_one_line_of_the_contracts_fields(finished, folder):
    path = sorted(folder.results.glob("*.json"))[0]
    text = path.read_text()
    assert text.count("\n") == 1 and text.endswith("\n")
    table = json.loads(text)
    start = ["start"] if table["cell"]["source_id"] else []
    assert sorted(table) == sorted(
        start
        + "schema_version study cell status metric score dev majority chance classes train_rows "
        "dev_rows data curve training timings provenance".split()
    )
    assert sorted(table["provenance"]) == sorted(
        "started finished host job attempt device threads peak_memory versions commit code "
        "command".split()
    )
    assert sorted(table["timings"]) == ["encode", "evaluate", "load", "train"]
    assert table["provenance"]["command"]


@pytest.mark.parametrize(
    "name", ["model.safetensors", pytest.param("config.json", marks=pytest.mark.nightly)]
)
def test_a_source_of_which_a_file_is_damaged_is_told_and_trained_again(
    arguments, finished, folder, capsys, name
):
    study = read_study(folder)
    (source,) = study.sources.values()
    before = results(folder)
    lost = next(cell for cell in before if study.cells[cell].source_id)
    folder.result(lost).unlink()
    path = folder.source(source.id) / name
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert submit(arguments) == 0
    printed = capsys.readouterr().out
    assert f"{path}: not the file that was saved with result.json" in printed
    assert "the source is trained again" in printed
    assert results(folder)[lost].training == before[lost].training
    assert results(folder)[lost].dev == before[lost].dev


def test_a_source_whose_weights_were_cleaned_away_is_trained_again_when_a_cell_wants_it(
    arguments, finished, folder
):
    study = read_study(folder)
    (source,) = study.sources.values()
    before = results(folder)
    lost = next(cell for cell in before if study.cells[cell].source_id)
    folder.result(lost).unlink()
    (folder.source(source.id) / "model.safetensors").unlink()
    assert submit(arguments) == 0
    assert results(folder)[lost].training == before[lost].training


def test_a_diverged_source_fails_its_targets_and_the_rest_goes_on(
    arguments, own_study, folder, capsys
):
    grid = own_study / "own.toml"
    grid.write_text(
        grid.read_text().replace("[source]\nlearning_rate = 1e-3", "[source]\nlearning_rate = 1e30")
    )
    assert submit(arguments) == 1
    printed = capsys.readouterr().out
    assert "4 runs done, 5 failed" in printed
    assert "source endings: diverged" in printed
    study = read_study(folder)
    (source,) = study.sources.values()
    trained = read_record(SourceResult, folder.source(source.id) / "result.json")
    assert trained.status == "diverged"
    failed = {p.stem: read_record(Failure, p) for p in folder.failures.glob("*.json")}
    assert {study.cells[c].source for c in failed} == {"endings"}
    assert {failure.kind for failure in failed.values()} == {"source"}
    assert {study.cells[c].source for c in results(folder)} == {"none"}

    # it would diverge again; a new cell of it is told as failed as well
    lost = next(iter(failed))
    folder.failure(lost).unlink()
    assert submit([*arguments, "--dry-run"]) == 0
    assert "source endings diverged: its 4 cells cannot run." in capsys.readouterr().out
    assert submit(arguments) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "left out: 4 cells of source endings, whose training diverged" in printed
    assert "4 of 8 cells done, 0 held by live jobs, 0 runs to do" in printed
    assert "nothing to do that could succeed" in printed
    assert read_record(Failure, folder.failure(lost)).kind == "source"


def test_other_rows_than_the_study_began_with_are_refused(
    arguments, finished, folder, own_study, capsys
):
    path = own_study / "data/pairs/dev.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert submit(arguments) == 2
    assert "task 'pairs' has other rows (24 train, 11 dev) than this study began with" in (
        capsys.readouterr().err
    )


def test_a_cell_that_another_live_submit_holds_is_left_to_it(arguments, finished, folder, capsys):
    study = read_study(folder)
    cell: Cell = next(iter(study.cells.values()))
    folder.result(cell.id).unlink()
    take(new_claim(cell.id, "local-other", "b"), folder.claim(cell.id))
    capsys.readouterr()
    assert submit(arguments) == 0
    printed = capsys.readouterr().out
    assert "1 held by live jobs, 0 runs to do" in printed
    assert f"others hold what is left. Watch it: python launcher/status.py {folder.path}" in printed
    assert not folder.result(cell.id).exists()


def test_a_claim_of_a_dead_process_is_taken_over(arguments, finished, folder):
    study = read_study(folder)
    cell: Cell = next(iter(study.cells.values()))
    folder.result(cell.id).unlink()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    claim = new_claim(cell.id, "local-dead", "b").model_copy(update={"pid": dead.pid})
    take(claim, folder.claim(cell.id))
    assert submit(arguments) == 0
    assert folder.result(cell.id).exists()


def test_cells_do_not_wait_for_a_source_whose_holder_has_died(
    arguments, folder, own_study, monkeypatch
):
    grid = own_study / "own.toml"
    grid.write_text(grid.read_text().replace('["none", "endings"]', '["endings"]'))
    monkeypatch.setattr("launcher.local.pool.HOLDER_SECONDS", 1)
    other = subprocess.Popen(["sleep", "60"])

    def hold_and_die(resolved, *rest, real=submission.begin):
        told = real(resolved, *rest)
        (source,) = resolved.study.sources
        claim = new_claim(source, "local-other", "b").model_copy(update={"pid": other.pid})
        take(claim.model_copy(update={"birth": None}), resolved.folder.claim(source))
        threading.Timer(4, lambda: (other.kill(), other.wait())).start()
        return told

    with monkeypatch.context() as beside:
        beside.setattr(submission, "begin", hold_and_die)
        assert submit(arguments) == 1
    found = [read_record(Failure, path) for path in folder.failures.glob("*.json")]
    assert len(found) == 4
    assert {(failure.kind, failure.message) for failure in found} == {
        (
            "source",
            "its source endings was never made: its holder, local-other on "
            f"{socket.gethostname()}, died; submit again",
        )
    }
    # the same command again makes the source, too
    assert submit(arguments) == 0
    assert not list(folder.failures.glob("*.json"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--grid", "ful"], "unknown grid 'ful'. Did you mean 'full'?"),
        (["--grid", "nowhere/x.toml"], "nowhere/x.toml: no such grid file."),
        (["--data-dir", "nowhere"], "data folder nowhere: no such folder"),
        (["--model", "nowhere"], "--model nowhere: no such folder"),
        (["--root", "/proc/x"], "/proc/x/own: cannot be written"),
        (["--threads", "-1"], "error: --threads -1: at least 1."),
        (["--workers", "0"], "error: --workers 0: at least 1."),
        (["--workers", "-1"], "error: --workers -1: at least 1."),
        (["--bundles", "-3"], "error: --bundles -3: at least 1."),
        (["bundles=0"], "error: --bundles 0: at least 1."),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(arguments, folder, capsys, change, message):
    assert submit([*arguments, *change]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not folder.path.exists()


def test_a_row_without_its_label_is_named_by_file_and_row(arguments, folder, own_study, capsys):
    path = own_study / "data/pairs/train.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    del rows[4]["label"]
    write_jsonl(path, rows)
    assert submit(arguments) == 2
    assert f"{path}, row 5: field 'label' (the label) is missing; it has a, b." in (
        capsys.readouterr().err
    )
    assert not folder.path.exists()


def test_a_grid_that_drops_cells_is_refused_with_those_that_go(
    arguments, finished, own_study, capsys
):
    grid = own_study / "own.toml"
    grid.write_text(grid.read_text().replace("warmup_ratio = [0.0, 0.2]", "warmup_ratio = [0.1]"))
    for more in ([], ["--dry-run"]):
        assert submit([*arguments, *more]) == 2
        error = capsys.readouterr().err
        assert (
            "another grid has this name: this study would lose 8 of its 8 cells (8 with a result)"
        ) in error
        assert "no longer in the grid: 8 cells: warmup ratio 0.0, 0.2" in error


def test_a_dry_run_says_that_the_model_is_not_here(arguments, folder, capsys):
    position = arguments.index("--model") + 1
    # the grid's own model is a folder that is not there
    away = [*arguments[: position - 1], *arguments[position + 1 :]]
    assert submit([*away, "--dry-run"]) == 0
    assert " (not found here: " in capsys.readouterr().out


def test_a_dry_run_prints_the_plan_and_writes_nothing(arguments, folder, capsys):
    assert submit([*arguments, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "8 cells, 0 done" in printed
    assert "nothing was written" in printed
    assert not folder.path.exists()


def test_the_dry_run_of_the_papers_study_counts_1152_cells_without_any_data(capsys, tmp_path):
    assert submit(["--grid", "full", "--dry-run", "--root", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "1152 cells" in printed
    assert printed.count("144") >= 8


def test_the_script_starts_from_any_folder(tmp_path):
    script = Path(__file__).parents[2] / "launcher/submit.py"
    run = subprocess.run(
        [sys.executable, script, "--grid", "demo", "--dry-run"],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "18 cells" in run.stdout


def test_a_failure_that_cannot_be_recorded_is_printed(
    arguments, finished, folder, capsys, monkeypatch
):
    for path in folder.results.glob("*.json"):
        path.unlink()
    (source,) = read_study(folder).sources
    weights = folder.source(source) / "model.safetensors"
    weights.unlink()

    def full(*arguments, **more):
        raise OSError(28, "No space left on device", "failures/x.json")

    monkeypatch.setattr("launcher.local.pool.record_failure", full)
    monkeypatch.setattr("launcher.local.workers.sys.executable", shutil.which("false"))
    assert submit(arguments) == 1
    printed = capsys.readouterr().out
    assert "0 runs done, 9 failed" in printed
    assert "no record of it can be written: failures/x.json: No space left on device" in printed
    assert not list(folder.claims.glob("*.json"))

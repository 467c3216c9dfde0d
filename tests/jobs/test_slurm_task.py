"""What goes elsewhere and what fails where a GPU, or SLURM's controller, lets an element down."""

import contextlib
import os
import pickle
import signal
import subprocess
from pathlib import Path

import pytest

from jobs.slurm_task import BundleTask, CellsFailed
from jobs.worker import DeviceMissing
from launcher.submit import main
from stilt.folder import StudyFolder, read_study
from stilt.records.failures import record_failure
from stilt.records.results import Failure, Result, read_record
from stilt.system.interrupt import Interrupted

BREAKS = """
import os
from pathlib import Path

told = Path(__file__).with_name("breaks")
if told.exists() and os.environ.get("STILT_LOG_FILE"):
    import jobs.run_cell
    with Path(__file__).with_name("starts").open("a") as starts:
        starts.write("one\\n")
    items = told.read_text().split()
    if "start" in items:
        os._exit(3)
    def breaking(real):
        def run(worker, attempt, progress):
            found = worker.study.runs[attempt.item]
            item = found.cell or found.source
            ends = (getattr(item, "source", ""), getattr(item, "target", ""))
            name = f"{'->'.join(ends)}/{item.hyperparameters.warmup_ratio}"
            if {f"kill:{item.id}", f"kill-once:{item.id}"} & set(items):
                told.write_text(" ".join(i for i in items if not i.startswith("kill-once:")))
                os.kill(os.getpid(), 9)
            if {"all", item.id, name} & set(items):
                raise RuntimeError("CUDA error: uncorrectable ECC error encountered")
            return real(worker, attempt, progress)
        return run
    jobs.run_cell.run_cell = breaking(jobs.run_cell.run_cell)
"""
"""Python loads this in every worker: the device breaks under the items that a file names."""


class Device:
    """A made-up device of all workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(BREAKS)

    def break_under(self, *items: str) -> None:
        """Lets it break under some items, or under ``all``; under none it is sound again."""
        (self.folder / "breaks").write_text(" ".join(items))

    @property
    def starts(self) -> int:
        """How many worker processes were started since it broke first."""
        path = self.folder / "starts"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def device(tmp_path, monkeypatch):
    made = Device(tmp_path / "device")
    monkeypatch.setenv("PYTHONPATH", f"{made.folder}{os.pathsep}{os.environ['PYTHONPATH']}")
    return made


def here(own, roberta, *more):
    """A submit on this machine."""
    return main(
        [
            *("--grid", str(own / "own.toml"), "executor=local", "--root", str(own / "logs")),
            *("--data-dir", str(own / "data"), "--model", str(roberta), "--threads", "1"),
            *("--workers", "1", "--bundles", "1", *more),
        ]
    )


def failures(folder):
    found = (read_record(Failure, path) for path in folder.failures.glob("*.json"))
    return {(f.cell or f.source).id: f for f in found}


@pytest.fixture
def without_sources(own_study):
    grid = own_study / "own.toml"
    grid.write_text(grid.read_text().replace('["none", "endings"]', '["none"]'))
    return own_study


@pytest.mark.nightly
def test_a_broken_gpu_of_this_machine_fails_its_cells_without_a_process_for_each(
    without_sources, roberta, device
):
    device.break_under("all")
    assert here(without_sources, roberta) == 1
    folder = StudyFolder(without_sources / "logs/own")
    found = failures(folder)
    assert len(found) == len(read_study(folder).cells) == 4
    assert {f.kind for f in found.values()} == {"node"}
    told = sorted(f.message.split(":")[-1].split(";")[0].strip() for f in found.values())
    assert told == [
        *["no GPU of this machine works"] * 2,
        *["uncorrectable ECC error encountered"] * 2,
    ]
    assert device.starts == 2
    assert not list(folder.claims.glob("*.json"))


@pytest.mark.nightly
def test_a_gpu_that_breaks_under_one_cell_runs_the_others_in_a_new_process(
    without_sources, roberta, device
):
    device.break_under("none->endings/0.2")
    assert here(without_sources, roberta) == 1
    folder = StudyFolder(without_sources / "logs/own")
    (failure,) = failures(folder).values()
    assert (failure.kind, failure.cell.target) == ("node", "endings")
    assert len(list(folder.results.glob("*.json"))) == 3
    assert device.starts == 2


@pytest.mark.nightly
def test_a_worker_whose_gpu_breaks_takes_the_whole_element_elsewhere(element, device):
    element.submit("target", element.cells)
    victim = element.cells[0]
    device.break_under(victim)
    with pytest.raises(SystemExit) as left:
        element.run("target", workers=2)
    assert left.value.code == 75
    assert element.asked("requeue") == ["scontrol requeue 7_0"]
    assert element.asked("update") == ["scontrol update jobid=7_0 excnodelist=node1"]
    record = failures(element.folder)[victim]
    assert (record.kind, record.attempts, record.host) == ("node", 1, "node1")
    assert list(failures(element.folder)) == [victim]
    assert element.held() | element.scored() == set(element.cells)
    assert victim in element.held()
    # on the other node
    device.break_under()
    element.run("target", workers=2)
    assert element.scored() == set(element.cells)
    assert not failures(element.folder)
    assert not element.held()


@pytest.mark.nightly
def test_an_item_that_breaks_on_three_nodes_fails_and_leaves_the_others_alone(element, device):
    element.submit("target", element.cells)
    victim = element.cells[0]
    for node in ("node8", "node9"):
        record_failure(element.study, element.folder, victim, "node", "CUDA error", host=node)
    device.break_under(victim)
    with contextlib.suppress(SystemExit, CellsFailed):
        element.run("target", workers=2)
    assert failures(element.folder)[victim].attempts == 3
    assert list(failures(element.folder)) == [victim]
    assert element.held() | element.scored() == set(element.cells) - {victim}


@pytest.mark.parametrize("fault", ["there is no GPU", "the GPU breaks"])
def test_an_element_that_cannot_go_elsewhere_fails_all_that_is_left_and_what_waits_for_it(
    element, monkeypatch, fault
):
    source = next(iter(element.study.sources))
    waiting = element.study.dependants(source)
    element.submit("source", [source])
    element.submit("target", waiting)
    element.commands.say("scontrol", errors="Requested operation is disabled", code=1)

    def missing(*_):
        raise DeviceMissing("a GPU was promised and torch finds none")

    def breaks(*_, **__):
        raise RuntimeError("CUDA error: unspecified launch failure")

    if fault == "there is no GPU":
        monkeypatch.setattr("jobs.worker.Worker.__init__", missing)
    else:
        monkeypatch.setattr("jobs.bundle.run_cell", breaks)
    with pytest.raises(CellsFailed, match="has no usable result"):
        element.run("source")
    found = failures(element.folder)
    assert set(found) == {source, *waiting}
    assert (found[source].kind, found[source].attempts) == ("node", 1)
    assert {found[item].kind for item in waiting} == {"source"}
    assert not element.held()
    assert len(element.asked("requeue")) == 5


def test_what_is_left_of_an_element_that_cannot_go_elsewhere_says_so(element, device):
    element.submit("target", element.cells)
    element.commands.say("scontrol", errors="Requested operation is disabled", code=1)
    device.break_under("all")
    with pytest.raises(CellsFailed, match="4 of 4"):
        element.run("target", workers=2)
    refused = "which SLURM did not requeue: scontrol failed: Requested operation is disabled"
    assert {f.message for f in failures(element.folder).values()} == {
        "RuntimeError: CUDA error: uncorrectable ECC error encountered",
        f"a GPU broke under its element, {refused}",
    }
    assert not element.held()


@pytest.mark.nightly
def test_a_worker_that_dies_twice_before_it_begins_anything_fails_its_items(element, device):
    element.submit("target", element.cells)
    device.break_under("start")
    with pytest.raises(CellsFailed, match="4 of 4"):
        element.run("target", workers=2)
    assert device.starts == 2 * 2
    told = {failure.message for failure in failures(element.folder).values()}
    assert told == {"the worker ended with exit code 3"}
    assert not element.held()


def test_a_worker_that_is_killed_runs_its_item_once_more_and_as_it_was(element, device):
    element.submit("target", element.cells)
    victim = element.cells[0]
    device.break_under(f"kill-once:{victim}")
    element.run("target", workers=2)
    assert element.scored() == set(element.cells)
    assert not failures(element.folder)
    result = read_record(Result, element.folder.result(victim))
    assert result.provenance.attempt == 2
    assert result.training.chunk == 8


@pytest.mark.nightly
def test_a_worker_that_is_killed_again_fails_its_item_and_names_its_own_log(element, device):
    element.submit("target", element.cells)
    victim = element.cells[1]
    device.break_under(f"kill:{victim}")
    with pytest.raises(CellsFailed, match="1 of 4"):
        element.run("target", workers=2)
    (failure,) = failures(element.folder).values()
    assert (failure.cell.id, failure.kind, failure.attempts) == (victim, "killed", 2)
    assert failure.out_of_memory == 0
    assert "killed by signal 9; nothing says that memory ran out" in failure.message
    assert failure.log == "logs/target.1.log"
    assert victim in (element.folder.path / failure.log).read_text()


def test_a_worker_that_is_killed_for_want_of_memory_is_out_of_memory(element, device, monkeypatch):
    monkeypatch.setattr(
        "stilt.system.memory.MemoryWatch.shortage", lambda watch, pid: "the kernel counts 1 more"
    )
    element.submit("target", element.cells)
    device.break_under(f"kill:{element.cells[1]}")
    with pytest.raises(CellsFailed, match="1 of 4"):
        element.run("target", workers=2)
    (failure,) = failures(element.folder).values()
    assert (failure.kind, failure.attempts, failure.out_of_memory) == ("oom", 1, 1)


def interrupted(monkeypatch, element):
    """A source that is asked to stop, where submitit's one request to the controller fails."""

    def busy(number, frame):
        raise subprocess.TimeoutExpired(["scontrol", "requeue", "7_0"], 60)

    def stops(*_, **__):
        os.kill(os.getpid(), signal.SIGUSR2)
        raise Interrupted

    signal.signal(signal.SIGUSR2, busy)
    monkeypatch.setattr("jobs.bundle.run_cell", stops)
    source = next(iter(element.study.sources))
    element.submit("source", [source])
    element.submit("target", element.study.dependants(source))
    return source


def test_an_element_at_its_time_limit_asks_a_busy_controller_again(element, monkeypatch):
    interrupted(monkeypatch, element)
    held = element.held()
    with pytest.raises(SystemExit) as left:
        element.run("source")
    assert left.value.code == 75
    assert len(element.asked("requeue")) == 1
    assert element.held() == held
    assert not failures(element.folder)


def test_an_element_at_its_time_limit_that_slurm_does_not_requeue_leaves_nothing_waiting(
    element, monkeypatch
):
    source = interrupted(monkeypatch, element)
    element.commands.say("scontrol", errors="Requested operation is disabled", code=1)
    with pytest.raises(CellsFailed):
        element.run("source")
    found = failures(element.folder)
    assert found.pop(source).kind == "timeout"
    assert {failure.kind for failure in found.values()} == {"source"}
    assert set(found) == set(element.study.dependants(source))
    assert not element.held()


@pytest.mark.nightly
def test_cells_of_two_processes_fail_with_their_broken_gpus(without_sources, roberta, device):
    grid = without_sources / "own.toml"
    grid.write_text(f"processes = 2\n{grid.read_text()}")
    device.break_under("all")
    assert here(without_sources, roberta) == 1
    found = failures(StudyFolder(without_sources / "logs/own"))
    assert len(found) == 4
    assert {f.kind for f in found.values()} == {"node"}
    assert device.starts == 4


def test_what_an_earlier_version_submitted_is_still_understood():
    # as it was pickled before its module's last change
    submitted = (
        b"ccopy_reg\n_reconstructor\np0\n(cjobs.slurm_task\nBundleTask\np1\nc__builtin__\nobject\n"
        b"p2\nNtp3\nRp4\n(dp5\nVfolder\np6\ng6\nsVbundle\np7\ng7\nsVworkers\np8\nI2\nsb."
    )
    assert pickle.loads(submitted) == BundleTask("folder", "bundle", 2)

"""A bundle in one process: what is tried again, what is recorded, and what goes on."""

import errno
import json
import signal

import pytest
import torch

from jobs import bundle as bundles
from jobs import sampler
from jobs.settings import Settings
from jobs.synthesize import synthesize
from jobs.worker import Worker
from stilt.cell import SYNTHESIS
from stilt.errors import DataError, ResultError
from stilt.folder import StudyFolder, write_study
from stilt.grid import load_grid
from stilt.records.claims import new_claim, take
from stilt.records.failures import record_failure
from stilt.records.finished import read_ending
from stilt.records.results import Failure, read_record
from stilt.study import bind
from stilt.synthesis.datasheet import Datasheet
from stilt.system.interrupt import Interrupted
from tests.support.tiny_generator import prose, save_tiny_gpt2


@pytest.fixture
def work(own_study, roberta, tmp_path):
    """A worker, and the two cells that start from none, both claimed."""
    grid = load_grid(str(own_study / "own.toml"))
    study = bind(grid, "tiny", near=own_study)
    folder = StudyFolder(tmp_path / "study")
    write_study(study, folder)
    cells = [c.id for c in study.cells.values() if (c.source, c.target) == ("none", "pairs")]
    settings = Settings(
        submission="local-1",
        data_dir=own_study / "data",
        cache=tmp_path / "cache",
        model=str(roberta),
        device="cpu",
        threads=1,
    )
    for cell in cells:
        assert take(new_claim(cell, "local-1", "b"), folder.claim(cell))
    return Worker(study, folder, settings), cells


def with_room_for(monkeypatch, examples, cell):
    """A device on which one cell needs more memory than there is, beyond some examples a pass."""
    tried, real = [], bundles.run_cell

    def run_cell(worker, attempt, progress):
        if attempt.item == cell:
            tried.append(attempt.chunk)
            if attempt.chunk > examples:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return real(worker, attempt, progress)

    monkeypatch.setattr(bundles, "run_cell", run_cell)
    return tried


def test_what_runs_out_of_memory_is_tried_with_half_as_many_examples(work, monkeypatch):
    worker, items = work
    first, second = items
    tried = with_room_for(monkeypatch, 2, first)
    assert bundles.run_bundle(worker, items) == 0
    assert tried == [8, 4, 2]
    for cell in (first, second):
        folder, study = worker.folder, worker.study
        assert read_ending(study, folder, study.runs[cell]) is not None
        assert not folder.failure(cell).exists()
        assert not folder.claim(cell).exists()


def test_what_ran_out_of_memory_says_so_in_its_result(work, monkeypatch):
    worker, items = work
    with_room_for(monkeypatch, 2, items[0])
    assert bundles.run_bundle(worker, items) == 0
    study, folder = worker.study, worker.folder
    made = [read_ending(study, folder, study.runs[i]) for i in items]
    assert [result.training.chunk for result in made] == [2, 8]


def test_what_was_killed_begins_with_all_its_examples_and_what_lacked_memory_with_fewer(
    work, monkeypatch
):
    worker, items = work
    for kind in ("killed", "oom", "killed", "timeout"):
        record_failure(worker.study, worker.folder, items[0], kind, "made up")
    tried = with_room_for(monkeypatch, 8, items[0])
    assert bundles.run_bundle(worker, items) == 0
    # memory ran out once of four times
    assert tried == [4]


def test_what_has_no_room_for_one_example_fails_alone(work, monkeypatch):
    worker, items = work
    first, second = items
    tried = with_room_for(monkeypatch, 0, first)
    assert bundles.run_bundle(worker, items) == 1
    assert tried == [8, 4, 2, 1]
    failure = read_record(Failure, worker.folder.failure(first))
    assert (failure.kind, failure.attempts) == ("oom", 1)
    assert worker.folder.result(second).exists()


@pytest.mark.parametrize(("deaths", "begins"), [(1, 4), (2, 2), (5, 1)])
def test_what_the_system_killed_for_its_memory_begins_with_smaller_steps(
    work, monkeypatch, deaths, begins
):
    worker, items = work
    first, _ = items
    for _ in range(deaths):
        record_failure(
            worker.study, worker.folder, first, "oom", "its job ended with OUT_OF_MEMORY"
        )
    tried = with_room_for(monkeypatch, 8, first)
    assert bundles.run_bundle(worker, items) == 0
    assert tried == [begins]


@pytest.mark.parametrize(
    ("had", "has", "begins"),
    [
        ((8_000,), 16_000, 8),
        ((8_000, 8_000), 8_000, 2),
        ((8_000,), 4_000, 4),
        ((8_000,), None, 4),
        ((None,), 16_000, 8),
        ((8_000, 16_000), 16_000, 4),
    ],
)
def test_with_more_memory_than_it_was_killed_for_a_run_begins_whole(
    work, monkeypatch, had, has, begins
):
    worker, items = work
    for memory in had:
        record = (worker.study, worker.folder, items[0])
        record_failure(*record, "oom", "its job ended with OUT_OF_MEMORY", memory=memory)
        record_failure(*record, "killed", "its job was cancelled", memory=memory)
    worker.settings = worker.settings.model_copy(update={"memory": has})
    tried = with_room_for(monkeypatch, 8, items[0])
    assert bundles.run_bundle(worker, items) == 0
    assert tried == [begins]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "oom"),
        (RuntimeError("CUDA error: out of memory"), "oom"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "oom"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "oom"),
        (MemoryError(), "oom"),
        (RuntimeError("CUDA error: uncorrectable ECC error encountered"), "node"),
        (RuntimeError("CUDA error: device-side assert triggered"), "bug"),
        (RuntimeError("shapes do not match"), "bug"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk"),
        (RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"), "disk"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 9 vs 8"), "disk"),
        (OSError(errno.EROFS, "Read-only file system"), "disk"),
        (RuntimeError("I/O error: Input/output error (os error 5)"), "disk"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "bug"),
        (DataError("rte: no rows"), "data"),
        (ResultError("source cola has no result"), "source"),
    ],
)
def test_an_error_belongs_to_the_class_that_says_what_to_do_about_it(error, kind):
    assert bundles.classify(error) == kind


def test_what_breaks_the_device_by_itself_is_recorded_and_the_process_ends(work, monkeypatch):
    worker, items = work
    first, second = items

    def run_cell(worker, attempt, progress):
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(bundles, "run_cell", run_cell)
    with pytest.raises(bundles.DeviceFault) as fault:
        bundles.run_bundle(worker, items)
    assert (fault.value.item, fault.value.kind) == (first, "bug")
    assert worker.folder.claim(second).exists()


@pytest.fixture
def generation(tmp_path):
    """A worker, and what generates the rows of SynthesisGPT2 with a tiny generator, claimed."""
    rows = [{"title": str(n), "text": prose(4, start=4 * n)} for n in range(30)]
    (tmp_path / "text.json").write_text(json.dumps(rows))
    save_tiny_gpt2(tmp_path / "gpt2")
    (tmp_path / "own.toml").write_text(
        'sources = ["none"]\ntargets = ["synthesis-gpt2"]\nlearning_rate = [1e-3]\n'
        f'batch_size = [8]\nwarmup_ratio = [0.0]\nseed = [1]\n[model]\npath = "{tmp_path}"\n'
        f'[synthesis]\ntext = "{tmp_path / "text.json"}"\nsentences = 20\ndev_sentences = 4\n'
        f'[synthesis.generator]\npath = "{tmp_path / "gpt2"}"\n'
    )
    study = bind(load_grid(str(tmp_path / "own.toml")), "tiny")
    folder = StudyFolder(tmp_path / "study")
    write_study(study, folder)
    settings = Settings(submission="local-1", cache=tmp_path, model="none", device="cpu")
    assert take(new_claim(SYNTHESIS, "local-1", "b"), folder.claim(SYNTHESIS))
    return Worker(study, folder, settings), [SYNTHESIS]


def with_room_for_prompts(monkeypatch, prompts):
    """A device on which no more prompts than that can be gone on with at a time."""
    tried, real = [], sampler.generate.continuations

    def continuations(lm, batch, *more):
        tried.append(len(batch))
        if len(batch) > prompts:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(lm, batch, *more)

    monkeypatch.setattr(sampler.generate, "continuations", continuations)
    return tried


def test_generation_that_runs_out_of_memory_takes_half_as_many_prompts_at_a_time(
    generation, monkeypatch, tmp_path
):
    worker, items = generation
    with monkeypatch.context() as small:
        tried = with_room_for_prompts(small, 4)
        assert bundles.run_bundle(worker, items) == 0
    # 64, 32, 16 and 8 prompts, of which there are 20, then 4
    assert tried == [20, 20, 16, 8, *[4] * 6]
    made = worker.folder.synthesis()
    assert not worker.folder.failure(SYNTHESIS).exists()
    sheet = Datasheet.model_validate_json((made / "datasheet.json").read_text())
    assert sheet.batch == 4
    # nor does the number of prompts in a batch decide what is written
    synthesize(worker.study.grid.synthesis, tmp_path / "again", batch=64)
    for name in ("train.jsonl", "dev.jsonl"):
        assert (made / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_generation_with_no_room_for_one_prompt_fails_with_its_reason_and_can_be_run_again(
    generation, monkeypatch
):
    worker, items = generation
    with monkeypatch.context() as small:
        with_room_for_prompts(small, 0)
        assert bundles.run_bundle(worker, items) == 1
    failure = read_record(Failure, worker.folder.failure(SYNTHESIS))
    assert (failure.kind, failure.attempts) == ("oom", 1)
    tried = with_room_for_prompts(monkeypatch, 16)
    assert take(new_claim(SYNTHESIS, "local-1", "b"), worker.folder.claim(SYNTHESIS))
    assert bundles.run_bundle(worker, items) == 0
    # it began with 32, half of what is usual
    assert tried == [20, 16, 4, 4]
    assert not worker.folder.failure(SYNTHESIS).exists()


def test_generation_that_is_asked_to_stop_stops_and_goes_on_to_the_same_rows(
    generation, monkeypatch, tmp_path
):
    worker, items = generation
    real = sampler.generate.continuations

    def continuations(lm, batch, *more):
        worker.stop.signal = signal.SIGTERM
        return real(lm, batch, *more)

    with monkeypatch.context() as stopped:
        stopped.setattr(sampler.generate, "continuations", continuations)
        with pytest.raises(Interrupted):
            bundles.run_bundle(worker, items)
    made = worker.folder.synthesis()
    assert not (made / "dev.jsonl").exists()
    assert worker.folder.claim(SYNTHESIS).exists()
    worker.stop.signal = None
    assert bundles.run_bundle(worker, items) == 0
    synthesize(worker.study.grid.synthesis, tmp_path / "again")
    for name in ("train.jsonl", "dev.jsonl"):
        assert (made / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_what_the_study_no_longer_has_is_skipped_and_given_back(work, monkeypatch):
    worker, (gone, kept) = work
    cells = [cell.id for cell in worker.study.cells.values()]
    claimed = next(cell for cell in cells if cell not in (gone, kept))
    take(new_claim(claimed, "slurm-2", "b"), worker.folder.claim(claimed))
    runs = {item: run for item, run in worker.study.runs.items() if item not in (gone, claimed)}
    monkeypatch.setitem(worker.study.__dict__, "runs", runs)
    assert bundles.run_bundle(worker, [gone, claimed, kept]) == 0
    assert not worker.folder.claim(gone).exists()
    assert not worker.folder.failure(gone).exists()
    assert not worker.folder.result(gone).exists()
    # another submission's claim is not ours to give back
    assert worker.folder.claim(claimed).exists()
    assert worker.folder.result(kept).exists()

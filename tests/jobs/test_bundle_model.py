"""A bundle whose model, or source, is no longer what its study was begun with trains nothing."""

import json
import shutil

import pytest

from jobs.bundle import run_bundle
from jobs.settings import Settings
from jobs.worker import Worker
from stilt.folder import StudyFolder, write_study
from stilt.grid import load_grid
from stilt.model.build import load_start
from stilt.model.place import ModelPlace, file_digests, identity_of
from stilt.records.claims import new_claim, take
from stilt.records.failures import read_failure
from stilt.records.results import Result, SourceResult, read_record, write_record
from stilt.study import bind


class Work:
    """A study of a model folder, and what submits of it run."""

    def __init__(self, own, model, place):
        self.model = model
        files = file_digests(ModelPlace(str(model)))
        grid = load_grid(str(own / "own.toml"))
        self.study = bind(grid, identity_of(files), near=own)
        self.folder = StudyFolder(place / "study")
        write_study(self.study, self.folder)
        self.settings = Settings(
            submission="local-1",
            data_dir=own / "data",
            cache=place / "cache",
            model=str(model),
            model_files=files,
            device="cpu",
            threads=1,
        )
        (self.source,) = self.study.sources

    def cells(self, source, target="pairs"):
        found = self.study.cells.values()
        return [cell.id for cell in found if (cell.source, cell.target) == (source, target)]

    def run(self, items):
        """Runs them in a worker process, as it were; returns how many failed."""
        for item in items:
            assert take(new_claim(item, "local-1", "b"), self.folder.claim(item))
        return run_bundle(Worker(self.study, self.folder, self.settings), items)

    def failure(self, item):
        return read_failure(self.folder.failure(item))

    def score(self, cell):
        return read_record(Result, self.folder.result(cell)).dev


@pytest.fixture
def work(own_study, roberta, tmp_path):
    return Work(own_study, shutil.copytree(roberta, tmp_path / "model"), tmp_path)


def edit(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_runs_of_a_model_that_was_changed_after_the_submit_fail_and_name_the_file(work):
    config = work.model / "config.json"
    before = config.read_bytes()
    edit(config, layer_norm_eps=0.1)
    cells = work.cells("none")
    assert work.run(cells) == len(cells) == 2
    for cell in cells:
        failure = work.failure(cell)
        assert failure.kind == "model"
        assert "config.json (another file)" in failure.message
        assert not work.folder.result(cell).exists()
    config.write_bytes(before)
    assert work.run(cells) == 0
    assert not any(work.folder.failure(cell).exists() for cell in cells)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "tokenizer_config.json"])
def test_no_file_of_the_model_is_taken_on_trust(work, name):
    with (work.model / name).open("ab") as file:
        file.write(b"\n")
    (cell, _) = work.cells("none")
    assert work.run([cell]) == 1
    assert f"{name} (another file)" in work.failure(cell).message


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_source_whose_files_were_changed_is_of_no_use_to_its_cells(work, name):
    assert work.run([work.source]) == 0
    with (work.folder.source(work.source) / name).open("ab") as file:
        file.write(b"\n")
    (cell, _) = work.cells("endings")
    assert work.run([cell]) == 1
    assert work.failure(cell).kind == "source"
    assert f"{name}: not the file that was saved with result" in work.failure(cell).message


def test_a_source_is_a_whole_model_folder_with_its_tokenizer(work):
    assert work.run([work.source]) == 0
    place = ModelPlace(str(work.folder.source(work.source)))
    record = read_record(SourceResult, work.folder.record(work.study.runs[work.source]))
    files = file_digests(place)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files.keys()
    assert record.files | {"model.safetensors": record.checkpoint} == files
    theirs = Worker(
        work.study.model_copy(update={"model_identity": identity_of(files)}),
        work.folder,
        work.settings.model_copy(update={"model": place.name, "model_files": files}),
    )
    text = "the cat sat on a mat"
    mine = Worker(work.study, work.folder, work.settings).models.tokenizer(text)
    assert theirs.models.tokenizer(text)["input_ids"] == mine["input_ids"]


def test_a_source_of_earlier_code_is_used_and_its_config_changes_nothing(work):
    first, second = work.cells("endings")
    assert work.run([work.source, first]) == 0
    record = read_record(SourceResult, work.folder.record(work.study.runs[work.source]))
    # earlier code noted the weights alone, and saved no tokenizer
    write_record(
        record.model_copy(update={"files": {}}), work.folder.record(work.study.runs[work.source])
    )
    place = work.folder.source(work.source)
    for path in place.glob("tokenizer*"):
        path.unlink()
    edit(place / "config.json", layer_norm_eps=0.5, hidden_dropout_prob=0.9)
    before = work.score(first)
    work.folder.result(first).unlink()
    assert work.run([first, second]) == 0
    assert work.score(first) == before
    start = load_start(2, ModelPlace(str(work.model)), place)
    assert start.model.config.layer_norm_eps == 1e-5

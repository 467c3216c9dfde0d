"""A model whose files changed since its study was begun is refused, and the file is named."""

import hashlib
import os
import shutil
from functools import partial

import huggingface_hub
import pytest

from stilt.errors import ModelError
from stilt.model.build import StartModels
from stilt.model.place import ModelPlace, file_digests, identity_of
from stilt.model.unchanged import Unchanged
from tests.support.plain_task import plain_task

COMMIT = "ab" * 20


@pytest.fixture
def folder(roberta, tmp_path):
    return shutil.copytree(roberta, tmp_path / "model")


def begun(folder, *, noted=True):
    """What asks for a study that was begun with the folder as it is now."""
    place = ModelPlace(str(folder))
    files = file_digests(place)
    return Unchanged(place, identity_of(files), files if noted else {})


def append(path):
    with path.open("ab") as file:
        file.write(b" ")


CHANGES = {
    "config.json (another file)": lambda folder: append(folder / "config.json"),
    "model.safetensors (another file)": lambda folder: append(folder / "model.safetensors"),
    "tokenizer.json (another file)": lambda folder: append(folder / "tokenizer.json"),
    "tokenizer_config.json (gone)": lambda folder: (folder / "tokenizer_config.json").unlink(),
    "vocab.txt (added)": lambda folder: (folder / "vocab.txt").write_text("a\n"),
}


@pytest.mark.parametrize("said", CHANGES)
def test_whatever_changed_is_named(folder, said):
    unchanged = begun(folder)
    unchanged.require()
    CHANGES[said](folder)
    with pytest.raises(ModelError) as refused:
        unchanged.require()
    assert f"{folder}: the model was changed since the study was begun: {said}. Put" in str(
        refused.value
    )


def test_a_change_back_is_no_change(folder):
    unchanged = begun(folder)
    before = (folder / "config.json").read_bytes()
    append(folder / "config.json")
    with pytest.raises(ModelError):
        unchanged.require()
    (folder / "config.json").write_bytes(before)
    unchanged.require()


def test_a_submission_of_earlier_code_noted_no_files_and_is_held_to_the_identity(folder):
    unchanged = begun(folder, noted=False)
    unchanged.require()
    append(folder / "config.json")
    with pytest.raises(ModelError, match="which file, nobody noted"):
        unchanged.require()


def test_files_are_read_again_only_where_they_were_touched(folder, monkeypatch):
    unchanged = begun(folder)
    read = []
    monkeypatch.setattr(
        "stilt.model.unchanged.file_digests", lambda place: read.append(1) or file_digests(place)
    )
    unchanged.require()
    unchanged.require()
    assert len(read) == 1
    os.utime(folder / "config.json", ns=(1, 1))
    unchanged.require()
    assert len(read) == 2


def test_a_model_replaced_between_two_loads_of_one_process_is_found(folder):
    models = StartModels(ModelPlace(str(folder)), begun(folder))
    models.start(plain_task(), None, "keep")
    append(folder / "model.safetensors")
    three = plain_task(labels=["0", "1", "2"])
    with pytest.raises(ModelError, match=r"model\.safetensors \(another file\)"):
        models.start(three, None, "keep")


def test_a_model_replaced_while_it_is_loaded_is_found(folder, monkeypatch):
    models = StartModels(ModelPlace(str(folder)), begun(folder))
    assert models.config["model_type"] == "roberta"

    def load(*known):
        append(folder / "model.safetensors")

    monkeypatch.setattr("stilt.model.build.load_start", load)
    with pytest.raises(ModelError, match=r"model\.safetensors \(another file\)"):
        models.start(plain_task(), None, "keep")


@pytest.fixture
def hub(roberta, tmp_path, monkeypatch):
    """A model in the Hub's cache, as its client leaves it: names that link to what they hold."""
    place = tmp_path / "models--org--encoder"
    snapshot, blobs = place / "snapshots" / COMMIT, place / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for path in roberta.iterdir():
        content = path.read_bytes()
        large = path.suffix == ".safetensors"
        name = (
            hashlib.sha256(content)
            if large
            else hashlib.sha1(f"blob {len(content)}\0".encode() + content)
        ).hexdigest()
        (blobs / name).write_bytes(content)
        (snapshot / path.name).symlink_to(blobs / name)
    find = partial(huggingface_hub.try_to_load_from_cache, cache_dir=tmp_path)
    monkeypatch.setattr("stilt.model.unchanged.try_to_load_from_cache", find)
    return snapshot


@pytest.mark.parametrize("name", [None, "model.safetensors", "tokenizer.json"])
def test_a_model_of_the_hub_is_what_its_cache_says_that_it_is(hub, name):
    unchanged = Unchanged(ModelPlace("org/encoder", COMMIT), f"org/encoder@{COMMIT}", {})
    if name is None:
        unchanged.require()
        return
    append((hub / name).resolve())
    with pytest.raises(ModelError, match=f"{name}: is not the file that the Hub gave"):
        unchanged.require()


def test_a_model_of_the_hub_that_is_not_here_is_left_to_its_client(tmp_path):
    Unchanged(ModelPlace("org/none", COMMIT), f"org/none@{COMMIT}", {}).require()

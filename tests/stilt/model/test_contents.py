"""A model folder that is not whole is refused before anything is sent, and the file is named."""

import shutil

import pytest

from stilt.errors import ModelError
from stilt.model.contents import require_whole
from stilt.model.place import ModelPlace

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.fixture
def folder(roberta, tmp_path):
    return shutil.copytree(roberta, tmp_path / "model")


def refusal(folder):
    with pytest.raises(ModelError) as refused:
        require_whole(ModelPlace(str(folder)))
    (line,) = str(refused.value).splitlines()
    return line


def test_a_whole_folder_is_taken_and_a_model_of_the_hub_not_looked_at(folder):
    require_whole(ModelPlace(str(folder)))
    require_whole(ModelPlace("org/encoder", "0" * 40))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_pointer_of_git_lfs_is_no_file(folder, name):
    (folder / name).write_text(POINTER)
    assert refusal(folder) == (
        f"model: {folder / name}: a pointer of git-LFS, not the file. Run git lfs pull there."
    )


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1])
def test_weights_that_are_cut_off_are_refused(folder, keep):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:keep])
    said = refusal(folder)
    assert f"{path}: " in said
    assert "cut off" in said or "not a safetensors file" in said
    if keep == -1:
        assert f"cut off: {len(whole) - 1} of {len(whole)} bytes" in said


@pytest.mark.parametrize("header", [b"[]", b"[" * 90_000, b'{"a": 1}', b'{"a": {}}', b"\xff"])
def test_weights_with_another_header_are_refused(folder, header):
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert "model.safetensors: not a safetensors file" in refusal(folder)


def test_a_folder_without_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    assert f"{folder}: no weights there" in refusal(folder)


def test_a_folder_without_a_tokenizer_is_refused(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()
    assert f"{folder}: no tokenizer there, so that every text would be read alike" in refusal(
        folder
    )

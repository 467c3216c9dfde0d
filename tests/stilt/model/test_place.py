"""What makes two models the same."""

import hashlib

import pytest

from stilt.errors import ConfigError
from stilt.grid import ModelSpec
from stilt.model.place import ModelPlace, file_digests, identity


def test_a_folder_is_identified_by_names_and_contents_of_the_files_that_decide(tmp_path):
    contents = {"config.json": b"{}", "model.safetensors": b"w", "tokenizer.json": b"t"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "README.md").write_text("changes nothing")
    seen = hashlib.sha256()
    for name in sorted(contents):
        seen.update(name.encode() + hashlib.sha256(contents[name]).digest())
    files = file_digests(ModelPlace(str(tmp_path)))
    assert set(files) == set(contents)
    known = identity(ModelSpec(path=str(tmp_path)), files)
    assert known == f"sha256:{seen.hexdigest()[:32]}"


def test_a_model_of_the_hub_is_identified_by_its_commit():
    spec = ModelSpec(hub="org/encoder", revision="0a" * 20)
    assert identity(spec, {}) == f"org/encoder@{'0a' * 20}"


@pytest.mark.parametrize("revision", [None, "main", "v1.0", "0a" * 6])
def test_a_branch_tag_or_short_commit_may_be_another_model_tomorrow(revision):
    with pytest.raises(ConfigError, match="'revision'"):
        identity(ModelSpec(hub="org/encoder", revision=revision), {})

"""A sealed file tells every change of its content, and whose it is."""

import random

import numpy as np
import pytest
import torch

from stilt.system.sealed import flaw, sealing

FACTS = {"item": "a1", "data": "d2"}


@pytest.fixture
def sealed(tmp_path):
    path = tmp_path / "state"
    with sealing(path, FACTS) as file:
        file.write(b"content " * 2000)
    return path


def test_a_whole_file_with_the_facts_that_are_asked_for_has_no_flaw(sealed):
    assert flaw(sealed, FACTS) is None
    assert flaw(sealed, {}) is None
    assert flaw(sealed, {"item": "a1"}) is None


@pytest.mark.parametrize(
    ("asked", "told"),
    [({"item": "b1"}, "its item is a1, not b1"), ({"code": "c"}, "its code is None, not c")],
)
def test_a_file_of_another_says_whose_it_is(sealed, asked, told):
    assert flaw(sealed, FACTS | asked) == told


def test_every_single_flipped_bit_is_told(tmp_path):
    path = tmp_path / "state"
    with sealing(path, FACTS) as file:
        torch.save({"weights": torch.arange(4.0)}, file)
    whole = path.read_bytes()
    bits = random.Random(0)
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << bits.randrange(8)
        path.write_bytes(flipped)
        assert flaw(path, FACTS) is not None, place


@pytest.mark.parametrize("kept", [0, 1, 5000, 15_990, 16_050])
def test_a_file_cut_short_is_told(sealed, kept):
    sealed.write_bytes(sealed.read_bytes()[:kept])
    assert "cut short" in flaw(sealed, FACTS) or "cannot be read" in flaw(sealed, FACTS)


def test_archives_are_read_as_if_there_were_no_seal(tmp_path):
    with sealing(tmp_path / "a", FACTS) as file:
        np.savez(file, numbers=np.arange(5))
    with np.load(tmp_path / "a") as arrays:
        assert arrays["numbers"].tolist() == [0, 1, 2, 3, 4]
    with sealing(tmp_path / "b", FACTS) as file:
        torch.save({"numbers": torch.arange(5)}, file)
    assert torch.load(tmp_path / "b", weights_only=True)["numbers"].tolist() == [0, 1, 2, 3, 4]
    assert flaw(tmp_path / "a", FACTS) is flaw(tmp_path / "b", FACTS) is None


def test_a_body_that_fails_leaves_the_file_that_was_there(sealed):
    before = sealed.read_bytes()
    with pytest.raises(ValueError, match="half"), sealing(sealed, FACTS) as file:
        file.write(b"half")
        raise ValueError("half")
    assert sealed.read_bytes() == before
    assert [path.name for path in sealed.parent.iterdir()] == ["state"]

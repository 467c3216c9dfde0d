"""Truncation of any pair, the arrays, and a cache that is never wrong.

The layout of every task is in test_fidelity.py.
"""

import os
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilt.data.encode import encode, encode_splits
from stilt.data.render import Example, render
from stilt.data.splits import Splits
from stilt.errors import DataError
from stilt.task import load_task
from tests.support.letters import BOS, EOS, PAD, ids, load_letters
from tests.support.plain_task import plain_task


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load_letters(tmp_path_factory.mktemp("tokenizer"))


def rendered(name, row, tokenizer, max_length=None):
    task = load_task(name)
    found = encode(render(task, [row], "rows"), tokenizer, max_length or task.max_length)
    return [found.ids[a:b].tolist() for a, b in pairwise(found.offsets)]


def pair(first, second):
    return [BOS, *first, EOS, EOS, *second, EOS]


def reference_truncation(first, second, limit):
    """The released code's way: one token at a time off the longer side; a tie costs the second."""
    first, second = list(first), list(second)
    while len(first) + len(second) + 4 > limit:
        (first if len(first) > len(second) else second).pop()
    return pair(first, second)


@settings(max_examples=80)
@given(
    first=st.text("abcde ", min_size=1, max_size=60).map(str.strip).filter(bool),
    second=st.text("vwxyz ", min_size=1, max_size=60).map(str.strip).filter(bool),
    half=st.integers(3, 30),
)
def test_a_long_pair_loses_tokens_of_its_longer_side_as_in_the_released_code(
    tokenizer, first, second, half
):
    # all lengths of the paper's tasks are even
    row = {"premise": first, "hypothesis": second, "label": "0"}
    (found,) = rendered("rte", row, tokenizer, max_length=2 * half)
    assert found == reference_truncation(ids(first), ids(second), 2 * half)


def test_arrays_hold_every_sequence_once_in_order_and_no_padding(tokenizer):
    examples = [
        Example((("a", "bc"), ("a", "bcd")), 1),
        Example((("abc", "d"), ("abc", "")), 0),
    ]
    found = encode(examples, tokenizer, 50)
    assert (found.options, len(found)) == (2, 2)
    assert found.lengths.tolist() == [7, 8, 8, 7]
    assert found.labels.tolist() == [1, 0]
    assert PAD not in found.ids
    assert (found.ids.dtype, found.offsets.dtype, found.labels.dtype) == (
        np.int32,
        np.int64,
        np.int64,
    )
    assert found.ids[found.offsets[3] : found.offsets[4]].tolist() == pair(ids("abc"), [])


def test_a_tokenizer_without_a_separator_is_refused():
    class Bare:
        sep_token = None
        eos_token = None

    with pytest.raises(DataError, match="tokenizer has no separator token; an encoder is expected"):
        encode([Example((("a", None),), 0)], Bare(), 10)


# ---- the cache

TASK = plain_task()


def splits(*texts):
    return Splits([Example(((text, None),), 0) for text in texts], [Example((("d", None),), 1)], "")


class Counting:
    """A tokenizer that counts how often it is asked."""

    def __init__(self, tokenizer):
        self.tokenizer, self.calls = tokenizer, 0

    def __getattr__(self, name):
        return getattr(self.tokenizer, name)

    def __call__(self, *arguments, **options):
        self.calls += 1
        return self.tokenizer(*arguments, **options)


def test_what_is_encoded_once_is_read_again_and_equal(tokenizer, tmp_path):
    counting = Counting(tokenizer)
    first = encode_splits(TASK, splits("one", "two"), counting, "digest", tmp_path)
    assert counting.calls == 2
    again = encode_splits(TASK, splits("one", "two"), counting, "digest", tmp_path)
    assert counting.calls == 2
    for one, other in zip(first, again, strict=True):
        for field in ("ids", "types", "offsets", "labels"):
            assert np.array_equal(getattr(one, field), getattr(other, field))
            assert getattr(one, field).dtype == getattr(other, field).dtype
    assert first[0].ids.tolist() == [BOS, *ids("one"), EOS, BOS, *ids("two"), EOS]


def test_another_tokenizer_length_task_or_row_has_another_entry(tokenizer, tmp_path):
    encode_splits(TASK, splits("one"), tokenizer, "digest", tmp_path)
    others = [
        (TASK, splits("one"), "other digest"),
        (TASK.model_copy(update={"max_length": 4}), splits("one"), "digest"),
        (TASK.model_copy(update={"text_b": "{b}"}), splits("one"), "digest"),
        (TASK, splits("two"), "digest"),
        (TASK, Splits(splits("one").train, splits("e").train, ""), "digest"),
    ]
    entries = {path.name for path in (tmp_path / "encoded").iterdir()}
    for task, rows, digest in others:
        encode_splits(task, rows, tokenizer, digest, tmp_path)
        now = {path.name for path in (tmp_path / "encoded").iterdir()}
        assert len(now) == len(entries) + 2
        entries = now
    short, _ = encode_splits(others[1][0], splits("one"), tokenizer, "digest", tmp_path)
    assert short.lengths.tolist() == [4]


def test_two_tasks_of_one_name_do_not_share_an_entry(tokenizer, tmp_path):
    mine = TASK.model_copy(update={"max_length": 5})
    theirs, _ = encode_splits(TASK, splits("abcdefgh"), tokenizer, "digest", tmp_path)
    found, _ = encode_splits(mine, splits("abcdefgh"), tokenizer, "digest", tmp_path)
    assert (theirs.lengths.tolist(), found.lengths.tolist()) == ([10], [5])


def test_an_encoding_that_fails_leaves_nothing_in_the_cache(tokenizer, tmp_path):
    class Failing(Counting):
        def __call__(self, *arguments, **options):
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        encode_splits(TASK, splits("one"), Failing(tokenizer), "digest", tmp_path)
    assert [*(tmp_path / "encoded").glob("*")] == []


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    from stilt.data.encode import cache_folder

    monkeypatch.setenv("STILT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("STILT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert str(cache_folder()).startswith(os.fspath(tmp_path / "user"))

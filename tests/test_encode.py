"""Token ids of every layout to the letter, truncation, and a cache that is never wrong."""

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilt.data import Example, Splits, render
from stilt.encode import encode, encode_splits
from stilt.errors import DataError
from stilt.task import Task, load_task

BOS, PAD, EOS, UNKNOWN, MASK = range(5)
CHARACTERS = "abcdefghijklmnopqrstuvwxyzĠABCDEFGHIJKLMNOPQRSTUVWXYZ.,?'_"
"""One token each; "Ġ" is how a byte-level vocabulary writes a leading space."""


def ids(text):
    """Token ids of plain text, by hand: one for each character."""
    return [5 + CHARACTERS.index("Ġ" if letter == " " else letter) for letter in text]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """RoBERTa's tokenizer class with a vocabulary of single characters, loaded as a run does."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    vocabulary = {token: i for i, token in enumerate([*special, *CHARACTERS])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "config.json").write_text(json.dumps({"model_type": "roberta"}))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "RobertaTokenizer", "model_max_length": 512})
    )
    return AutoTokenizer.from_pretrained(str(folder))


def rendered(name, row, tokenizer, max_length=None):
    task = load_task(name)
    found = encode(render(task, [row], "rows"), tokenizer, max_length or task.max_length)
    return [
        found.ids[a:b].tolist() for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)
    ]


def pair(first, second):
    return [BOS, *first, EOS, EOS, *second, EOS]


def test_a_pair_is_s_a_s_s_b_s_without_a_leading_space(tokenizer):
    row = {"premise": "He ran.", "hypothesis": "He moved.", "label": "entailment"}
    assert rendered("rte", row, tokenizer) == [pair(ids("He ran."), ids("He moved."))]


def test_a_single_sentence_is_s_a_s(tokenizer):
    row = {"sentence": "They drank.", "label": "1"}
    assert rendered("cola", row, tokenizer) == [[BOS, *ids("They drank."), EOS]]


def test_wic_has_one_separator_without_spaces_between_word_and_sentence(tokenizer):
    row = {"word": "go", "sentence1": "We go.", "sentence2": "They go.", "label": True}
    first = [*ids("go"), EOS, *ids("We go.")]
    assert rendered("wic", row, tokenizer) == [pair(first, ids("They go."))]


def test_socialiqa_has_one_separator_between_context_and_question(tokenizer):
    row = {
        "context": "Jo ran.",
        "question": "Why?",
        "answerA": "late",
        "answerB": "fun",
        "answerC": "fear",
        "label": "1",
    }
    first = [*ids("Jo ran."), EOS, *ids("Why?")]
    expected = [pair(first, ids(answer)) for answer in ("late", "fun", "fear")]
    assert rendered("socialiqa", row, tokenizer) == expected


def test_hellaswag_joins_stub_and_ending_and_wikihow_endings_start_with_a_space(tokenizer):
    row = {"ctx_a": "A man sits.", "ctx_b": "he", "endings": ["a", "b", "c", "d"], "label": 0}
    found = rendered("hellaswag", row, tokenizer)
    assert found == [pair(ids("A man sits."), ids(f"he {letter}")) for letter in "abcd"]
    found = rendered("hellaswag", row | {"ctx_b": ""}, tokenizer)
    assert found == [pair(ids("A man sits."), ids(f" {letter}")) for letter in "abcd"]


def test_hellaswag_p_is_the_ending_alone(tokenizer):
    row = {"ctx_a": "A man sits.", "ctx_b": "he", "endings": ["runs", "b", "c", "d"], "label": 0}
    assert rendered("hellaswag-p", row, tokenizer)[0] == [BOS, *ids("runs"), EOS]


def test_winogrande_keeps_the_space_before_its_blank(tokenizer):
    row = {"sentence": "I saw _ run.", "option1": "Jo", "option2": "Al", "answer": "2"}
    assert rendered("winogrande-xs", row, tokenizer) == [
        pair(ids("I saw "), ids("Jo run.")),
        pair(ids("I saw "), ids("Al run.")),
    ]


def test_the_layout_of_a_trained_vocabulary_is_the_same(roberta):
    from transformers import AutoTokenizer

    trained = AutoTokenizer.from_pretrained(str(roberta))
    (found,) = rendered(
        "wic", {"word": "cat", "sentence1": "the cat", "sentence2": "a cat", "label": 0}, trained
    )

    def plain(text):
        return trained(text, add_special_tokens=False)["input_ids"]

    assert found == pair([*plain("cat"), EOS, *plain("the cat")], plain("a cat"))
    assert trained.convert_ids_to_tokens(found)[1][0] != "Ġ"


def reference_truncation(first, second, limit):
    """The released code's way: one token at a time off the longer side; a tie costs the second."""
    first, second = list(first), list(second)
    while len(first) + len(second) + 4 > limit:
        (first if len(first) > len(second) else second).pop()
    return pair(first, second)


@settings(max_examples=80, deadline=None)
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


def test_rte_at_its_maximum_length_cuts_the_long_premise_and_keeps_the_hypothesis(tokenizer):
    row = {"premise": "abcde" * 40, "hypothesis": "short one", "label": "0"}
    (found,) = rendered("rte", row, tokenizer)
    assert len(found) == 100
    assert found == pair(ids("abcde" * 40)[: 100 - 4 - 9], ids("short one"))


def test_a_long_single_sentence_is_cut_at_its_end(tokenizer):
    (found,) = rendered("cola", {"sentence": "abcde" * 20, "label": "0"}, tokenizer)
    assert found == [BOS, *ids("abcde" * 20)[:48], EOS]


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

TASK = Task(
    name="t",
    title="T",
    kind="classification",
    text_a="{a}",
    labels=("0", "1"),
    max_length=30,
    epochs=1,
    data=({"train": "a", "dev": "b"},),
)


def splits(*texts):
    return Splits([Example(((text, None),), 0) for text in texts], [Example((("d", None),), 1)], "")


class Counting:
    """A tokenizer that counts how often it is asked."""

    def __init__(self, tokenizer):
        self.tokenizer, self.calls = tokenizer, 0
        self.sep_token, self.eos_token = tokenizer.sep_token, tokenizer.eos_token

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
    assert [*(tmp_path / "encoded").iterdir()] == []


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    from stilt.encode import cache_folder

    monkeypatch.setenv("STILT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("STILT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert str(cache_folder()).startswith(os.fspath(tmp_path / "user"))

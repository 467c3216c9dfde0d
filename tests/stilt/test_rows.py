"""The named row functions: WinoGrande's blank and Hella-sh's shuffle."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilt.errors import DataError
from stilt.rows import FUNCTIONS, NAMES, shuffle_fakes, split_at_blank

WORDS = st.lists(st.text("abcdef,'", min_size=1, max_size=5), max_size=12).map(" ".join)


@pytest.mark.parametrize(
    ("sentence", "before", "after"),
    [
        ("The cup fit since the _ was small.", "The cup fit since the ", "was small."),
        ("_ was late.", "", "was late."),
        ("He took _'s coat.", "He took ", "'s coat."),
        ("They blamed the _.", "They blamed the ", "."),
        ("They blamed _", "They blamed ", ""),
        ("A _ and a _ again.", "A ", "and a _ again."),
    ],
)
def test_a_sentence_is_split_at_its_first_blank_and_keeps_the_space_before_it(
    sentence, before, after
):
    row = split_at_blank({"sentence": sentence, "answer": "1"})
    assert (row["before"], row["after"], row["answer"]) == (before, after, "1")


def test_a_sentence_without_a_blank_is_refused_with_its_text():
    with pytest.raises(DataError, match=r"field 'sentence' has no blank '_': 'No blank.'"):
        split_at_blank({"sentence": "No blank."})


@settings(max_examples=40)
@given(endings=st.lists(WORDS, min_size=2, max_size=5), data=st.data())
def test_only_fake_endings_are_shuffled_and_every_word_stays(endings, data):
    gold = data.draw(st.integers(0, len(endings) - 1))
    shuffled = shuffle_fakes({"endings": endings, "label": gold})["endings"]
    assert len(shuffled) == len(endings)
    for index, (before, after) in enumerate(zip(endings, shuffled, strict=True)):
        assert Counter(after.split()) == Counter(before.split())
        assert index != gold or after == before


@settings(max_examples=40)
@given(endings=st.lists(WORDS, min_size=3, max_size=3), other=WORDS)
def test_a_fake_is_shuffled_the_same_wherever_its_row_and_whatever_its_neighbours(endings, other):
    alone = shuffle_fakes({"endings": endings, "label": 0})["endings"]
    moved = shuffle_fakes({"endings": [other, endings[2], endings[1]], "label": "0"})["endings"]
    assert moved[1:] == [alone[2], alone[1]]


def test_long_fakes_do_change_and_the_row_that_came_in_does_not():
    endings = [" ".join(map(str, range(start, start + 12))) for start in (0, 20, 40, 60)]
    row = {"endings": list(endings), "label": 2}
    shuffled = shuffle_fakes(row)["endings"]
    assert [a == b for a, b in zip(shuffled, endings, strict=True)] == [False, False, True, False]
    assert row["endings"] == endings


@pytest.mark.parametrize("label", ["", "x", "4", 7])
def test_a_label_that_is_no_ending_is_refused(label):
    with pytest.raises(DataError, match=f"field 'label' = {label!r} is not the index of an ending"):
        shuffle_fakes({"endings": ["a", "b", "c", "d"], "label": label})


def test_names_are_the_functions_that_a_task_file_may_ask_for():
    assert NAMES == tuple(FUNCTIONS) == ("split_at_blank", "shuffle_fakes", "mark_pronoun")

"""Sentences become halves, and halves become the pools of train and dev."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilt.errors import DataError
from stilt.grid import Synthesis
from stilt.synthesis.halves import Halves, halve, halved, pools
from stilt.synthesis.text import Passage

words = st.lists(st.text("abc,;'-", min_size=1, max_size=4), max_size=45)


def numbered(count):
    return " ".join(f"w{i}" for i in range(1, count + 1))


@pytest.mark.parametrize(
    ("count", "premise", "gold", "cut"),
    [
        (20, "w1 .. w10", "w11 .. w19", False),
        (21, "w1 .. w10", "w11 .. w20", False),
        (29, "w1 .. w14", "w15 .. w28", False),
        (30, "w1 .. w15", "w16 .. w29", False),
        (31, "w1 .. w15", "w16 .. w29", True),
    ],
)
def test_a_sentence_is_halved_as_the_authors_do(count, premise, gold, cut):
    found = halve(numbered(count))
    ends = [f"{x.split()[0]} .. {x.split()[-1]}" for x in (found.premise, found.gold)]
    assert (ends, found.cut) == ([premise, gold], cut)


@given(words)
def test_halves_are_10_to_15_and_9_to_14_words_of_the_sentence_in_order(sentence):
    found = halve("  ".join(sentence))
    assert (found is None) == (len(sentence) < 20)
    if found is not None:
        premise, gold = found.premise.split(), found.gold.split()
        assert premise + gold == sentence[: len(premise) + len(gold)]
        assert len(premise) + len(gold) + 1 == min(len(sentence), 30)
        assert 10 <= len(premise) <= 15
        assert 9 <= len(gold) <= 14


def test_sentences_are_what_full_stops_with_a_space_separate():
    text = f"{numbered(20)}. Too short. {numbered(22)}.{numbered(3)}? {numbered(25)}"
    found = halved([Passage(0, text), Passage(7, numbered(21))])
    assert [halves.document for halves in found] == [0, 0, 7]
    assert found[1].premise == " ".join(f"w{i}" for i in range(1, 16))


def sentences(documents):
    return [
        Halves(document, f"premise {document} {i}", f"gold {i}", False)
        for document, size in enumerate(documents)
        for i in range(size)
    ]


def sized(train, dev, seed=42):
    return Synthesis(text="x.txt", sentences=train, dev_sentences=dev, seed=seed)


@given(
    documents=st.lists(st.integers(1, 6), min_size=12, max_size=30),
    seed=st.integers(0, 99),
    dev=st.integers(1, 3),
)
def test_dev_comes_from_documents_that_train_never_saw(documents, seed, dev):
    everything = sentences(documents)
    train_pool, dev_pool = pools(everything, sized(2, dev, seed))
    assert len(train_pool) >= 2
    assert len(dev_pool) >= dev
    assert not {h.document for h in train_pool} & {h.document for h in dev_pool}
    assert sorted(train_pool + dev_pool, key=str) == sorted(everything, key=str)


def test_a_sentence_that_train_has_too_is_left_out_of_dev():
    repeated = [Halves(document, "the same", "everywhere", False) for document in range(30)]
    train_pool, dev_pool = pools([*sentences([3] * 30), *repeated], sized(20, 5))
    assert not {h.premise for h in train_pool} & {h.premise for h in dev_pool}
    assert sum(h.premise == "the same" for h in train_pool) > 1


def test_the_seed_decides_which_sentences_are_taken():
    everything = sentences([4] * 20)
    assert pools(everything, sized(20, 5)) == pools(everything, sized(20, 5))
    assert pools(everything, sized(20, 5)) != pools(everything, sized(20, 5, seed=1))


@pytest.mark.parametrize(("documents", "train", "dev"), [([5, 5], 8, 1), ([9], 3, 3), ([], 1, 1)])
def test_a_text_that_is_too_small_says_how_much_there_is(documents, train, dev):
    message = rf"has {sum(documents)} sentences .* in {len(documents)} documents, .*= {train} and"
    with pytest.raises(DataError, match=message):
        pools(sentences(documents), sized(train, dev))

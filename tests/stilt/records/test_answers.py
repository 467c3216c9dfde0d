"""What records write of labels and answers is read again as it was."""

import numpy as np
import pytest

from stilt.records.answers import answers_of, written


def test_classes_are_a_character_each():
    assert written(np.array([0, 9, 10, 35])) == "09az"
    assert answers_of("f1", "09az").tolist() == [0, 9, 10, 35]


def test_numbers_are_read_back_as_the_same_float32():
    numbers = np.random.default_rng(0).normal(2, 3, 500).astype(np.float32)
    text = written(numbers)
    assert (answers_of("pearson", text) == numbers).all()
    assert written(answers_of("pearson", text)) == text


def test_numbers_are_short_where_they_are():
    assert written(np.array([0.0, 2.6, 5.0])) == "0.0 2.6 5.0"


@pytest.mark.parametrize("text", ["", "1.0 b", "1.0  2.0"])
def test_what_is_no_number_is_told(text):
    assert np.isnan(answers_of("spearman", text)).all()

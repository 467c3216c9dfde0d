"""What is counted of generated rows, worked by hand."""

import pytest

from stilt.synthesis.datasheet import lengths, part
from stilt.synthesis.halves import Drawn


def drawn(*fakes, gold="g o", fake_tokens=(2, 2, 2), stopped=(False, False, False), cut=False):
    return Drawn(
        ctx="c t x",
        endings=(gold, *fakes),
        premise_tokens=3,
        gold_tokens=2,
        fake_tokens=fake_tokens,
        stopped=stopped,
        cut=cut,
    )


@pytest.mark.parametrize(
    ("fakes", "empty", "repeated", "gold_identical"),
    [
        (("a", "b", "c"), 0, 0, 0),
        (("", "b", "c"), 1, 0, 0),
        (("", "", "c"), 2, 1, 0),
        (("a", "a", "a"), 0, 2, 0),
        (("g o", "b", "g o"), 0, 1, 2),
    ],
)
def test_flaws_of_a_row_counted_by_hand(fakes, empty, repeated, gold_identical):
    row = drawn(*fakes)
    assert (row.empty, row.repeated, row.gold_identical) == (empty, repeated, gold_identical)
    assert row.flawed == (fakes != ("a", "b", "c"))


def test_the_datasheets_counts_worked_by_hand():
    rows = [
        drawn("a. b", "c\nd", "e", fake_tokens=(2, 2, 1), stopped=(False, False, True), cut=True),
        drawn("", "g o", "x \ufffd", fake_tokens=(0, 2, 2), stopped=(True, False, False)),
    ]
    found = part(rows, sha256="s", dropped=4, too_long=1)
    assert (found.rows, found.dropped, found.too_long) == (2, 4, 1)
    assert (found.empty, found.repeated, found.gold_identical, found.flawed_rows) == (1, 0, 1, 1)
    assert found.fakes_cut_by_length == pytest.approx(4 / 6, abs=1e-4)
    assert found.gold_cut_by_length == 0.5
    shares = (
        found.fakes_with_sentence_end,
        found.fakes_with_line_break,
        found.fakes_with_broken_character,
    )
    assert shares == (pytest.approx(1 / 6, abs=1e-4),) * 3
    assert found.fakes_shorter == pytest.approx(2 / 6, abs=1e-4)
    assert found.tokens["fakes"].histogram == {0: 1, 1: 1, 2: 4}
    assert found.words["premise"] == lengths([3, 3])
    assert found.words["fakes"].mean == pytest.approx((2 + 2 + 1 + 0 + 2 + 2) / 6, abs=1e-3)

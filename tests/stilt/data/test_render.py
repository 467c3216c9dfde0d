"""Rows become examples; a row that cannot be used is named."""

import pytest

from stilt.data.render import render
from stilt.errors import DataError
from tests.support.plain_task import plain_task


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"a": "x", "label": "maybe"},
            "rows, row 2: field 'label' = 'maybe': not a label of 't'; allowed: no, 0, yes, 1.",
        ),
        (
            {"a": "x", "label": -1},
            "rows, row 2: field 'label' = '-1': not a label of 't'; allowed: no, 0, yes, 1.",
        ),
        ({"a": "x"}, "rows, row 2: field 'label' (the label) is missing; it has a."),
        ({"a": "x", "label": None}, "rows, row 2: field 'label' (the label) is missing; it has a."),
        ({"b": "x", "label": "no"}, "rows, row 2: field 'a' is missing; it has b, label."),
        ({"a": None, "label": "no"}, "rows, row 2: field 'a' is missing; it has label."),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_its_number(row, message):
    with pytest.raises(DataError) as caught:
        render(plain_task(), [{"a": "fine", "label": "no"}, row], "rows")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "row",
    [
        {"endings": ["one"], "label": 0},
        {"endings": 5, "label": 0},
        {"endings": {"a": 1}, "label": 0},
    ],
    ids=["too few", "a number", "a table"],
)
def test_options_that_are_no_list_of_the_right_length_are_refused_with_the_row(row):
    choices = ["{endings[0]}", "{endings[1]}"]
    with pytest.raises(DataError, match=r"^rows, row 1: "):
        render(plain_task(kind="multiple-choice", text_a=None, choices=choices), [row], "rows")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (["x", "y"], r"field 'a' = \['x', 'y'\]: text is expected"),
        ({"x": 1}, r"field 'a' = {'x': 1}: text is expected"),
        (b"x", r"field 'a' = b'x': text is expected"),
        ("é\ud800", r"field 'a' = '\\xe9\\ud800': half of a surrogate pair is no text"),
    ],
)
def test_a_value_that_is_no_text_is_refused_with_its_row_and_column(value, said):
    rows = [{"a": "x", "label": "no"}, {"a": value, "label": "no"}]
    with pytest.raises(DataError, match=f"^rows, row 2: {said}$"):
        render(plain_task(), rows, "rows")


def test_a_list_is_used_by_its_items_and_a_column_that_no_template_names_may_hold_anything():
    row = {"a": ["x", "é"], "b": {"y": 1}, "label": "no"}
    assert render(plain_task(text_a="{a[1]}"), [row], "rows")[0].pairs == (("é", None),)


def test_numbers_and_truth_values_are_written_out():
    row = {"a": 1.5, "b": True, "label": "no"}
    assert render(plain_task(text_a="{a} {b}"), [row], "rows")[0].pairs == (("1.5 True", None),)


def test_braces_and_percent_signs_in_a_text_stay_as_they_are():
    (example,) = render(plain_task(), [{"a": "{b} %s {0} {{", "label": "no"}], "rows")
    assert example.pairs == (("{b} %s {0} {{", None),)


def test_labels_are_told_by_any_spelling_and_stray_spaces_do_not_matter():
    rows = [{"a": "x", "label": label} for label in ("no", "0", 0, " no ", "yes", 1, "1\n")]
    assert [e.label for e in render(plain_task(), rows, "rows")] == [0, 0, 0, 0, 1, 1, 1]

"""Rows become examples; a row that cannot be used is named."""

import json

import pytest

from stilt.data.render import Example, parse_printed, render
from stilt.errors import DataError, shown
from tests.support.plain_task import plain_task


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"a": "x", "label": "maybe"},
            "rows, row 2: field 'label' = 'maybe': not a label of task 't'; allowed: no, 0, yes, "
            "1.",
        ),
        (
            {"a": "x", "label": -1},
            "rows, row 2: field 'label' = '-1': not a label of task 't'; allowed: no, 0, yes, 1.",
        ),
        (
            {"a": "x", "label": "\x1f1"},
            r"rows, row 2: field 'label' = '\x1f1': not a label of task 't'; allowed: no, 0, yes, "
            "1.",
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


# ---- lists that were printed into a cell of text

CHOICES = ["{endings[0]}", "{endings[1]}", "{endings[2]}"]
PRINTED = {
    "Python": "['sits down.', \"isn't\", 'a, b']",
    "JSON": json.dumps(["sits down.", "isn't", "a, b"]),
    "numpy": "['sits down.' \"isn't\" 'a, b']",
    "numpy over lines": "['sits down.'\n \"isn't\"\n 'a, b']",
    "a list": ["sits down.", "isn't", "a, b"],
}


def choosing(**changes):
    return plain_task(
        kind="multiple-choice", text_a=None, choices=CHOICES, labels=["0", "1", "2"], **changes
    )


@pytest.mark.parametrize("form", PRINTED)
def test_a_printed_list_gives_its_items_as_options(form):
    row = {"endings": PRINTED[form], "label": 1}
    assert render(choosing(), [row], "rows") == [
        Example((("sits down.", None), ("isn't", None), ("a, b", None)), 1)
    ]


def test_the_fake_endings_of_a_printed_list_are_shuffled_word_by_word():
    row = {"endings": "['a b c d e f g h', 'gold', 'i j k l m n o p']", "label": 1}
    (example,) = render(choosing(row="shuffle_fakes"), [row], "rows")
    first, gold, last = (a for a, _ in example.pairs)
    assert (sorted(first.split()), gold, sorted(last.split())) == (
        list("abcdefgh"), "gold", list("ijklmnop"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "sits down.",
        "[header] How to bake",
        "[sits down.]",
        "['a', 'b' 'c']",
        "['a', __import__('os')]",
        "['a', 'b'",
        "",
        "[" * 100_000 + "]" * 100_000,
    ],
    ids=lambda text: text[:20],
)
@pytest.mark.parametrize("row", [None, "shuffle_fakes"])
def test_text_that_is_no_list_for_sure_is_refused_where_its_items_are_named(text, row):
    with pytest.raises(DataError) as caught:
        render(choosing(row=row), [{"endings": text, "label": 0}], "rows")
    assert str(caught.value) == (
        f"rows, row 1: field 'endings' = {shown(text, 60)}: a list is expected, of which "
        "{endings[0]} is an item (JSON, or as Python or numpy print it)."
    ).removesuffix(".")


@pytest.mark.parametrize(
    ("text", "items"),
    [("[]", []), ("[ ]", []), ("[1, 2.5]", [1, 2.5]), ("['a' 'b']", ["a", "b"]),
     (r"['a\'b\n', None]", ["a'b\n", None]), ('{"text": ["a"]}', {"text": ["a"]}),
     ("3", None), ("('a', 'b')", None), ("{'a': 1}", None)],
)  # fmt: skip
def test_only_what_is_unmistakably_a_list_or_a_table_is_read_as_one(text, items):
    assert parse_printed(text) == items


def test_items_of_a_table_are_named_by_its_keys():
    task = plain_task(text_a="{answers[text][1]}")
    answers = {"text": ["no", "this"], "start": [1, 2]}
    for value in (answers, json.dumps(answers)):
        (example,) = render(task, [{"answers": value, "label": "no"}], "rows")
        assert example.pairs == (("this", None),)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "field 'a' = nan: text is expected, and this stands for none"),
        (float("-inf"), "field 'a' = -inf: text is expected, and this stands for none"),
        ("one\x1ftwo", r"field 'a' = 'one\x1ftwo': the control character '\x1f' is no text: it "
         "stands for the separator here"),
        (["x" * 100_000], f"field 'a' = ['{'x' * 57}…: text is expected"),
    ],
)  # fmt: skip
def test_a_value_that_stands_for_no_text_is_refused(value, said):
    with pytest.raises(DataError) as caught:
        render(plain_task(), [{"a": value, "label": "no"}], "rows")
    assert str(caught.value) == f"rows, row 1: {said}"


def test_an_absent_item_of_a_list_is_not_the_word_none():
    row = {"endings": ["a", None, "c"], "label": 0}
    with pytest.raises(DataError, match=r"row 1: field 'endings\[1\]' = None: text is expected"):
        render(choosing(), [row], "rows")


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_rows_without_any_text_at_all_are_refused(text):
    row = {"a": text, "b": text, "label": "no"}
    with pytest.raises(DataError, match=r"^rows: no row has any text in a, b\.$"):
        render(plain_task(text_a="{a}{sep}{b}"), [row, row], "rows")


def test_long_and_unprintable_values_are_cut_in_messages():
    row = {"a": "x", "label": "no\x1b" * 50_000, **{f"column {i}": "" for i in range(5_000)}}
    with pytest.raises(DataError) as caught:
        render(plain_task(), [row], "rows")
    assert "field 'label' = 'no\\x1bno\\x1b" in str(caught.value)
    assert len(str(caught.value)) < 1_000
    with pytest.raises(DataError, match=r"'b' is missing; it has a, label, .* and 4982 more\.$"):
        render(plain_task(text_a="{b}"), [row], "rows")

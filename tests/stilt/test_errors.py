"""What is said of an unknown name."""

import pytest

from stilt.errors import unknown


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        (
            "rtee",
            ["wic", "rte", "cola"],
            "unknown task 'rtee'. Did you mean 'rte'? Known: cola, rte, wic.",
        ),
        ("xyz", ["wic"], "unknown task 'xyz'. Known: wic."),
        ("xyz", [], "unknown task 'xyz'. Known: none."),
    ],
)
def test_an_unknown_name_is_told_with_what_was_meant_and_what_is_known(name, known, text):
    assert unknown("task", name, known) == text

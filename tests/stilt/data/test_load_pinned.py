"""A study's data are fixed at first sight."""

import pytest

from stilt.data.load import Splits, pin_data
from stilt.data.render import Example
from stilt.errors import DataError, ResultError
from stilt.folder import StudyFolder


def splits(*labels, where="here"):
    return Splits([Example((("a", None),), label) for label in labels], [], where)


def test_a_studys_data_are_fixed_at_first_sight_and_insisted_on_after(tmp_path):
    folder = StudyFolder(tmp_path)
    pin_data(folder, "rte", splits(0, 1))
    pin_data(folder, "rte", splits(0, 1, where="hub:elsewhere"))
    with pytest.raises(DataError) as caught:
        pin_data(folder, "rte", splits(0, 1, 1, where="there"))
    assert str(caught.value) == (
        "there: task 'rte' has other rows (3 train, 0 dev) than this study began with "
        "(2, 0 from here). Use the same data, or begin another study."
    )
    with pytest.raises(DataError, match="task 'rte' has other rows"):
        pin_data(folder, "rte", splits(1, 0))
    pin_data(folder, "rte", splits(0, 1))
    pin_data(folder, "cola", splits(1, 0))


@pytest.mark.parametrize("content", ["", "{}", "[]", "3"])
def test_a_damaged_record_of_the_data_is_refused_with_its_name(tmp_path, content):
    folder = StudyFolder(tmp_path)
    pin_data(folder, "rte", splits(0))
    folder.data_digest("rte").write_text(content)
    with pytest.raises(ResultError, match=r"rte\.json: not the digest of a task's rows"):
        pin_data(folder, "rte", splits(0))

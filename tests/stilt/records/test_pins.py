"""Rows of a task, and so many of its training rows, are pinned apart, whatever tasks are called."""

import pytest

from stilt.errors import DataError
from stilt.folder import StudyFolder
from stilt.grid import Grid
from stilt.records.pins import Pin, keep, new_pin, pin_path
from stilt.records.validity import judge_of
from stilt.study import bind
from tests.support.fake_study import TINY


@pytest.fixture
def folder(tmp_path):
    return StudyFolder(tmp_path / "s")


def rows(digest: str, where: str = "here", train: int = 100) -> Pin:
    return new_pin(digest, train, [0, 1, 1], where)


def of_hundred():
    """A study whose source is trained on 100 of the rows of hellaswag."""
    block = TINY["blocks"][0] | {"sources": ["none", {"task": "hellaswag", "train_size": 100}]}
    return bind(Grid.model_validate(TINY | {"blocks": [block]}), "made-up-model")


def test_a_task_called_like_a_number_of_anothers_rows_has_a_file_of_its_own(folder):
    tasks = {"rte", "rte-100"}
    places = {pin_path(folder, tasks, "rte", 100), pin_path(folder, tasks, "rte-100", None)}
    assert {path.name for path in places} == {"rte@100.json", "rte-100.json"}
    folder.data_digest("rte-100").parent.mkdir(parents=True)
    folder.data_digest("rte-100").write_text("{}")
    assert pin_path(folder, tasks, "rte", 100).name == "rte@100.json"


def test_rows_that_an_earlier_version_pinned_are_insisted_on(folder):
    study, earlier = of_hundred(), folder.data_digest("hellaswag-100")
    earlier.parent.mkdir(parents=True)
    earlier.write_text(rows("a" * 12, "there").model_dump_json())
    assert judge_of(study, folder).pin("hellaswag", 100, rows("a" * 12)) == ""
    with pytest.raises(DataError, match=r"began with \(as many: 100 train, 3 dev from there\)"):
        judge_of(study, folder).pin("hellaswag", 100, rows("b" * 12))
    # of all the rows nothing was known
    judge_of(study, folder).pin("hellaswag", None, rows("c" * 12, train=200))
    assert sorted(path.name for path in earlier.parent.iterdir()) == [
        "hellaswag-100.json",
        "hellaswag.json",
    ]


def test_a_new_study_pins_a_number_of_rows_behind_an_at(folder):
    judge_of(of_hundred(), folder).pin("hellaswag", 100, rows("a" * 12))
    (path,) = folder.data_digest("").parent.iterdir()
    assert path.name == "hellaswag@100.json"


def test_a_file_that_is_cut_into_both_splits_is_named_once_where_its_rows_are_others(tmp_path):
    def pin(digest):
        parts = (("here/a.csv", f"{digest}1"), ("here/a.csv", f"{digest}2"))
        return new_pin(digest, 68, [0, 1], "here", parts=parts)

    keep(tmp_path / "a.json", "a", pin("x"), None)
    with pytest.raises(DataError) as caught:
        keep(tmp_path / "a.json", "a", pin("y"), None)
    assert str(caught.value) == (
        "here: task 'a' has other rows than this study began with (as many: 68 train, 2 dev): "
        "here/a.csv has other rows than it had. Use the same data, or begin another study."
    )


def test_a_pin_whose_notes_are_no_text_is_made_anew(tmp_path):
    path, pin = tmp_path / "rte.json", rows("x")
    assert keep(path, "rte", pin, None) == ""
    whole = path.read_text()
    path.write_text(whole.replace('"odd": []', '"odd": [{"kind": "blank", "text": {"a": 1}}]'))
    assert "It was made anew." in keep(path, "rte", pin, None)
    assert path.read_text() == whole

"""A study's folder: one configuration, and a place for every kind of file."""

import json

import pytest

from stilt.errors import ConfigError
from stilt.folder import StudyFolder, find_study, read_study, write_study
from stilt.grid import load_grid
from stilt.study import bind
from tests.support.bound_study import ROBERTA, study
from tests.support.fake_study import TINY, make_study
from tests.support.result_files import change


def test_ids_do_not_depend_on_the_folder_that_a_study_lies_in(tmp_path):
    for name in ("one", "two"):
        write_study(study(), StudyFolder(tmp_path / name))
    one, two = (read_study(StudyFolder(tmp_path / name)) for name in ("one", "two"))
    assert list(one.cells) == list(two.cells)
    assert one.digest == two.digest


def test_study_json_alone_gives_the_same_cells(tmp_path, monkeypatch):
    first = study()
    folder = StudyFolder(tmp_path / "s")
    write_study(first, folder)
    # no task or grid file is read any more
    monkeypatch.setattr("stilt.study.load_task", lambda *_: pytest.fail("a task file was read"))
    again = read_study(folder)
    assert again == first
    assert list(again.cells.values()) == list(first.cells.values())
    assert list(again.sources.values()) == list(first.sources.values())
    assert again.digest == first.digest


@pytest.mark.parametrize("name", ["full", "demo", "paper"])
def test_every_kind_of_grid_survives_its_study_json(name, tmp_path):
    first = bind(load_grid(name), ROBERTA)
    write_study(first, StudyFolder(tmp_path))
    assert list(read_study(StudyFolder(tmp_path)).cells) == list(first.cells)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"s: no study here \(study\.json is absent\)\."),
        ("{", r"study\.json: cannot be read \("),
        ("[]", r"study\.json: "),
        ('{"name": "x"}', r"study\.json: fields 'grid', .*'tasks' are missing"),
    ],
)
def test_a_folder_without_a_whole_study_is_refused(tmp_path, content, message):
    folder = StudyFolder(tmp_path / "s")
    if content is not None:
        folder.path.mkdir()
        folder.study_file.write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_study(folder)


def test_a_study_of_a_newer_version_is_refused(tmp_path):
    folder = StudyFolder(tmp_path)
    table = json.loads(study().model_dump_json()) | {"schema_version": 2}
    folder.study_file.write_text(json.dumps(table))
    with pytest.raises(ConfigError, match=r"study\.json: field 'schema_version' = 2: .*be 1\."):
        read_study(folder)


def test_every_kind_of_file_has_a_place_of_its_own(tmp_path):
    folder = StudyFolder(tmp_path)
    makers = ("source", "result", "failure", "claim", "data_digest", "resume")
    paths = [getattr(folder, maker)("x") for maker in makers]
    assert len({*paths, folder.synthesis(), folder.study_file}) == 8
    assert all(path.is_relative_to(tmp_path) for path in paths)


def test_a_study_whose_grid_names_a_task_that_it_lacks_is_refused_in_one_line(tmp_path):
    make_study(tmp_path / "s", grid=TINY)
    folder = StudyFolder(tmp_path / "s")
    change(folder.study_file, lambda table: table["tasks"].pop("cola"))
    with pytest.raises(ConfigError) as caught:
        read_study(folder)
    assert str(caught.value) == (
        f"{folder.study_file}: 'tasks' lacks one that the grid names: unknown task 'cola'. "
        "Known: hellaswag, rte."
    )


@pytest.mark.parametrize("name", ["n" * 300, "a\0b"])
def test_a_name_that_no_file_can_have_is_an_unknown_study(tmp_path, name):
    make_study(tmp_path / "s", grid=TINY)
    with pytest.raises(ConfigError, match="unknown study"):
        find_study(name, tmp_path)

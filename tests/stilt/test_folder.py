"""A study's folder: one configuration, fixed once begun, and a place for every kind of file."""

import json

import pytest

from stilt.errors import ConfigError, ResultError
from stilt.folder import StudyFolder, find_study, read_study, write_study
from stilt.grid import load_grid
from stilt.study import bind
from tests.support.bound_study import ROBERTA, block, study
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


def test_a_second_submit_of_the_same_study_is_let_in(tmp_path):
    folder = StudyFolder(tmp_path)
    first = study()
    assert first.cells
    write_study(first, folder)
    before = folder.study_file.read_bytes()
    write_study(study(), folder)
    assert folder.study_file.read_bytes() == before


def test_a_second_study_of_that_name_is_refused_with_the_difference(tmp_path):
    folder = StudyFolder(tmp_path / "s")
    write_study(study(), folder)
    before = folder.study_file.read_bytes()
    with pytest.raises(ResultError) as caught:
        write_study(study(**block(batch_size=[8, 32])), folder)
    assert str(caught.value) == (
        f"{folder.path}: holds a study with another configuration, and a study is fixed once "
        "begun. Give this one a name of its own with --study, or go on with the old files. "
        "There -> here:\n  grid.blocks[0].batch_size: [8, 16] -> [8, 32]"
    )
    assert folder.study_file.read_bytes() == before


def test_a_task_file_edited_since_is_a_different_study(tmp_path):
    folder = StudyFolder(tmp_path)
    write_study(study(), folder)
    longer = study().tasks["rte"].model_copy(update={"max_length": 128})
    with pytest.raises(ResultError, match=r"\n  tasks\.rte\.max_length: 100 -> 128$"):
        write_study(study(tasks={"rte": longer}), folder)


def test_a_study_takes_no_further_target_once_it_is_begun(tmp_path):
    folder = StudyFolder(tmp_path)
    write_study(study(), folder)
    with pytest.raises(ResultError) as caught:
        write_study(study(**block(targets=["rte", "cola", "wic"])), folder)
    _, first, second = str(caught.value).splitlines()
    assert first == '  grid.blocks[0].targets: ["rte", "cola"] -> ["rte", "cola", "wic"]'
    assert second.startswith('  tasks.wic: absent -> {"name": "wic"')


def test_of_many_differences_the_first_are_listed_and_the_others_counted(tmp_path):
    folder = StudyFolder(tmp_path)
    write_study(study(), folder)
    tasks = {
        name: task.model_copy(update={"epochs": 9, "max_length": 9, "title": "x", "reference": "x"})
        for name, task in study().tasks.items()
    }
    with pytest.raises(ResultError) as caught:
        write_study(study(tasks=tasks), folder)
    _, *lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "  and 6 more"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"s: no study here \(study\.json is absent\)\."),
        ("{", r"study\.json: cannot be read \("),
        ("[]", r"study\.json: "),
        ('{"name": "x"}', r"study\.json: field 'grid' is missing\. .*'tasks' is missing"),
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


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"3"])
def test_a_damaged_study_is_told_with_its_remedy_and_made_anew_by_its_submit(tmp_path, content):
    there = make_study(tmp_path / "s", grid=TINY)
    folder = StudyFolder(tmp_path / "s")
    whole = folder.study_file.read_bytes()
    folder.study_file.write_bytes(content)
    if content != b"3":
        with pytest.raises(ConfigError, match=r"study\.json: cannot be read .* makes it anew"):
            read_study(folder)
    assert write_study(there, folder).endswith("It was made anew.")
    assert folder.study_file.read_bytes() == whole
    assert write_study(there, folder) == ""


@pytest.mark.parametrize("content", [b"", None])
def test_a_damaged_or_absent_study_of_other_results_is_not_written_over(tmp_path, content):
    make_study(tmp_path / "s", grid=TINY)
    folder = StudyFolder(tmp_path / "s")
    other = make_study(tmp_path / "other", grid=TINY)
    if content is None:
        folder.study_file.unlink()
    else:
        folder.study_file.write_bytes(content)
    with pytest.raises(ResultError, match=r"what was run there is of study \w{12}, not of this"):
        write_study(other, folder)
    assert not folder.study_file.is_file() or folder.study_file.read_bytes() == b""


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


def test_a_renamed_folder_is_to_be_renamed_back(tmp_path):
    there = make_study(tmp_path / "old", grid=TINY)
    (tmp_path / "old").rename(tmp_path / "new")
    folder = StudyFolder(tmp_path / "new")
    with pytest.raises(ResultError, match="Rename it back to 'old', and the same command goes on"):
        write_study(there.model_copy(update={"name": "new"}), folder)


@pytest.mark.parametrize("name", ["n" * 300, "a\0b"])
def test_a_name_that_no_file_can_have_is_an_unknown_study(tmp_path, name):
    make_study(tmp_path / "s", grid=TINY)
    with pytest.raises(ConfigError, match="unknown study"):
        find_study(name, tmp_path)

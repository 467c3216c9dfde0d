"""New files follow the umask and the folder that they are made in."""

import os
import stat

import pytest

from stilt.system.files import append_line, create_text, open_like, replacing, write_text


@pytest.fixture
def umask():
    """Sets the umask of this process until the test ends."""
    before = os.umask(0o022)
    os.umask(before)
    yield os.umask
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


WRITERS = {
    "write": lambda path: write_text(path, "x"),
    "create": lambda path: create_text(path, "x"),
    "append": lambda path: append_line(path, "x\n"),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize(
    ("mask", "file", "folder"),
    [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700), (0o002, 0o664, 0o775)],
)
def test_files_and_folders_follow_the_umask(tmp_path, umask, write, mask, file, folder):
    umask(mask)
    path = tmp_path / "a/b.txt"
    write(path)
    assert (mode(path), mode(path.parent)) == (file, folder)


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_the_group_may_write_what_is_made_in_a_folder_that_it_shares(tmp_path, umask, write):
    tmp_path.chmod(0o2775)
    umask(0o022)
    path = tmp_path / "a/b.txt"
    write(path)
    assert (mode(path), mode(path.parent)) == (0o664, 0o2775)
    assert path.stat().st_gid == tmp_path.stat().st_gid
    umask(0o077)
    hidden = tmp_path / "a/hidden.txt"
    write(hidden)
    assert mode(hidden) == 0o600


def test_a_file_that_a_library_put_in_its_place_gets_the_usual_mode(tmp_path, umask):
    umask(0o022)
    with replacing(tmp_path / "a") as temporary:
        temporary.unlink()
        temporary.write_text("x")
        temporary.chmod(0o600)
    assert mode(tmp_path / "a") == 0o644


def test_a_tree_that_libraries_wrote_is_opened_as_its_folder_says(tmp_path, umask):
    tmp_path.chmod(0o2775)
    umask(0o022)
    inner = tmp_path / "hidden/tree"
    inner.mkdir(parents=True)
    (inner / "weights").write_text("x")
    (inner / "weights").chmod(0o600)
    inner.chmod(0o700)
    open_like(tmp_path, inner)
    assert (mode(inner) & 0o777, mode(inner / "weights")) == (0o775, 0o664)


def test_a_line_that_was_cut_off_does_not_take_the_next_one_with_it(tmp_path):
    path = tmp_path / "lines"
    append_line(path, "one\n")
    with path.open("a") as file:
        file.write("tw")
    append_line(path, "three\n")
    append_line(path, "four\n")
    assert path.read_text() == "one\ntw\nthree\nfour\n"


def test_a_name_of_the_greatest_length_can_be_written(tmp_path):
    path = tmp_path / ("n" * 255)
    write_text(path, "x")
    assert path.read_text() == "x"

"""Files are whole or absent, and never another writer's."""

import multiprocessing
import os
import stat

import pytest

from stilt.errors import ConfigError
from stilt.system.files import create_text, replacing, writable_folder, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_its_body_ends_and_makes_its_folders(tmp_path):
    path = tmp_path / "a/b/c.txt"
    with replacing(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert names(path.parent) == ["c.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_body_that_raises_leaves_the_old_file_and_no_half_one(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_is_replaced_whole_and_can_be_read_by_others(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "one, which is longer")
    write_text(path, "zwölf")
    assert path.read_bytes() == "zwölf".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert names(tmp_path) == ["a.txt"]


def test_who_reads_while_it_is_replaced_sees_the_old_or_the_new(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with path.open() as reader:
        write_text(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_creating_never_overwrites(tmp_path):
    path = tmp_path / "deep/a.txt"
    assert create_text(path, "first")
    assert not create_text(path, "second")
    assert path.read_text() == "first"
    assert names(path.parent) == ["a.txt"]


def test_creating_does_not_follow_a_dangling_link_or_replace_a_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert not create_text(tmp_path / "link", "x")
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "folder").mkdir()
    assert not create_text(tmp_path / "folder", "x")
    assert names(tmp_path) == ["folder", "link"]


def creating(path, text, start, wins):
    start.wait()
    if create_text(path, text):
        wins.put(text)


def test_of_several_processes_that_create_one_file_exactly_one_wins(tmp_path):
    context = multiprocessing.get_context("fork")
    start, wins = context.Event(), context.Queue()
    path = tmp_path / "a.txt"
    processes = [
        context.Process(target=creating, args=(path, f"{i} " * 5_000, start, wins))
        for i in range(6)
    ]
    for process in processes:
        process.start()
    start.set()
    winner = wins.get(timeout=30)
    for process in processes:
        process.join(timeout=30)
        assert process.exitcode == 0
    assert wins.empty()
    assert path.read_text() == winner
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_that_can_be_written_is_made_and_left_empty(tmp_path):
    assert writable_folder(tmp_path / "a/b") == tmp_path / "a/b"
    assert names(tmp_path / "a/b") == []


def test_a_folder_that_cannot_be_written_is_refused_with_its_name(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file/below: cannot be written \(.*\)\. Choose another"):
        writable_folder(tmp_path / "file/below")
    with pytest.raises(ConfigError, match=r"file: cannot be written \(File exists\)"):
        writable_folder(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="cannot be written"):
        writable_folder(tmp_path)

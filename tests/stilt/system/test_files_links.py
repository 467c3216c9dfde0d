"""Folders that are whole or absent, and files that lie in two places."""

import os
import stat

import pytest

from stilt.system.files import link_or_copy, open_like, replacing_folder, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("old", [True, False])
def test_a_folder_takes_its_place_as_a_whole(tmp_path, old):
    place = tmp_path / "deep/place"
    if old:
        write_text(place / "old.txt", "old")
    with replacing_folder(place) as new:
        (new / "a.txt").write_text("a")
        assert (place / "old.txt").exists() == old
    assert names(place) == ["a.txt"]
    assert names(place.parent) == ["place"]


def test_a_body_that_raises_leaves_the_old_folder_and_no_half_one(tmp_path):
    write_text(tmp_path / "place/old.txt", "old")
    with pytest.raises(KeyboardInterrupt), replacing_folder(tmp_path / "place") as new:
        (new / "a.txt").write_text("a")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["place"]
    assert names(tmp_path / "place") == ["old.txt"]


def test_a_file_of_ones_own_is_linked(tmp_path):
    write_text(tmp_path / "there/a", "content")
    link_or_copy(tmp_path / "there/a", tmp_path / "here/a")
    assert (tmp_path / "here/a").samefile(tmp_path / "there/a")
    assert names(tmp_path / "here") == ["a"]
    # whoever replaces the one leaves the other
    write_text(tmp_path / "there/a", "new content")
    assert (tmp_path / "here/a").read_text() == "content"


def test_what_a_link_leads_to_is_linked_and_not_the_link(tmp_path):
    write_text(tmp_path / "blobs/b", "content")
    (tmp_path / "a").symlink_to("blobs/b")
    link_or_copy(tmp_path / "a", tmp_path / "here/a")
    assert not (tmp_path / "here/a").is_symlink()
    assert (tmp_path / "here/a").samefile(tmp_path / "blobs/b")


@pytest.mark.parametrize("why", ["another's", "hidden", "refused"])
def test_a_file_is_copied_where_a_link_is_not_as_good(tmp_path, monkeypatch, why):
    there, here = tmp_path / "there", tmp_path / "here"
    write_text(there, "content")
    there.chmod(0o600 if why == "hidden" else 0o644)
    if why == "another's":
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    if why == "refused":

        def refuse(*_, **__):
            raise OSError(18, os.strerror(18))

        monkeypatch.setattr(os, "link", refuse)
    link_or_copy(there, here)
    assert here.read_text() == "content"
    assert not here.samefile(there)
    assert stat.S_IMODE(here.stat().st_mode) == 0o644
    assert stat.S_IMODE(there.stat().st_mode) == (0o600 if why == "hidden" else 0o644)
    assert names(tmp_path) == ["here", "there"]


def test_a_file_that_is_not_there_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        link_or_copy(tmp_path / "gone", tmp_path / "here/a")
    assert not (tmp_path / "here").exists()


def test_the_mode_of_a_file_that_lies_elsewhere_too_is_left(tmp_path):
    write_text(tmp_path / "there", "content")
    (tmp_path / "there").chmod(0o640)
    with replacing_folder(tmp_path / "place") as new:
        os.link(tmp_path / "there", new / "linked")
        (new / "own").touch(mode=0o600)
    open_like(tmp_path, tmp_path / "place")
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "place").iterdir()
    }
    assert modes == {"linked": 0o640, "own": 0o644}

"""What breaks while other studies' results are taken over costs nothing, here or there."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.study import reuse
from stilt.system import files
from stilt.system.files import write_text
from tests.support.taken_study import everything, lacks, source_of, taken, weights

KILLED = """
import os, signal, sys
from pathlib import Path
from launcher.study import reuse
from stilt.records.claims import lives_here
from stilt.folder import StudyFolder, read_study
from launcher.study.resolve import ResolvedStudy
from launcher.study.outstanding import outstanding
from stilt.system.console import Output

folder = StudyFolder(Path(sys.argv[1]))
resolved = ResolvedStudy(read_study(folder), folder, None, None, folder.path)
left, write = int(sys.argv[2]), reuse.write_record

def dying(record, path):
    global left
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    write(record, path)

reuse.write_record = dying
state = outstanding(resolved.study, folder, lives_here)
reuse.take_over(resolved, state, reuse.other_studies(folder), lives_here, Output())
"""


@pytest.mark.parametrize("before", [0, 3])
def test_a_submit_that_is_killed_on_the_way_leaves_nothing_by_half(new, done, capsys, before):
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(new.folder.path), str(before)], check=False
    )
    assert run.returncode == -signal.SIGKILL
    assert len(list(new.folder.results.glob("*.json"))) == max(0, before - 1)
    assert len(list(new.folder.claims.iterdir())) == 1
    assert lacks(new).held == set()
    assert new.folder.source(source_of(new)).exists() == (before > 0)
    taken(new, capsys)
    assert lacks(new).missing == []
    assert not list(new.folder.claims.iterdir())


def test_a_study_that_vanishes_while_it_is_read_costs_nothing(new, done, capsys, monkeypatch):
    def gone(there, here):
        shutil.rmtree(done.path)
        files.link_or_copy(there, here)

    monkeypatch.setattr(reuse, "link_or_copy", gone)
    said = taken(new, capsys)
    assert f"not taken over: {done.source(source_of(new))}" in said
    # the results were read before; the weights are gone
    assert lacks(new).missing == []
    assert not weights(new.folder, source_of(new)).exists()


@pytest.mark.parametrize("how", ["cleaned", "trained anew"])
def test_a_source_that_changes_while_it_is_read_is_told_and_left(
    new, done, capsys, monkeypatch, how
):
    theirs = weights(done, source_of(new))

    def changed(there, here):
        if how == "cleaned":
            theirs.unlink(missing_ok=True)
        else:
            write_text(theirs, "other weights")
        files.link_or_copy(there, here)

    monkeypatch.setattr(reuse, "link_or_copy", changed)
    said = taken(new, capsys)
    why = "No such file" if how == "cleaned" else "not the file that was saved with result.json"
    assert f"not taken over: {theirs}: {why}" in said
    assert not weights(new.folder, source_of(new)).exists()
    assert [path.name for path in new.folder.source("").iterdir()] == [source_of(new)]
    assert lacks(new).missing == []


def test_a_disk_that_is_full_is_no_fault_of_the_other_study(new, capsys, monkeypatch):
    def full(there, here):
        raise OSError(28, os.strerror(28), str(here))

    monkeypatch.setattr(reuse, "link_or_copy", full)
    with pytest.raises(OSError, match="No space left"):
        taken(new, capsys)
    assert not list(new.folder.claims.iterdir())


def test_files_of_another_user_are_copied(new, done, capsys, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    taken(new, capsys)
    ours, theirs = (weights(folder, source_of(new)) for folder in (new.folder, done))
    assert ours.read_bytes() == theirs.read_bytes()
    assert not ours.samefile(theirs)
    assert lacks(new).missing == []


def test_a_file_system_that_takes_no_link_gets_a_copy(new, done, capsys, monkeypatch):
    link = os.link

    def refused(there, here, **more):
        if Path(there).suffix == ".safetensors":
            raise OSError(18, os.strerror(18))
        link(there, here, **more)

    monkeypatch.setattr(os, "link", refused)
    taken(new, capsys)
    assert not weights(new.folder, source_of(new)).samefile(weights(done, source_of(new)))
    assert lacks(new).missing == []


NOBODY = 65534
ANOTHER = f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\nleft, write = "


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_another_users_study_that_may_only_be_read(new, done, tmp_path):
    for path in (tmp_path, *tmp_path.parents):
        if not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o055)
    for path in (done.path, *done.path.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = everything(done)
    for path in (new.folder.path, *new.folder.path.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    # it becomes another user after its imports: Python's own files may be root's alone
    program = KILLED.replace("left, write = ", ANOTHER, 1)
    command = [sys.executable, "-c", program, str(new.folder.path), "-1"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "8 cells from study done" in run.stdout
    assert lacks(new).missing == []
    ours = weights(new.folder, source_of(new))
    assert (ours.stat().st_uid, ours.stat().st_nlink) == (NOBODY, 1)
    assert everything(done) == before

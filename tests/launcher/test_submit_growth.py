"""A study grows by its own submit command, with made-up workers; nothing is run twice."""

import json
import shutil
import threading
from pathlib import Path

import pytest

from launcher import submission
from launcher.local.pool import Pool, PoolOutcome
from launcher.submit import main
from stilt.folder import StudyFolder, read_study, write_study
from stilt.grid import load_grid
from stilt.records import claims
from stilt.records.pins import read_pin
from stilt.study import bind
from stilt.system.locks import lock_of
from tests.support.fake_study import make_study


@pytest.fixture
def folder(own_study):
    return StudyFolder(own_study / "logs/own")


@pytest.fixture
def executed(own_study, monkeypatch, tmp_path):
    """Ids of what workers ran, in order: they leave results that depend on the run alone."""
    ran = []

    def run(pool):
        folder, items = pool.folder, list(pool.costs)
        pins = {path.stem: read_pin(path) for path in folder.data_digest("").parent.glob("*.json")}
        made = StudyFolder(tmp_path / f"made{len(ran)}")
        make_study(
            made.path, bound=pool.study, pins=pins, score=lambda cell: int(cell.id, 16) % 7 / 7
        )
        folder.results.mkdir(exist_ok=True)
        for item in items:
            if item in pool.study.sources:
                shutil.copytree(made.source(item), folder.source(item))
            else:
                shutil.copy(made.result(item), folder.result(item))
            folder.claim(item).unlink()
        ran.extend(items)
        return PoolOutcome(done=items)

    monkeypatch.setattr(Pool, "run", run)
    # the model is tried by a process of its own, which takes seconds, and by other tests
    monkeypatch.setattr(submission, "require_tried", lambda *_: None)
    return ran


@pytest.fixture
def submit(own_study, roberta):
    """Submits the user's own grid, with flags of one's own; returns the exit code."""

    def submit(*more):
        return main(
            [
                *("--grid", str(own_study / "own.toml"), "--root", str(own_study / "logs")),
                *("--data-dir", str(own_study / "data"), "--model", str(roberta)),
                *("--executor", "local", "--workers", "1", *more),
            ]
        )

    return submit


@pytest.fixture
def rewrite(own_study):
    """Edits the user's grid: an old text, a new one."""

    def rewrite(old, new, name="own.toml"):
        path = own_study / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        # each command reads task files anew, but all of this test are one process

    return rewrite


def test_one_more_seed_runs_the_cells_of_that_seed_alone(submit, rewrite, folder, executed, capsys):
    assert submit() == 0
    assert len(executed) == 9
    kept = {path: path.read_bytes() for path in folder.results.iterdir()}
    rewrite("seed = [12]", "seed = [12, 13]")
    capsys.readouterr()
    for _ in range(2):
        assert submit("--dry-run") == 0
        said = capsys.readouterr().out
        assert "revision 2: +8 cells: seed 13; 8 cells there, 8 done" in said
        assert read_study(folder).revision == 1
    assert submit() == 0
    said = capsys.readouterr().out
    assert "study own, revision 2: +8 cells: seed 13; 8 cells there, 8 done\n" in said
    study = read_study(folder)
    assert {study.cells[item].seed for item in executed[9:]} == {13}
    assert len(executed) == len(set(executed)) == len(study.runs) == 17
    assert {path: path.read_bytes() for path in kept} == kept
    assert [revision.came for revision in study.revisions] == ["8 cells", "+8 cells: seed 13"]
    assert submit() == 0
    assert "nothing to do. Next: " in capsys.readouterr().out
    assert len(executed) == 17


def test_cells_go_only_where_that_is_said_and_come_back_without_a_run(
    submit, rewrite, folder, executed, capsys
):
    assert submit() == 0
    before = folder.study_file.read_bytes()
    rewrite('targets = ["pairs", "endings"]', 'targets = ["pairs"]')
    for more in ((), ("--dry-run",)):
        assert submit(*more) == 2
        error = capsys.readouterr().err
        assert "would lose 4 of its 8 cells (4 with a result)" in error
        assert "no longer in the grid: 4 cells: target endings" in error
        assert folder.study_file.read_bytes() == before
    assert submit("--revise") == 0
    assert len(read_study(folder).cells) == 4
    rewrite('targets = ["pairs"]', 'targets = ["pairs", "endings"]')
    assert submit() == 0
    assert read_study(folder).revision == 3
    assert len(executed) == 9


def test_an_edited_task_runs_its_own_cells_anew_on_rows_of_its_own(
    submit, rewrite, own_study, folder, executed, capsys
):
    assert submit() == 0
    rewrite("max_length = 40", "max_length = 39", "pairs.toml")
    assert submit() == 2
    assert "pairs: max_length 40 -> 39, so 4 cells are other cells" in capsys.readouterr().err
    # the rows of a task that is another one may be others, too
    path = own_study / "data/pairs/dev.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert submit("--revise") == 0
    study = read_study(folder)
    assert {study.cells[item].target for item in executed[9:]} == {"pairs"}
    assert len(executed) == 13
    # put back, its results are still those of the rows before
    rewrite("max_length = 39", "max_length = 40", "pairs.toml")
    assert submit("--revise") == 2
    assert "task 'pairs' has other rows (24 train, 11 dev) than the results" in (
        capsys.readouterr().err
    )


def test_a_first_submit_that_failed_leaves_its_name_free(
    submit, rewrite, own_study, folder, executed, capsys, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr(Pool, "run", lambda pool: PoolOutcome(interrupted=True))
        submit()
        for path in folder.claims.iterdir():
            path.unlink()
    rewrite("learning_rate = [1e-3]\nbatch", "learning_rate = [2e-3]\nbatch")
    rewrite("max_length = 40", "max_length = 39", "pairs.toml")
    path = own_study / "data/pairs/dev.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    capsys.readouterr()
    assert submit() == 0
    assert "study own had begun nothing and is replaced: " in capsys.readouterr().out
    study = read_study(folder)
    assert study.revision == 1
    assert set(executed) == study.runs.keys()


def test_a_model_of_the_hub_is_looked_for_before_anything_is_written(own_study, folder, capsys):
    grid, commit = own_study / "own.toml", "0a" * 20
    hub = f'hub = "org/encoder"\nrevision = "{commit}"'
    grid.write_text(grid.read_text().replace('path = "set on the command line"', hub))
    given = ["--grid", str(grid), "--root", str(own_study / "logs"), "--executor", "local"]
    given += ["--data-dir", str(own_study / "data")]
    assert main(given) == 2
    assert f"org/encoder@{commit} is not in the Hub's cache" in capsys.readouterr().err
    assert not folder.path.exists()
    # a study that began with a commit keeps it where the grid names a branch, and says so
    write_study(bind(load_grid(str(grid)), f"org/encoder@{commit}", near=own_study), folder)
    grid.write_text(grid.read_text().replace(commit, "main"))
    assert main([*given, "--dry-run"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        f"'main' stands for by now, this study keeps the commit that it began with, {commit}"
        in (printed)
    )
    assert "8 cells, 0 done" in printed


def test_a_submit_waits_for_another_one_that_claims(submit, folder, executed, capsys):
    lock = lock_of(folder.path / ".submit.lock")
    lock.acquire()
    codes = []
    second = threading.Thread(target=lambda: codes.append(submit()))
    second.start()
    try:
        second.join(10)
        assert not folder.study_file.exists()
    finally:
        lock.release()
    second.join(120)
    assert codes == [0]
    assert "waiting for another submit of this study" in capsys.readouterr().out
    assert len(executed) == 9


def test_of_two_submits_that_grow_at_once_each_run_is_run_by_one(
    submit, rewrite, folder, executed, monkeypatch
):
    # two threads stand for two processes, and tyro clears one cache for both
    monkeypatch.setattr("tyro._unsafe_cache.clear_cache", lambda: None)
    assert submit() == 0
    rewrite("seed = [12]", "seed = [12, 13]")
    codes = []
    both = [threading.Thread(target=lambda: codes.append(submit())) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(240)
    assert codes == [0, 0]
    study = read_study(folder)
    assert study.revision == 2
    assert sorted(executed) == sorted(study.runs)


def test_a_study_grows_while_another_submit_runs_and_its_claims_stand(
    submit, rewrite, folder, executed, capsys, monkeypatch
):
    with monkeypatch.context() as patched:
        # its workers hold their claims for as long as this process lives
        patched.setattr(Pool, "run", lambda pool: PoolOutcome(done=list(pool.costs)))
        assert submit() == 0
    held = {path.stem for path in folder.claims.iterdir()}
    assert len(held) == 9
    rewrite('sources = ["none", "endings"]', 'sources = ["none", "endings", "pairs"]')
    assert submit() == 0
    assert "+1 source and +4 cells: source pairs; 8 cells there, 0 done" in capsys.readouterr().out
    assert len(executed) == 5
    assert held.isdisjoint(executed)
    first = claims.read(folder.claim(min(held)))
    assert first is not None


def test_two_studies_that_are_at_the_same_runs_say_so(
    submit, own_study, folder, executed, capsys, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr(Pool, "run", lambda pool: PoolOutcome(done=list(pool.costs)))
        assert submit() == 0
    capsys.readouterr()
    assert submit("--study", "second") == 0
    said = f"twice at once: source endings and 8 cells: study own ({folder.path}) runs or awaits"
    assert said in capsys.readouterr().out
    assert len(executed) == 9


def test_the_history_stands_in_study_json(submit, rewrite, folder, executed):
    submit()
    rewrite("seed = [12]", "seed = [12, 13]")
    submit()
    table = json.loads(Path(folder.study_file).read_text())
    assert [one["number"] for one in table["revisions"]] == [1, 2]
    assert [one["cells"] for one in table["revisions"]] == [8, 16]
    assert all(one["command"] for one in table["revisions"])


@pytest.mark.parametrize("what", ["a task's field", "its rows"])
def test_what_a_study_may_not_become_is_refused_before_the_model_is_tried(
    submit, own_study, folder, executed, monkeypatch, capsys, what
):
    assert submit() == 0
    monkeypatch.setattr(submission, "require_tried", lambda *_: pytest.fail("the model is tried"))
    before = folder.study_file.read_bytes()
    if what == "its rows":
        path = own_study / "data/pairs/dev.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
        told = "task 'pairs' has other rows (24 train, 11 dev)"
    else:
        path = own_study / "pairs.toml"
        path.write_text(path.read_text().replace("max_length = 40", "max_length = 30"))
        told = "pairs: max_length 40 -> 30"
    assert submit() == 2
    assert told in capsys.readouterr().err
    assert folder.study_file.read_bytes() == before


def test_a_file_whose_rows_changed_is_named_with_what_it_differs_from(
    submit, own_study, folder, executed, capsys
):
    assert submit() == 0
    path = own_study / "data/pairs/dev.jsonl"
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join([rows[1], rows[0], *rows[2:]]))
    moved = own_study / "data2"
    shutil.copytree(own_study / "data", moved)
    assert submit() == 2
    error = capsys.readouterr().err
    assert "other rows than this study began with (as many: 24 train, 12 dev)" in error
    assert f": {path} has other rows than it had. Use the same data" in error
    assert submit("--data-dir", str(moved)) == 2
    error = capsys.readouterr().err
    assert f": {moved / 'pairs/dev.jsonl'} has other rows than {path} had. Use the" in error

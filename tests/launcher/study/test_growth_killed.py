"""A submit that is killed while it changes a study leaves one that both grids go on with."""

from itertools import count
from pathlib import Path

import pytest

from launcher.study import growth
from launcher.study.growth import Asked, next_step, take
from launcher.study.outstanding import outstanding
from stilt.folder import StudyFolder, read_study
from stilt.grid import Grid
from stilt.study import Study, bind
from tests.support.fake_study import TINY, make_study

ASKED = Asked(revise=True, command="submit.py --grid tiny --revise")


class Killed(BaseException):
    """Nothing in the program catches it, and nothing is tidied up."""


def tiny(top_p: float, length: int, seeds: list[int]) -> Study:
    """A study that generates rows, and has them as a target."""
    axes = {"targets": ["rte", "synthesis-gpt2"], "seed": seeds}
    block = TINY["blocks"][0] | axes
    grid = TINY | {"blocks": [block], "synthesis": {"top_p": top_p}}
    table = bind(Grid.model_validate(grid), "made-up-model").model_dump() | {"name": "s"}
    table["tasks"]["rte"] |= {"max_length": length}
    return Study.model_validate(table)


OLD, NEW = tiny(0.9, 100, [12]), tiny(0.5, 128, [12, 13])


def nobody_lives(_):
    return False


def submit(study, folder):
    take(next_step(study, folder, nobody_lives, ASKED), folder, nobody_lives)


def state(folder):
    """What of a study counts, by the study that is there."""
    study = read_study(folder)
    found = outstanding(study, folder, nobody_lives)
    return study.digest, found.done, found.missing, found.there, rows(folder)


def rows(folder):
    path = folder.synthesis() / "dev.jsonl"
    return path.read_text() if path.exists() else None


@pytest.fixture
def begun(tmp_path):
    """The old study with every result and its rows."""
    folder = StudyFolder(tmp_path / "s")
    make_study(folder.path, bound=OLD)
    submit(OLD, folder)
    folder.synthesis().mkdir(exist_ok=True)
    (folder.synthesis() / "dev.jsonl").write_text("made at 0.9")
    for name in ("rte", "synthesis-gpt2"):
        folder.data_digest(name).parent.mkdir(exist_ok=True)
        folder.data_digest(name).write_text("{}")
    return folder


def killed(monkeypatch, folder, steps: int) -> bool:
    """Kills the submit of the new study before one of its changes; False where it had ended."""
    left = count(steps, -1)

    def mortal(real):
        def change(*arguments, **options):
            if next(left) == 0:
                raise Killed
            return real(*arguments, **options)

        return change

    with monkeypatch.context() as patched:
        for name in ("unlink", "rename"):
            patched.setattr(Path, name, mortal(getattr(Path, name)))
        patched.setattr(growth, "write_study", mortal(growth.write_study))
        try:
            submit(NEW, folder)
        except Killed:
            return True
    return False


@pytest.mark.parametrize("again", [NEW, OLD], ids=["the same grid", "the old grid"])
def test_a_submit_that_is_killed_while_it_revises_a_study_costs_nothing(
    begun, monkeypatch, again, tmp_path
):
    before = state(begun)
    assert len(before[1]) == 8
    deaths = 0
    while killed(monkeypatch, begun, deaths):
        deaths += 1
        submit(again, begun)
        if again is OLD:
            assert state(begun) == before
        else:
            assert read_study(begun).digest == NEW.digest
            assert rows(begun) is None
            submit(OLD, begun)
            assert state(begun) == before
    # two pins, the rows, study.json
    assert deaths >= 3

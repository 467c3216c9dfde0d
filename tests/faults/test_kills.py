"""Whatever is killed, whenever: the same command completes, and every score is the same."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stilt.folder import StudyFolder, read_study
from stilt.records import claims
from stilt.records.finished import read_ending
from tests.support.faulted_study import FaultedStudy, wait
from tests.support.own_study import make_own_study

RENAMING = ("replace", "rename", "link")
"""Functions of ``os`` by which a file gets its name."""


@pytest.fixture(scope="module")
def calm(tmp_path_factory, roberta):
    """Scores of an undisturbed run, how long it took, and how often it named a file."""
    study = FaultedStudy(tmp_path_factory.mktemp("calm"), roberta)
    count = study.log.with_name("count")
    begin = time.monotonic()
    assert study.run(lambda: dying(count=count)) == 0, study.said()
    return study.scores(), time.monotonic() - begin, len(count.read_text())


@pytest.fixture
def study(tmp_path, roberta):
    return FaultedStudy(tmp_path, roberta)


def dying(*, at: int = 0, after: bool = False, count: Path | None = None) -> None:
    """Lets this process die at the ``at``-th naming of a file, before or after it is done."""
    calls = 0

    def patched(real):
        def rename(*args, **kwargs):
            nonlocal calls
            calls += 1
            if count is not None:
                with count.open("a") as file:
                    file.write(".")
            if calls == at and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            done = real(*args, **kwargs)
            if calls == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return rename

    for name in RENAMING:
        setattr(os, name, patched(getattr(os, name)))


def moments(count: int, most: int) -> list[int]:
    """Some of the namings 1..most, spread over all of them, the same each time."""
    draw = random.Random(count)
    return sorted(1 + int((i + draw.random()) * most / count) for i in range(count))


@pytest.mark.parametrize("part", range(3))
def test_a_death_at_the_naming_of_a_file_costs_no_score(study, calm, part):
    scores, _, namings = calm
    at = moments(3, namings)[part]
    assert study.run(lambda: dying(at=at, after=bool(part % 2))) == -signal.SIGKILL
    study.complete()
    assert study.scores() == scores


@pytest.mark.nightly
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("part", range(20))
def test_a_death_at_any_naming_of_a_file_costs_no_score(study, calm, part, after):
    scores, _, namings = calm
    at = moments(20, namings)[part]
    assert study.run(lambda: dying(at=at, after=after)) == -signal.SIGKILL
    study.complete()
    assert study.scores() == scores


def test_deaths_again_and_again_cost_no_score(study, calm):
    scores, _, namings = calm
    for at in (namings // 5, namings // 3, 5):
        assert study.run(lambda at=at: dying(at=at)) == -signal.SIGKILL
    study.complete()
    assert study.scores() == scores


def test_a_kill_at_a_random_moment_costs_no_score(study, calm):
    scores, seconds, _ = calm
    study.run_and_kill(random.Random(1).random() * seconds)
    study.complete()
    assert study.scores() == scores


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(20))
def test_kills_at_random_moments_cost_no_score(study, calm, seed):
    scores, seconds, _ = calm
    draw = random.Random(seed)
    for _ in range(1 + seed % 3):
        study.run_and_kill(draw.random() * seconds)
    study.complete()
    assert study.scores() == scores


def together(study, commands):
    """Runs several commands at once, until nobody holds anything any more."""
    for pid in [study.start() for _ in range(commands)]:
        wait(pid)


def test_two_commands_at_once_run_nothing_twice(study, calm):
    together(study, 2)
    study.complete()
    assert study.scores() == calm[0]
    begun = [line for line in study.said().splitlines() if "/" in line and "] " in line]
    assert len(begun) == len(study.study.runs), study.said()


@pytest.mark.nightly
@pytest.mark.parametrize("number", range(20))
def test_two_commands_at_once_run_nothing_twice_twenty_times(study, calm, number):
    test_two_commands_at_once_run_nothing_twice(study, calm)


# ---- true launchers with their pools

SUBMIT = Path(__file__).parents[2] / "launcher/submit.py"


class Launched:
    """The study of a user, run by ``launcher/submit.py``."""

    def __init__(self, place: Path, model: Path) -> None:
        self.own = make_own_study(place)
        self.folder = StudyFolder(self.own / "logs/own")
        self.command = [
            *(sys.executable, str(SUBMIT), "--grid", "own.toml", "executor=local"),
            *("--data-dir", "data", "--model", str(model), "--workers", "2", "--bundles", "2"),
            *("--threads", "1"),
        ]

    def start(self) -> subprocess.Popen:
        with (self.own / "log.txt").open("ab") as log:
            return subprocess.Popen(
                self.command, cwd=self.own, stdout=log, stderr=log, start_new_session=True
            )

    def said(self) -> str:
        return (self.own / "log.txt").read_text()

    def workers(self) -> list[int]:
        """Processes that are at work on a run of this study."""
        found = [claims.read(path) for path in self.folder.claims.glob("[!.]*.json")]
        return sorted({claim.pid for claim in found if claim and claim.running})

    def scores(self) -> dict[str, object]:
        found = {}
        study = read_study(self.folder)
        for cell in study.cells.values():
            result = read_ending(study, self.folder, study.runs[cell.id])
            if result is not None:
                found[cell.id] = (result.score, result.dev, result.training)
        return found

    def complete(self) -> None:
        """The same command, again and again while workers that lost their launcher hold something.

        (They finish what they have, which nobody runs twice.)
        """
        for _ in range(60):
            process = self.start()
            assert process.wait() in (0, 1), self.said()
            if len(self.scores()) == 8:
                return
            time.sleep(1)
        raise AssertionError(self.said())


@pytest.fixture(scope="module")
def launched(tmp_path_factory, roberta):
    """Scores of an undisturbed submit, and the seconds that it took."""
    study = Launched(tmp_path_factory.mktemp("launched"), roberta)
    begin = time.monotonic()
    assert study.start().wait() == 0, study.said()
    return study.scores(), time.monotonic() - begin


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.mark.nightly
def test_a_worker_that_is_killed_is_run_again_as_it_was_by_the_same_pool(
    launched, tmp_path, roberta
):
    study = Launched(tmp_path, roberta)
    process = study.start()
    while not (workers := study.workers()):
        assert process.poll() is None, study.said()
        time.sleep(0.01)
    kill(workers[:1])
    assert process.wait() == 0, study.said()
    assert "killed by signal 9; nothing says that memory ran out; it is run again" in study.said()
    assert study.scores() == launched[0]


@pytest.mark.nightly
@pytest.mark.parametrize("victim", ["worker", "launcher", "both"])
@pytest.mark.parametrize("seed", range(20))
def test_whoever_is_killed_at_a_random_moment_costs_no_score(
    launched, tmp_path, roberta, victim, seed
):
    scores, seconds = launched
    study = Launched(tmp_path, roberta)
    process = study.start()
    time.sleep(random.Random(f"{victim}{seed}").random() * seconds)
    workers = study.workers()
    if victim != "worker":
        kill([process.pid])
    if victim != "launcher":
        kill(workers)
    process.wait()
    study.complete()
    assert study.scores() == scores


@pytest.mark.nightly
@pytest.mark.parametrize("number", range(20))
def test_two_launchers_at_once_run_nothing_twice(launched, tmp_path, roberta, number):
    study = Launched(tmp_path, roberta)
    for process in [study.start(), study.start()]:
        assert process.wait() in (0, 1), study.said()
    study.complete()
    assert study.scores() == launched[0]
    begun = [
        line
        for path in study.folder.logs.glob("*.log")
        for line in path.read_text().splitlines()
        if "] " in line and "/" in line.partition("]")[0]
    ]
    assert len(begun) == len(read_study(study.folder).runs) == 9


def test_what_a_kill_leaves_in_the_folder_of_sources_stands_in_nobodys_way(study, calm, roberta):
    assert study.run() == 0
    (source,) = study.study.sources
    place = study.folder.source(source)
    # as a kill between the two renamings of a source's folder leaves it
    shutil.move(place, place.with_name(f".{source}.left"))
    for path in study.folder.results.glob("*.json"):
        path.unlink()
    study.complete()
    assert study.scores() == calm[0]

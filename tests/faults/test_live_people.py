"""On a real SLURM: several people and several launchers at one study."""

import contextlib
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

from tests.support import slurm_cluster
from tests.support.cluster_study import make_study
from tests.support.gated_study import GatedStudy
from tests.support.live_study import (
    PATIENCE,
    PROFILE,
    REPOSITORY,
    slurm,
    submit_command,
    wait,
    wait_for_all_jobs,
)
from tests.support.webhook import webhook

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="needs root to be two other users")
ONE, OTHER = "daemon", "games"
"""Users that every Debian has."""
GROUP = 60
"""Both users' group in a shared folder."""


def test_two_submits_at_one_instant_run_everything_once(live):
    live.open()
    both = [live.start("--bundles", "2") for _ in range(2)]
    for started in both:
        printed, _ = started.communicate(timeout=PATIENCE)
        assert started.returncode == 0, printed
    assert len(live.items()) == 4
    live.finish(submits=0)


def test_a_webhook_is_told_once_when_all_jobs_ended_whatever_lies_in_the_working_folder(live):
    # with an empty part in its path, a job would find this one before the standard library's
    shadow = live.own / "queue.py"
    shadow.write_text("raise SystemExit('a file of the person')")
    setup = live.profile('setup = ["export PYTHONPATH=:$PYTHONPATH"]\n')
    live.open()
    try:
        with webhook() as hook:
            live.submit("--bundles", "2", "--profile", str(setup), "--notify", hook.url)
            wait_for_all_jobs()
            assert hook.texts == ["study own has ended: 4 of 4 cells done, 0 failed"]
    finally:
        shadow.unlink()
    live.finish(submits=0)


@pytest.mark.nightly
def test_a_pool_of_this_machine_holds_its_cells_and_slurm_goes_on_where_it_was_killed(live):
    local = live.start("--executor", "local", "--workers", "2", "--bundles", "2")
    workers = [claim.pid for claim in live.at_gate(2)]
    printed = live.submit("--bundles", "2")
    assert "others hold what is left" in printed
    assert not slurm("squeue", "--noheader").strip()
    for process in (local.pid, *workers):
        os.kill(process, signal.SIGKILL)
    local.communicate(timeout=100)
    told = ["failed"] * 2 + ["open"] * 2
    wait(lambda: [state for state, _ in live.states()] == told, "the killed workers' end")
    printed = live.submit("--bundles", "2")
    assert "4 runs to do" in printed
    # and the other way round: what SLURM holds is not run here
    live.at_gate(2)
    local = live.start("--executor", "local")
    printed, _ = local.communicate(timeout=PATIENCE)
    assert local.returncode == 0
    assert "others hold what is left" in printed
    live.finish(submits=0)


@pytest.fixture
def shared(calm, cluster):
    """The study in a folder that a group shares: all that is made in it is the group's."""
    with tempfile.TemporaryDirectory(prefix="stilt-shared-") as name:
        place = Path(name)
        make_study(place / "own", sources=0, targets=1, seeds=2)
        (place / "own/model/model.safetensors").chmod(0o644)
        (place / "own/cluster.toml").write_text(PROFILE)
        (place / "logs").mkdir()
        os.chown(place / "logs", -1, GROUP)
        (place / "logs").chmod(0o2775)
        place.chmod(0o755)
        yield (study := GatedStudy(place / "own", place, calm))
        study.open()
        slurm_cluster.heal()


def run_as(user: str, live: GatedStudy, *command: str) -> subprocess.CompletedProcess:
    """Runs a command of ours as another user, with a home of her own."""
    home = live.root.parent / f"home-{user}"
    home.mkdir(exist_ok=True)
    home.chmod(0o777)
    packages = sysconfig.get_path("purelib")
    path = os.pathsep.join((live.environment["PYTHONPATH"], str(REPOSITORY), packages))
    own = {"HOME": home, "STILT_CACHE": home / "cache", "PYTHONPATH": path, "COLUMNS": "400"}
    script, *arguments = command
    return as_user(
        user,
        *(python_of(user), str(REPOSITORY / script), *arguments),
        cwd=live.own,
        env=live.environment | {name: str(value) for name, value in own.items()},
    )


def as_user(user: str, *command: str, **options) -> subprocess.CompletedProcess:
    """Runs anything as a user of the group."""
    return subprocess.run(
        command,
        user=user,
        group=GROUP,
        extra_groups=[],
        umask=0o002,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=PATIENCE,
        **options,
    )


def python_of(user: str) -> str:
    """A Python of this version that a user may run: this one may lie in somebody's home."""
    usual = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    for path in (sys.executable, usual):
        with contextlib.suppress(OSError):
            if as_user(user, path, "-c", "").returncode == 0:
                return path
    pytest.skip(f"no Python {sys.version} that {user} may run")


def files(folder: Path) -> set[tuple[Path, int]]:
    return {(path, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@AS_ROOT
@pytest.mark.nightly
def test_another_user_reads_a_study_and_cannot_disturb_it(shared):
    live = shared
    live.root.chmod(0o755)
    live.submit("--bundles", "2")
    [claim, _] = live.at_gate(2)
    seen = run_as(OTHER, live, "launcher/status.py", "own", "--root", str(live.root))
    assert seen.returncode == 0, seen.stdout
    assert "2 running" in seen.stdout
    seen = run_as(OTHER, live, "launcher/status.py", "why", claim.item, "--root", str(live.root))
    assert live.log(claim) in seen.stdout.replace("\n", "")
    for command in ("launcher/cancel.py", "launcher/clean.py", "analysis/summarize.py"):
        refused = run_as(OTHER, live, command, "own", "--root", str(live.root))
        assert refused.returncode != 0, refused.stdout
        assert "Traceback" not in refused.stdout
    assert {state for state, _ in live.states()} == {"running", "pending"}
    live.finish(submits=0)
    before = files(live.root)
    seen = run_as(OTHER, live, "launcher/status.py", "own", "--root", str(live.root))
    assert "All done." in seen.stdout
    assert files(live.root) == before


@AS_ROOT
@pytest.mark.nightly
def test_two_users_of_a_group_submit_one_study_in_a_folder_that_they_share(shared):
    live = shared

    def submits(user):
        [_, script, *arguments] = submit_command(live.root, "--bundles", "2")
        done = run_as(user, live, script, *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    submits(ONE)
    first, second = live.at_gate(2)
    slurm("scancel", first.job)
    live.wait_for(first.item, "open", "cancelled")
    refused = run_as(OTHER, live, "launcher/cancel.py", "own", "--root", str(live.root))
    assert refused.returncode == 1
    assert "Access/permission denied" in refused.stdout
    # the other one takes over what her colleague's job left, and its saved state
    assert "2 held by live jobs, 2 runs to do" in submits(OTHER)
    live.at_gate(2)
    slurm("scancel", second.job)
    live.wait_for(second.item, "open", "cancelled")
    live.open()
    submits(OTHER)
    wait_for_all_jobs()
    owners = {path.owner() for path in live.folder.results.iterdir()}
    assert owners == {OTHER}
    submits(ONE)
    live.finish(submits=0)

"""A throw-away SLURM cluster on this machine, for developers and CI.

It has two virtual nodes of two CPUs and a fake GPU each, two partitions (`test`, the default, and
`short`, limited to 2 minutes) and job accounting. All of it lives in one folder ($STILT_SLURM_DIR,
by default /tmp/stilt-slurm), with its own configuration, munge, database and ports: a SLURM already
installed on the machine is neither used nor touched. Every start begins from nothing, with an empty
queue, no accounting records and job ids from 1.

From a shell (tried with SLURM 22.05 of Debian 12, as root and as another user):

    python tests/support/slurm_cluster.py install
    python tests/support/slurm_cluster.py start --max-array-size 10
    export SLURM_CONF=/tmp/stilt-slurm/slurm.conf  # printed by start
    squeue
    python tests/support/slurm_cluster.py stop

From a test:

    with slurm_cluster.cluster(Settings(max_array_size=10)):
        subprocess.run(["sbatch", "job.sh"], check=True)
"""

import argparse
import contextlib
import dataclasses
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

FOLDER = Path(os.environ.get("STILT_SLURM_DIR", "/tmp/stilt-slurm")).absolute()
NODES = ("node1", "node2")
PACKAGES = ("slurm-wlm", "slurmdbd", "munge", "mariadb-server")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "slurmdbd", "munged", "mariadbd", "mariadb-install-db")

_NAME = "stilt"
_USER = pwd.getpwuid(os.getuid()).pw_name
_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
_CONF = FOLDER / "slurm.conf"
_SETTINGS = FOLDER / "settings"
_DATABASE_SOCKET = FOLDER / "mariadbd.socket"
_MUNGE_SOCKET = FOLDER / "munged.socket"

_DAEMONS = {
    "munged": f"munged --foreground --socket={_MUNGE_SOCKET} --key-file={FOLDER}/munge.key "
    f"--seed-file={FOLDER}/munge.seed --pid-file={FOLDER}/munge.own.pid",
    "mariadbd": f"mariadbd --no-defaults --skip-networking --user={_USER} "
    f"--datadir={FOLDER}/database --socket={_DATABASE_SOCKET} "
    "--innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900",
    "slurmdbd": "slurmdbd -D",
    "slurmctld": "slurmctld -D",
    **{node: f"slurmd -D -N {node}" for node in NODES},
}
_READY: dict[str, Callable[[], object]] = {
    "munged": _MUNGE_SOCKET.exists,
    "mariadbd": _DATABASE_SOCKET.exists,
    "slurmdbd": lambda: _run("sacct"),
    "slurmctld": lambda: _run("sinfo"),
}
# The last of these marks the daemons, and the slurmstepds that they start, as ours.
_ENVIRONMENT = {
    "PATH": _PATH,
    "SLURM_CONF": str(_CONF),
    "MYSQL_UNIX_PORT": str(_DATABASE_SOCKET),
    "STILT_SLURM_CLUSTER": str(FOLDER),
}


class ClusterError(RuntimeError):
    """The cluster did not start, or did not do what was asked of it."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What can be chosen about a cluster.

    Attributes:
        max_array_size: MaxArraySize; the highest index of an array is one less.
        max_submit_jobs: Most jobs a user may have in the queue, None for no limit.
        min_job_age: Seconds for which squeue knows a job after its end (and up to a minute more).
        requeue_delay: Seconds for which a requeued job is held back (cred_expire, 120 in a usual
            cluster), at least 5: SLURM takes anything below for 120.
        node_timeout: SlurmdTimeout; a node whose daemon has died counts as down only after two to
            three times as many seconds.
        memory_limits: Whether the kernel kills what exceeds its memory; needs root and cgroups v1.
    """

    max_array_size: int = 1001
    max_submit_jobs: int | None = None
    min_job_age: int = 300
    requeue_delay: int = 5
    node_timeout: int = 10
    memory_limits: bool = False


DEFAULTS = Settings()


def install() -> None:
    """Install the Debian packages, unless all programs needed are there."""
    if _missing_programs():
        sudo = [] if os.getuid() == 0 else ["sudo"]
        apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes"]
        subprocess.run([*apt, "update"], check=True)
        subprocess.run([*apt, "install", "--no-install-recommends", *PACKAGES], check=True)


def start(settings: Settings = DEFAULTS) -> None:
    """Start the cluster and set `SLURM_CONF` for this process and its children.

    A sound cluster with the same settings is kept as it is, jobs included; any other is replaced.

    Raises:
        ClusterError: If a program is missing, the folder holds something else, or a daemon does
            not come up; the message then ends with the daemon's log.
    """
    if missing := _missing_programs():
        raise ClusterError(
            f"Not installed: {', '.join(missing)}. Run `python {__file__} install`, "
            f"or apt-get install {' '.join(PACKAGES)}."
        )
    if not _is_sound(settings):
        stop()
        _configure(settings)
        try:
            _start_daemons(settings)
        except ClusterError:
            stop()
            raise
    os.environ["SLURM_CONF"] = str(_CONF)


def stop() -> None:
    """Kill the daemons and all jobs, sound or not; the logs stay until the next start."""

    def gone() -> bool:
        for process in _processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return not _processes()

    _wait_for(gone, "the end of all processes")
    if os.environ.get("SLURM_CONF") == str(_CONF):
        del os.environ["SLURM_CONF"]


def running() -> bool:
    """Whether every daemon of the cluster is alive."""
    return all(map(_pid, _DAEMONS))


@contextlib.contextmanager
def cluster(settings: Settings = DEFAULTS) -> Iterator[None]:
    """Start a cluster, set `SLURM_CONF`, and stop it in the end unless it was running before."""
    was_running = running()
    start(settings)
    try:
        yield
    finally:
        if not was_running:
            stop()


def node_down(node: str) -> None:
    """Set a node down, as an administrator would; its jobs are killed and requeued."""
    _run(f"scontrol update nodename={node} state=down reason=test")
    _wait_for(lambda: _is_down(node), f"{node} to be down")


def node_up(node: str) -> None:
    """Bring a node back after `node_down`."""

    def up() -> bool:
        # a controller that has just begun refuses at first
        return _is_up(node) or bool(_run(f"scontrol update nodename={node} state=resume"))

    _wait_for(up, f"{node} to be up", node)


def kill_slurmd(node: str) -> None:
    """Kill a node's daemon and wait until its jobs are requeued; their old processes live on."""
    stop_daemon(node, signal.SIGKILL)
    _wait_for(lambda: _is_down(node), f"{node} to be down", seconds=120)


def stop_daemon(daemon: str, how: signal.Signals = signal.SIGTERM) -> None:
    """Stop a daemon by its name, such as `slurmdbd`, in good order unless `how` says otherwise."""
    if pid := _pid(daemon):
        os.kill(pid, how)
    _wait_for(lambda: not _pid(daemon), f"the end of {daemon}")


def start_daemon(daemon: str) -> None:
    """Start a daemon and wait until it answers, unless it runs."""
    ready = _READY.get(daemon, lambda: _is_up(daemon))
    if not _pid(daemon):
        log = FOLDER / f"{daemon}.log"
        script = 'echo $$; exec "$@" >>"$0" 2>&1'
        process = subprocess.run(
            ["setsid", "--fork", "sh", "-c", script, str(log), *_DAEMONS[daemon].split()],
            env=_ENVIRONMENT,
            cwd=FOLDER,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
        )
        (FOLDER / f"{daemon}.pid").write_bytes(process.stdout)
    _wait_for(ready, f"{daemon} to be ready", daemon)


def heal() -> None:
    """Start what was stopped, bring the nodes back, and empty the queue."""
    for daemon in _READY:
        start_daemon(daemon)
    if jobs := set(_run("squeue --noheader --format=%A").split()):
        _run(f"scancel {' '.join(jobs)}")
    for node in NODES:
        if _pid(node):
            node_up(node)
        start_daemon(node)
    _wait_for(lambda: not _run("squeue --noheader"), "an empty queue", seconds=180)


def _configure(settings: Settings) -> None:
    """Wipe the folder and write all configuration files."""
    if FOLDER.exists():
        if any(FOLDER.iterdir()) and not _SETTINGS.exists():
            raise ClusterError(f"{FOLDER} holds no cluster: empty it, or set STILT_SLURM_DIR.")
        shutil.rmtree(FOLDER)
    FOLDER.mkdir(parents=True)
    _SETTINGS.write_text(repr(settings))
    munge_key = FOLDER / "munge.key"
    munge_key.touch(mode=0o600)
    munge_key.write_bytes(os.urandom(128))

    values = {
        "name": _NAME,
        "user": _USER,
        "host": socket.gethostname().split(".")[0],
        "folder": FOLDER,
        "ports": _free_ports(2 + len(NODES)),
        "nodes": ",".join(NODES),
        "enforce": "AccountingStorageEnforce=limits" if settings.max_submit_jobs else "",
        "tracking": "cgroup" if settings.memory_limits else "linuxproc",
        "task": "cgroup" if settings.memory_limits else "none",
        "memory": "_Memory" if settings.memory_limits else "",
        "settings": settings,
    }
    for template in Path(__file__).parent.glob("*.conf.template"):
        file = FOLDER / template.stem
        # slurmdbd refuses a file that others can read; the rest is for every user
        file.touch(mode=0o600 if "slurmdbd" in file.name else 0o644)
        file.write_text(template.read_text().format_map(values))


def _start_daemons(settings: Settings) -> None:
    start_daemon("munged")
    _run(
        "mariadb-install-db --no-defaults --skip-test-db "
        f"--user={_USER} --datadir={FOLDER}/database"
    )
    for daemon in list(_READY)[1:]:
        start_daemon(daemon)
    if settings.max_submit_jobs is not None:
        limit = f"MaxSubmitJobs={settings.max_submit_jobs}"
        _run(f"sacctmgr -i modify cluster {_NAME} set {limit}")
        if _USER != "root":
            _run(f"sacctmgr -i add user {_USER} account=root")
    for node in NODES:
        start_daemon(node)


def _pid(daemon: str) -> int | None:
    """The daemon's process, if it lives and is ours: ids are used again by others."""
    file = FOLDER / f"{daemon}.pid"
    pid = int(file.read_text()) if file.exists() else None
    return pid if pid in _processes() else None


def _processes() -> set[int]:
    """All processes of this cluster, those of its jobs included."""
    in_daemon = {f"STILT_SLURM_CLUSTER={FOLDER}".encode()}
    in_job = {f"SLURM_CONF={_CONF}".encode(), f"SLURM_CLUSTER_NAME={_NAME}".encode()}
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            variables = set(path.read_bytes().split(b"\0"))
            if in_daemon <= variables or in_job <= variables:
                found.add(int(path.parent.name))
    return found - {os.getpid()}


def _state(node: str) -> set[str]:
    """State and flags of a node, by scontrol: sinfo may take a dead node for mixed for minutes."""
    description = _run(f"scontrol --oneliner show node {node}")
    return set(description.partition(" State=")[2].split()[0].split("+"))


def _is_sound(settings: Settings) -> bool:
    """Whether a cluster with these settings runs, and with all its nodes."""
    if not running() or _SETTINGS.read_text() != repr(settings):
        return False
    try:
        return all(map(_is_up, NODES))
    except ClusterError:
        return False


def _is_up(node: str) -> bool:
    return _state(node) <= {"IDLE", "MIXED", "ALLOCATED", "COMPLETING"}


def _is_down(node: str) -> bool:
    return "DOWN" in _state(node)


def _run(command: str) -> str:
    environment = os.environ | {"SLURM_CONF": str(_CONF), "PATH": _PATH}
    done = subprocess.run(command.split(), env=environment, capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"`{command}` failed: {done.stderr.strip()}")
    return done.stdout


def _wait_for(
    condition: Callable[[], object], what: str, daemon: str | None = None, seconds: float = 60
) -> None:
    """Wait until the condition holds; give up early if the daemon that it needs is dead."""
    end = time.monotonic() + seconds
    problem = ""
    while time.monotonic() < end and (daemon is None or _pid(daemon)):
        try:
            if condition():
                return
        except ClusterError as error:
            problem = f"\n{error}"
        time.sleep(0.1)
    if daemon is not None:
        log = FOLDER / f"{daemon}.log"
        problem += f"\n{log} ends with:\n"
        problem += "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise ClusterError(f"Waited in vain for {what}.{problem}")


def _free_ports(count: int) -> range:
    """Free ports in a row, below those the kernel gives to outgoing connections."""
    # each folder looks from a place of its own: two clusters may start at the same moment
    places = range(17000, 32000, count)
    here = zlib.crc32(str(FOLDER).encode()) % len(places)
    for first in (*places[here:], *places[:here]):
        ports = range(first, first + count)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in ports:
                stack.enter_context(socket.create_server(("", port)))
            return ports
    raise ClusterError("No free ports from 17000 to 32000.")


def _missing_programs() -> list[str]:
    return [program for program in PROGRAMS if not shutil.which(program, path=_PATH)]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["install", "start", "stop", "status"])
    for field in dataclasses.fields(Settings):
        flag = "--" + field.name.replace("_", "-")
        parser.add_argument(flag, type=int, metavar="N", default=field.default)
    options = vars(parser.parse_args())
    try:
        match options.pop("command"):
            case "install":
                install()
            case "start":
                start(Settings(**options))
                print(f"export SLURM_CONF={_CONF}")
            case "stop":
                stop()
            case "status" if running():
                print(f"export SLURM_CONF={_CONF}", _SETTINGS.read_text(), sep="\n")
                print(_run("sinfo --long --Node"), end="")
            case "status":
                sys.exit("The cluster is not running.")
    except ClusterError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

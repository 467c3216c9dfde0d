"""What says that a process was killed for want of memory, and that nothing else does."""

import time

import pytest

from stilt.system.memory import MemoryWatch


class Machine:
    """Files of a made-up kernel."""

    def __init__(self, root):
        self.root = root
        self.write("proc/vmstat", "pgfault 7\noom_kill 3\n")
        self.memory(free=50)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def memory(self, *, free):
        self.write("proc/meminfo", f"MemTotal:  100 kB\nMemFree: 1 kB\nMemAvailable: {free} kB\n")


@pytest.fixture
def machine(tmp_path, commands):
    commands.say("dmesg", "[    1.0] all is well\n")
    return Machine(tmp_path / "root")


@pytest.fixture(params=[1, 2])
def group(request, machine):
    """A control group of either version, with a limit of 1,000 bytes, of which 400 are in use."""
    version = request.param
    line = "0::/job/step" if version == 2 else "4:memory:/job/step"
    machine.write("proc/self/cgroup", f"9:name=systemd:/\n{line}\n")
    place = "sys/fs/cgroup/job/step" if version == 2 else "sys/fs/cgroup/memory/job/step"
    events, used, limit, total = {
        1: ("memory.oom_control", "memory.usage_in_bytes", "memory.limit_in_bytes", "total_"),
        2: ("memory.events", "memory.current", "memory.max", ""),
    }[version]

    def write(kills=0, current=400, most="1000", cached=0):
        lines = {1: "oom_kill_disable 0\nunder_oom 0\n", 2: "low 0\nmax 99\noom 1\n"}[version]
        machine.write(f"{place}/{events}", f"{lines}oom_kill {kills}\n")
        machine.write(f"{place}/{used}", f"{current}\n")
        machine.write(f"{place}/{limit}", f"{most}\n")
        stat = f"{total}inactive_file {cached}\n{total}active_file {cached}\n"
        machine.write(f"{place}/memory.stat", stat)

    write()
    return write


def test_a_kill_that_nothing_explains_was_not_for_want_of_memory(machine):
    watch = MemoryWatch(machine.root)
    watch.look()
    assert watch.shortage(1234) is None


def test_a_group_that_counts_one_more_kill_says_so(machine, group):
    watch = MemoryWatch(machine.root)
    watch.look()
    group(kills=1)
    assert watch.shortage(1234) == "the kernel counts 1 more killed for want of memory"


def test_kills_of_long_ago_say_nothing(machine, group):
    group(kills=1)
    watch = MemoryWatch(machine.root)
    group(kills=2)
    for _ in range(3):
        watch.look()
    assert watch.shortage(1234) is None


def test_what_the_machine_counts_elsewhere_says_nothing_of_a_group(machine, group):
    watch = MemoryWatch(machine.root)
    machine.write("proc/vmstat", "oom_kill 9\n")
    assert watch.shortage(1234) is None


def test_without_a_group_the_machine_counts(machine):
    watch = MemoryWatch(machine.root)
    machine.write("proc/vmstat", "oom_kill 5\n")
    assert watch.shortage(1234) == "the kernel counts 2 more killed for want of memory"


@pytest.mark.parametrize(
    ("use", "told"),
    [
        ({"current": 960}, "96 % of the memory was in use"),
        ({"current": 940}, None),
        # cached files are given up before anything is killed
        ({"current": 990, "cached": 100}, None),
        ({"current": 990, "most": "max"}, None),
    ],
)
def test_memory_in_use_near_the_limit_says_so(machine, group, use, told):
    watch = MemoryWatch(machine.root)
    group(**use)
    watch.look()
    group(current=10)
    assert watch.shortage(1234) == told


def test_a_machine_without_free_memory_says_so(machine):
    watch = MemoryWatch(machine.root)
    machine.memory(free=2)
    watch.look()
    assert watch.shortage(1234) == "98 % of the memory was in use"


@pytest.mark.parametrize(
    ("seconds", "pid", "told"),
    [
        (1, 1234, True),
        (1, 123, False),
        # the number is used again: it was another process
        (-1000, 1234, False),
    ],
)
def test_the_kernels_log_names_what_it_killed(machine, commands, seconds, pid, told):
    watch = MemoryWatch(machine.root)
    moment = int(time.monotonic()) + seconds
    line = f"[{moment:5d}.123456] Out of memory: Killed process {pid} (python) total-vm:1kB\n"
    commands.say("dmesg", line)
    assert (watch.shortage(1234) is not None) == told


def test_a_system_that_tells_nothing_is_no_evidence(tmp_path, commands):
    watch = MemoryWatch(tmp_path)
    watch.look()
    assert watch.shortage(1234) is None

"""A process lives until it has ended, also where nobody takes note of its end."""

import os
import subprocess
import sys
import time

from stilt.system.processes import birth, lives


def test_this_process_lives_and_has_a_birth():
    assert lives(os.getpid())
    assert birth(os.getpid()) == birth(os.getpid())


def test_a_process_that_has_ended_is_dead_before_its_parent_takes_note_of_it():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert lives(process.pid)
    process.stdin.close()
    # it is left a zombie: os.kill would still find it
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    os.kill(process.pid, 0)
    assert not lives(process.pid)
    process.wait()
    assert not lives(process.pid)


def test_two_processes_have_two_births():
    first = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    time.sleep(0.05)
    second = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        births = [birth(process.pid) for process in (first, second)]
        assert len(set(births) - {None}) == 2, births
    finally:
        for process in (first, second):
            process.communicate()

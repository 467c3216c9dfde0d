"""The class of a worker's end: out of memory only where something says so."""

import pytest

from stilt.records.deaths import DISK_FULL, why_ended


class Watch:
    """What a look at memory found."""

    def __init__(self, told):
        self.told = told

    def shortage(self, pid):
        return self.told if pid == 7 else None


@pytest.mark.parametrize(
    ("code", "shortage", "kind", "text"),
    [
        (-9, None, "killed", "killed by signal 9; nothing says that memory ran out"),
        (137, None, "killed", "killed by signal 9; nothing says that memory ran out"),
        (-9, "the kernel counts 1", "oom", "killed by signal 9: the kernel counts 1"),
        (-11, "the kernel counts 1", "bug", "the worker ended with signal 11 (SIGSEGV)"),
        (3, None, "bug", "the worker ended with exit code 3"),
        (DISK_FULL, None, "disk", "the worker could not write"),
        (120, None, "disk", "the worker could not write"),
    ],
)
def test_an_end_has_the_class_that_is_known_of_it(code, shortage, kind, text):
    found = why_ended(code, 7, Watch(shortage))
    assert found[0] == kind
    assert text in found[1]

"""Files that say what they are and prove that they are whole: a seal stands behind the content.

The seal is one line of JSON: the content's SHA-256, and facts such as whose the file is. Archives
in the zip format, as torch and numpy write them, are read as if it were not there.
"""

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stilt.system.files import replacing

MARK = b"\nstilt-seal "
LONGEST = 4096
"""Bytes at a file's end in which its seal is looked for."""

Facts = dict[str, str]


@contextmanager
def sealing(path: Path, facts: Facts) -> Iterator[IO[bytes]]:
    """Yields a file for the content, and puts it in its place, with its seal, at the end."""
    with replacing(path) as temporary, temporary.open("w+b") as file:
        yield file
        # archives are not written from their beginning to their end
        file.seek(0)
        seal = {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), **facts}
        file.seek(0, io.SEEK_END)
        file.write(MARK + json.dumps(seal, sort_keys=True).encode() + b"\n")


def flaw(path: Path, facts: Facts) -> str | None:
    """What is wrong with a sealed file; None where it is whole and its seal has these facts.

    The whole file is read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - LONGEST))
        end = file.read()
        place = end.rfind(MARK)
        if place < 0:
            return "it has no digest: it was cut short, or an earlier version wrote it"
        try:
            seal = json.loads(end[place + len(MARK) :])
            digest = seal.pop("sha256")
        except (ValueError, AttributeError, KeyError, TypeError):
            return "its digest cannot be read"
        left = size - len(end) + place
        seen = hashlib.sha256()
        file.seek(0)
        while left and (block := file.read(min(left, 1 << 20))):
            seen.update(block)
            left -= len(block)
    if seen.hexdigest() != digest:
        return "its content does not have its digest"
    for name, value in facts.items():
        if seal.get(name) != value:
            return f"its {name} is {seal.get(name)}, not {value}"
    return None

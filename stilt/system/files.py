"""Writing files so that no reader ever sees half of one, and no writer undoes another's."""

import errno
import hashlib
import importlib.metadata
import os
import re
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from stilt.errors import ConfigError


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Lets an error of writing, such as a full disk's, name the file and the system's number.

    Raises:
        OSError: In place of a library's own exception that quotes the system's.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = error.filename or str(path)
            raise
        # so do polars and safetensors, both written in Rust, end their messages
        quoted = re.search(r"\(os error (\d+)\)", str(error))
        if quoted is None and os.statvfs(path.parent).f_bavail:
            raise
        # polars also has words of its own for a file that was cut short by a full disk
        number = int(quoted[1]) if quoted else errno.ENOSPC
        raise OSError(number, os.strerror(number), str(path)) from error


def make_folder(path: Path) -> None:
    """Makes a folder, and those above it, as new ones in the folder that is there should be."""
    missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
    for folder in reversed(missing):
        try:
            folder.mkdir()
        except FileExistsError:
            if not folder.is_dir():
                raise
            continue  # another process made it, and gave it its mode
        folder.chmod(_kept_mode(folder))


def _kept_mode(new: Path) -> int:
    """Mode of what was just made: the umask's, and the group may write where it shares the folder.

    A folder is shared where it gives its group to what is made in it (setgid) and lets it write;
    who hides new files from the group by a umask still does.
    """
    mode, folder = stat.S_IMODE(new.stat().st_mode), new.parent.stat().st_mode
    shared = folder & stat.S_ISGID and folder & stat.S_IWGRP and mode & stat.S_IRGRP
    return mode | stat.S_IWGRP if shared else mode


def open_like(folder: Path, tree: Path) -> None:
    """Gives a tree the modes of what is made in a folder: some libraries hide what they write."""
    with _beside(folder / tree.name) as (_, mode):
        for path in (tree, *tree.rglob("*")):
            # who may read a folder may enter it
            path.chmod(mode | (mode & 0o444) >> 2 if path.is_dir() else mode)


@contextmanager
def _beside(path: Path) -> Iterator[tuple[Path, int]]:
    """Yields a new file in the same folder and its mode; removes it if it is there at the end."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name[:200]}.{uuid.uuid4().hex[:12]}.part")
    # the system's own way of making one: it alone knows the umask and the folder's default rights
    temporary.open("xb").close()
    try:
        yield temporary, _kept_mode(temporary)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yields a temporary path in the same folder and moves it to ``path`` if the body succeeds.

    Args:
        path: the file that is replaced.
        durable: wait until the disk has it, so that a machine that loses its power leaves the old
            file or the new one. Not for what is worth nothing after that, such as a claim.
    """
    with _beside(path) as (temporary, mode):
        with naming(path):
            yield temporary
            if durable:
                flush_to_disk(temporary)
        # what a library put in its place may have another
        temporary.chmod(mode)
        temporary.replace(path)
        if durable:
            flush_to_disk(path.parent)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Writes a text file whole or not at all."""
    with replacing(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def create_text(path: Path, text: str, *, durable: bool = True) -> bool:
    """Creates a text file with its content, unless it exists; atomic on shared file systems too.

    Returns:
        Whether this call created it. ``os.link`` fails where the name exists, also over NFS, where
        an exclusive open is not to be trusted.
    """
    with _beside(path) as (temporary, mode):
        with naming(path):
            temporary.write_text(text, encoding="utf-8")
            if durable:
                flush_to_disk(temporary)
        temporary.chmod(mode)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        if durable:
            flush_to_disk(path.parent)
        return True


def flush_to_disk(path: Path) -> None:
    """Waits until the disk has a file's content, or a folder's names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # some file systems have no such call for folders
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            error.filename = str(path)
            raise
    finally:
        os.close(handle)


def append_line(path: Path, text: str) -> None:
    """Appends whole lines to a text file in one write, and sees them on the disk.

    A line that a full disk cut short is ended first: it must not take the next one with it.
    """
    create_text(path, "")
    # without a buffer, which would cut a long text in two
    with path.open("ab+", buffering=0) as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else f"\n{text}"
        file.write(text.encode())
        os.fsync(file.fileno())


def writable_folder(path: Path) -> Path:
    """Makes a folder and proves that files can be written in it.

    Raises:
        ConfigError: It cannot be made or written.
    """
    try:
        make_folder(path)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({error.strerror}). Choose another folder."
        ) from None


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def wheel_root(name: str) -> Path | None:
    """Folder that an installed distribution's files are relative to; None if not installed."""
    try:
        return Path(str(importlib.metadata.distribution(name).locate_file("")))
    except importlib.metadata.PackageNotFoundError:
        return None


def require_wheel(name: str, where: str) -> Path:
    """The folder of ``wheel_root``.

    Raises:
        ConfigError: The distribution is not installed; the message says so of ``where``.
    """
    root = wheel_root(name)
    if root is None:
        raise ConfigError(
            f"{where}: wheel {name!r} is not installed: pip install --no-deps {name}."
        )
    return root

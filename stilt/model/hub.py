"""A model of the Hub: the commit that a branch stands for, and whether its files are here."""

import re
from pathlib import Path

from stilt.errors import ConfigError
from stilt.grid import ModelSpec
from stilt.model.place import ModelPlace
from stilt.system.invocation import spelled

# the Hub's client takes long to import, and most commands do without it
ANSWER_SECONDS = 10.0
"""How long the Hub may take to say which commit a branch stands for."""


def silence() -> tuple[type[Exception], ...]:
    """What is raised where the Hub does not answer, or has no such model."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # errors of the network are those of its HTTP library, which has changed more than once
    http = (kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError")
    network = tuple(kind for kind in http if issubclass(kind, Exception))
    return (OSError, HfHubHTTPError, HFValidationError, *network)


def is_commit(revision: str) -> bool:
    """Whether a revision can never be another model: 40 hexadecimal digits."""
    return re.fullmatch("[0-9a-f]{40}", revision) is not None


def with_commit(spec: ModelSpec, known: ModelSpec | None) -> ModelSpec:
    """A grid's model with the commit that its branch or tag stands for.

    Args:
        spec: what the grid says; one that is no model of the Hub comes back as it is.
        known: what the study that is there was begun with: its commit stays, wherever the branch
            has gone since.

    Raises:
        ConfigError: The Hub does not say; the message has the remedy.
    """
    if not spec.hub or not spec.revision or is_commit(spec.revision):
        return spec
    if keeps(spec, known):
        assert known is not None
        return spec.model_copy(update={"revision": known.revision})
    from huggingface_hub import HfApi

    try:
        commit = HfApi().model_info(spec.hub, revision=spec.revision, timeout=ANSWER_SECONDS).sha
        why = "the Hub names no commit for it"
    except silence() as error:
        said = " ".join(str(error).split()) or type(error).__name__
        commit, why = None, f"the Hub does not say which commit that is ({said[:200]})"
    if commit is None or not is_commit(commit):
        raise ConfigError(
            f"model: 'revision' = {spec.revision!r} of {spec.hub!r} may be another model tomorrow, "
            f"and {why}; a commit (40 hexadecimal digits) is expected."
        )
    return spec.model_copy(update={"revision": commit})


def keeps(spec: ModelSpec, known: ModelSpec | None) -> str:
    """What a person is told where a branch or tag is not looked up; empty where none is meant."""
    if not spec.hub or not spec.revision or is_commit(spec.revision):
        return ""
    if known is None or known.hub != spec.hub or not known.revision:
        return ""
    return (
        f"{spec.hub}: whatever {spec.revision!r} stands for by now, this study keeps the commit "
        f"that it began with, {known.revision}. For another one, name its commit."
    )


def folder_of(place: ModelPlace) -> Path | None:
    """The folder of a model's files on this machine; None where the Hub's cache has none."""
    if place.revision is None:
        return Path(place.name)
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(place.name, "config.json", revision=place.revision)
    return Path(found).parent if isinstance(found, str) else None


def require_here(place: ModelPlace) -> None:
    """Makes sure that a model's files are on this machine: workers fetch nothing.

    Raises:
        ConfigError: A model of the Hub is not in its cache.
    """
    if folder_of(place) is None:
        raise ConfigError(
            f"model: {place.name}@{place.revision} is not in the Hub's cache of this machine. "
            f"Stage it first, where the Hub answers: {spelled('stage')} with the same --grid."
        )

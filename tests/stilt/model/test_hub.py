"""A model of the Hub: its branch becomes a commit, once, and its files must be here."""

from types import SimpleNamespace

import pytest

from stilt.errors import ConfigError
from stilt.grid import ModelSpec
from stilt.model import hub
from stilt.model.hub import keeps, require_here, with_commit
from stilt.model.place import ModelPlace

COMMIT, OTHER = "a" * 40, "b" * 40
MAIN = ModelSpec(hub="org/encoder", revision="main", parameters=7)


@pytest.fixture
def answer(monkeypatch):
    """What the Hub is asked for, and what it answers: a commit, or an error."""
    asked = []

    def answering(what):
        def model_info(self, repo, *, revision, timeout):
            asked.append((repo, revision))
            if isinstance(what, Exception):
                raise what
            return SimpleNamespace(sha=what)

        monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
        return asked

    return answering


def test_a_branch_becomes_the_commit_that_it_stands_for(answer):
    asked = answer(COMMIT)
    assert with_commit(MAIN, None) == MAIN.model_copy(update={"revision": COMMIT})
    assert asked == [("org/encoder", "main")]


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec(hub="org/encoder", revision=COMMIT),
        ModelSpec(hub="org/encoder"),
        ModelSpec(path="folder"),
    ],
)
def test_what_names_no_branch_is_left_as_it_is(answer, spec):
    asked = answer(OTHER)
    assert with_commit(spec, None) is spec
    assert asked == []


def test_a_study_keeps_the_commit_that_it_began_with_wherever_the_branch_went(answer):
    asked = answer(OTHER)
    known = ModelSpec(hub="org/encoder", revision=COMMIT)
    assert with_commit(MAIN, known).revision == COMMIT
    assert asked == []
    assert keeps(MAIN, known) == (
        f"org/encoder: whatever 'main' stands for by now, this study keeps the commit that it "
        f"began with, {COMMIT}. For another one, name its commit."
    )
    assert keeps(known, known) == keeps(MAIN, None) == ""
    another = ModelSpec(hub="org/another", revision=COMMIT)
    assert keeps(MAIN, another) == ""
    assert with_commit(MAIN, another).revision == OTHER


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (ConnectionError("cannot\nreach it"), r"does not say which commit that is \(cannot reach"),
        (hub.silence()[-1]("no network"), r"does not say which commit that is \(no network"),
        (None, "the Hub names no commit for it"),
    ],
)
def test_a_branch_that_nobody_resolves_is_refused(answer, what, said):
    answer(what)
    with pytest.raises(ConfigError, match=said) as caught:
        with_commit(MAIN, None)
    assert "model: 'revision' = 'main' of 'org/encoder' may be another model" in str(caught.value)
    assert "a commit (40 hexadecimal digits) is expected" in str(caught.value)


def test_a_model_that_is_not_in_the_cache_is_to_be_staged_first(monkeypatch):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: None)
    with pytest.raises(ConfigError, match=r"is not in the Hub's cache .* launcher/stage\.py"):
        require_here(ModelPlace("org/encoder", COMMIT))
    require_here(ModelPlace("a/folder"))
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda *_, **__: "/cache/config.json"
    )
    require_here(ModelPlace("org/encoder", COMMIT))

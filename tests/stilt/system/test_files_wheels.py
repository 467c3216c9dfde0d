"""Where an installed distribution's files are."""

import importlib.util
from pathlib import Path

import pytest

from stilt.system.files import wheel_root


def test_an_installed_distribution_is_found_under_any_spelling_of_its_name():
    spec = importlib.util.find_spec("huggingface_hub")
    assert spec is not None and spec.origin is not None
    for name in ("huggingface-hub", "huggingface_hub", "HuggingFace.Hub"):
        assert wheel_root(name) == Path(spec.origin).parent.parent


@pytest.mark.parametrize("name", ["no-such-wheel", "json"])
def test_what_is_no_installed_distribution_has_no_place(name):
    assert wheel_root(name) is None

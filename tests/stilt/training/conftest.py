"""The model and the device of the tests of training."""

import pytest
from accelerate.state import AcceleratorState

from stilt.model.build import StartModels
from stilt.model.place import ModelPlace
from stilt.training.runtime import Runtime, make_accelerator


@pytest.fixture(scope="module")
def models(roberta):
    return StartModels(ModelPlace(str(roberta)))


@pytest.fixture
def runtime():
    return Runtime(make_accelerator("cpu"))


@pytest.fixture
def fast():
    """The accelerator of the recipe ``fast``; a process has one precision at a time."""
    AcceleratorState._reset_state()
    yield make_accelerator("cpu", "fast")
    AcceleratorState._reset_state()
    make_accelerator("cpu")

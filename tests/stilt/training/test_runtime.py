"""What is refused because the machine cannot compute it."""

import pytest

from stilt.errors import ConfigError
from stilt.training import runtime
from stilt.training.runtime import make_accelerator


def test_the_fast_recipe_is_refused_where_the_gpu_lacks_it(monkeypatch):
    monkeypatch.setattr(runtime, "is_bf16_available", lambda: False)
    with pytest.raises(ConfigError, match=r"recipe 'fast' computes in bfloat16, which .+ lacks"):
        make_accelerator("auto", "fast")

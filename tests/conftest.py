"""What several tests share: a tiny encoder, a user's own study, made-up commands, real data.

And which tests run: those marked nightly only where -m names the mark.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import slurm_cluster
from tests.support.fake_commands import Commands
from tests.support.own_study import make_own_study

# how long an example takes says more of the machine than of the code
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def pytest_collection_modifyitems(config, items):
    """Leaves out what is marked nightly, unless ``-m`` names the mark; puts slow files first.

    A file that is begun last keeps one worker waiting for the other, so that should be a short one.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    if "nightly" in config.option.markexpr:
        return
    nightly = [item for item in items if item.get_closest_marker("nightly")]
    config.hook.pytest_deselected(items=nightly)
    items[:] = [item for item in items if item not in set(nightly)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Keeps every test out of the user's cache and of her task and grid folders."""
    monkeypatch.setenv("STILT_CACHE", str(tmp_path_factory.mktemp("cache")))
    # nor may the width of a terminal decide where lines break
    for name in ("STILT_TASKS", "STILT_GRIDS", "STILT_LOG_FILE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _model_not_tried(request, monkeypatch):
    """Spares each submit the process that tries its model, where a test is not about that."""
    if not request.node.get_closest_marker("tries_model"):
        monkeypatch.setattr("launcher.submission.require_tried", lambda *known: None)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets."""
    name = os.environ.get("STILT_DATA_DIR")
    if not name:
        pytest.skip("STILT_DATA_DIR names no folder of real data sets")
    return Path(name)


@pytest.fixture(scope="session")
def roberta(tmp_path_factory) -> Path:
    """A tiny random RoBERTa: ids 0..4 are <s>, <pad>, </s>, <unk>, <mask>, as in the real one."""
    from tests.support.tiny_encoder import save_tiny_roberta, trained_tokenizer

    return save_tiny_roberta(tmp_path_factory.mktemp("roberta"), trained_tokenizer())


@pytest.fixture
def commands(tmp_path, monkeypatch) -> Commands:
    """A PATH on which there is nothing but what the test makes."""
    return Commands(tmp_path / "fake", monkeypatch)


@pytest.fixture
def own_study(tmp_path) -> Path:
    """A user's own folder, see ``make_own_study``."""
    return make_own_study(tmp_path)


@pytest.fixture(scope="module")
def cluster():
    """A throw-away SLURM of two nodes, in which arrays have at most 10 elements."""
    try:
        with slurm_cluster.cluster(slurm_cluster.Settings(max_array_size=10)):
            yield
    except slurm_cluster.ClusterError as error:
        if "Not installed" in str(error):
            pytest.skip(str(error))
        raise

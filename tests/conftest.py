"""What several tests share: a tiny encoder, a study of the user's own, real data if present."""

import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.own_study import WORDS, make_own_study

# how long an example takes says more of the machine than of the code
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Keeps every test out of the user's cache and of her task and grid folders."""
    monkeypatch.setenv("STILT_CACHE", str(tmp_path_factory.mktemp("cache")))
    for name in ("STILT_TASKS", "STILT_GRIDS", "STILT_LOG_FILE"):
        monkeypatch.delenv(name, raising=False)


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
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaForMaskedLM, RobertaTokenizer

    folder = tmp_path_factory.mktemp("roberta")
    bpe = ByteLevelBPETokenizer()
    text = [" ".join(random.Random(i).choices(WORDS, k=12)) for i in range(200)]
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe.train_from_iterator(text, vocab_size=400, special_tokens=special, show_progress=False)
    bpe.save_model(str(folder))
    vocab = json.loads((folder / "vocab.json").read_text())
    lines = (folder / "merges.txt").read_text().splitlines()
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    tokenizer = RobertaTokenizer(vocab=vocab, merges=merges, model_max_length=512)
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(vocab),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=130,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    RobertaForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def own_study(tmp_path) -> Path:
    """A user's own folder, see ``make_own_study``."""
    return make_own_study(tmp_path)

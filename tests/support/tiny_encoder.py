"""A RoBERTa small enough for tests: its architecture and special tokens, random weights.

Ids 0 to 4 are <s>, <pad>, </s>, <unk>, <mask>, as in the real one.
"""

import json
import tempfile
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import RobertaConfig, RobertaForMaskedLM, RobertaTokenizer

from tests.support.sentences import WORDS, sentence

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def save_tiny_roberta(folder: Path, tokenizer: RobertaTokenizer, layers: int = 2) -> Path:
    """Saves a model of 128 positions for a tokenizer, and the tokenizer."""
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=layers,
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


def trained_tokenizer() -> RobertaTokenizer:
    """A byte-level vocabulary of at most 400 pieces, learnt from made-up sentences."""
    bpe = ByteLevelBPETokenizer()
    text = [sentence(seed, 12) for seed in range(200)]
    bpe.train_from_iterator(text, vocab_size=400, special_tokens=[*SPECIAL], show_progress=False)
    with tempfile.TemporaryDirectory() as folder:
        bpe.save_model(folder)
        vocab = json.loads((Path(folder) / "vocab.json").read_text())
        lines = (Path(folder) / "merges.txt").read_text().splitlines()
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    return RobertaTokenizer(vocab=vocab, merges=merges, model_max_length=512)


def letter_tokenizer() -> RobertaTokenizer:
    """A vocabulary of letters: sequences are long, so that a run takes a while."""
    pieces = [*SPECIAL, "Ġ", *sorted({letter for word in WORDS for letter in word})]
    vocab = {piece: index for index, piece in enumerate(pieces)}
    return RobertaTokenizer(vocab=vocab, merges=[], model_max_length=512)

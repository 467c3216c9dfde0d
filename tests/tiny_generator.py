"""A causal language model small enough for tests: GPT-2's architecture, random weights."""

import json
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

END = "<|endoftext|>"
WORDS = (
    "the city of stone was built by people who came from far away and stayed for many years "
    "because rivers there are wide, fields are green and the old harbour never freezes in winter"
).split()


def prose(sentences: int, words: int = 24, start: int = 0) -> str:
    """Made-up sentences, no two alike, that ``". "`` separates."""
    made = []
    for number in range(start, start + sentences):
        picked = [WORDS[(number * 7 + i * (1 + number % 5)) % len(WORDS)] for i in range(words - 1)]
        made.append(" ".join([f"S{number}", *picked]))
    return ". ".join(made) + "."


def save_tiny_gpt2(folder: Path, *, positions: int = 96) -> Path:
    """Saves a model whose next-token distributions are neither flat nor certain."""
    folder.mkdir(parents=True, exist_ok=True)
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator([prose(200)], vocab_size=320, special_tokens=[END])
    trained.save_model(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text())
    lines = (folder / "merges.txt").read_text().splitlines()
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    GPT2Tokenizer(vocab=vocabulary, merges=merges).save_pretrained(folder)
    config = GPT2Config(
        vocab_size=len(vocabulary),
        n_positions=positions,
        n_embd=16,
        n_layer=2,
        n_head=2,
        bos_token_id=vocabulary[END],
        eos_token_id=vocabulary[END],
        initializer_range=0.6,
    )
    torch.manual_seed(0)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder

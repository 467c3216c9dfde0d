"""A small study of a user's own for the throw-away cluster: model, data and grid, all made here."""

import json
import random
from pathlib import Path

import torch
from transformers import RobertaConfig, RobertaForMaskedLM, RobertaTokenizer

WORDS = "the a cat dog sat ran on under mat house big small red blue and then it was very".split()


def make_model(folder: Path) -> Path:
    """A random RoBERTa with a vocabulary of whole words and letters."""
    letters = sorted({letter for word in WORDS for letter in word})
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "Ġ", *letters]
    tokenizer = RobertaTokenizer(
        vocab={piece: index for index, piece in enumerate(pieces)}, merges=[], model_max_length=512
    )
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(pieces),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=130,
        type_vocab_size=1,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    RobertaForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_study(
    folder: Path,
    *,
    sources: int = 3,
    targets: int = 2,
    seeds: int = 3,
    rows: int = 24,
    epochs: int = 1,
) -> Path:
    """Writes task files, rows and a grid of (sources + 1) x targets x 2 x seeds cells.

    Args:
        folder: where to; ``model`` in it is the model, ``data`` the rows.
        sources: intermediate tasks.
        targets: target tasks.
        seeds: training seeds of each point.
        rows: training rows of each task.
        epochs: epochs of the targets.

    Returns:
        The grid's file.
    """
    make_model(folder / "model")
    for number in range(sources):
        _write_rows(folder / f"data/hard{number}", rows, number)
        (folder / f"hard{number}.toml").write_text(
            'kind = "multiple-choice"\ntext_a = "{a}"\nlabels = ["0", "1"]\n'
            'choices = ["{b}", "{c}"]\nepochs = 1\n'
            # tasks that differ in nothing but their rows would be one and the same
            f"max_length = {100 + number}\n"
            f'[[data]]\ntrain = "hard{number}/train.jsonl"\ndev = "hard{number}/dev.jsonl"\n'
        )
    for number in range(targets):
        _write_rows(folder / f"data/easy{number}", rows, 100 + number)
        (folder / f"easy{number}.toml").write_text(
            'kind = "classification"\ntext_a = "{a}"\ntext_b = "{b}"\nlabels = ["0", "1"]\n'
            f"max_length = {100 + number}\nepochs = {epochs}\n"
            f'[[data]]\ntrain = "easy{number}/train.jsonl"\ndev = "easy{number}/dev.jsonl"\n'
        )
    names = ["none", *(f"hard{number}" for number in range(sources))]
    grid = folder / "own.toml"
    grid.write_text(
        f"sources = {json.dumps(names)}\n"
        f"targets = {json.dumps([f'easy{number}' for number in range(targets)])}\n"
        "learning_rate = [1e-3]\nbatch_size = [8]\nwarmup_ratio = [0.0, 0.2]\n"
        f"seed = {list(range(1, seeds + 1))}\n"
        f'[model]\npath = "{folder / "model"}"\n[source]\nlearning_rate = 1e-3\n'
    )
    return grid


def _write_rows(folder: Path, count: int, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    generator = random.Random(seed)
    for split, number in (("train", count), ("dev", 12)):
        rows = [
            {name: " ".join(generator.choices(WORDS, k=generator.randint(3, 8))) for name in "abc"}
            | {"label": str(index % 2)}
            for index in range(number)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(text)

"""RoBERTa's tokenizer with one token for each letter, so that token ids can be told by hand."""

import json
from pathlib import Path

BOS, PAD, EOS, UNKNOWN, MASK = range(5)
CHARACTERS = "abcdefghijklmnopqrstuvwxyzĠABCDEFGHIJKLMNOPQRSTUVWXYZ.,?'_"
"""One token each; "Ġ" is how a byte-level vocabulary writes a leading space."""


def ids(text: str) -> list[int]:
    """Token ids of plain text, by hand: one for each character."""
    return [5 + CHARACTERS.index("Ġ" if letter == " " else letter) for letter in text]


def load_letters(folder: Path):
    """RoBERTa's tokenizer class with that vocabulary, saved and loaded as a run loads it."""
    from transformers import AutoTokenizer

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    vocabulary = {token: i for i, token in enumerate([*special, *CHARACTERS])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "config.json").write_text(json.dumps({"model_type": "roberta"}))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "RobertaTokenizer", "model_max_length": 512})
    )
    return AutoTokenizer.from_pretrained(str(folder))

"""A small text, a tiny generator, and the rows that come of them."""

import json

from jobs.synthesize import synthesize
from stilt.grid import Synthesis
from tests.support.tiny_generator import prose, save_tiny_gpt2


def make_text(folder):
    """A text of 30 documents and a tiny generator."""
    rows = [{"title": str(n), "text": prose(4, start=4 * n)} for n in range(30)]
    (folder / "text.json").write_text(json.dumps(rows))
    save_tiny_gpt2(folder / "gpt2")
    return folder


def spec(study, **changes):
    table = {
        "text": str(study / "text.json"),
        "generator": {"path": str(study / "gpt2")},
        "sentences": 20,
        "dev_sentences": 4,
    }
    return Synthesis.model_validate(table | changes)


def made(study, folder, **options):
    changes = options.pop("changes", {})
    synthesize(spec(study, **changes), folder, **options)
    return {name: (folder / name).read_bytes() for name in ("train.jsonl", "dev.jsonl")}

"""SynthesisGPT2 without the language model: sentences chosen and halved, rows made.

Source: paper, section 3 and appendix A.1; where they are silent, the authors' released script.
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from stilt.config import Frozen
from stilt.errors import DataError
from stilt.grid import Synthesis
from stilt.synthesis.text import Passage

FEWEST_WORDS, MOST_WORDS = 20, 30
"""A shorter sentence is left out, a longer one is cut (released script)."""
FAKES = 3


@dataclass(frozen=True, slots=True)
class Halves:
    """A real sentence cut in two."""

    document: int
    premise: str
    gold: str
    cut: bool
    """Whether the sentence was longer than ``MOST_WORDS``."""


def halve(sentence: str, document: int = 0) -> Halves | None:
    """Cuts a sentence in the middle; None if it is too short.

    The last word is dropped always, as the authors' code does: gold endings never end a sentence,
    and neither do most endings that are sampled up to a length limit.
    """
    words = sentence.split()
    kept = words[:MOST_WORDS]
    if len(kept) < FEWEST_WORDS:
        return None
    middle = len(kept) // 2
    return Halves(
        document, " ".join(kept[:middle]), " ".join(kept[middle:-1]), len(words) > MOST_WORDS
    )


def halved(passages: Iterable[Passage]) -> list[Halves]:
    """Every usable sentence of a text, in order; sentences are what ``". "`` separates."""
    pieces = ((p.document, piece) for p in passages for piece in p.text.split(". "))
    return [halves for document, piece in pieces if (halves := halve(piece, document))]


class Pools(NamedTuple):
    """Sentences to draw from, each list in the order in which it is used."""

    train: list[Halves]
    dev: list[Halves]


def pools(sentences: Sequence[Halves], spec: Synthesis) -> Pools:
    """Shuffles sentences and sets whole documents aside for dev.

    No document, and no sentence, is in both pools. Dev gets its share of the sentences, so that
    either pool has a reserve where rows are filtered.

    Raises:
        DataError: The text is too small.
    """
    counts = Counter(halves.document for halves in sentences)
    wanted = spec.sentences + spec.dev_sentences
    share = max(spec.dev_sentences, len(sentences) * spec.dev_sentences // wanted)
    documents = sorted(counts)
    random.Random(f"{spec.seed} dev documents").shuffle(documents)
    aside: set[int] = set()
    size = 0
    for document in documents:
        if size >= share:
            break
        aside.add(document)
        size += counts[document]
    train = [halves for halves in sentences if halves.document not in aside]
    trained_on = {(halves.premise, halves.gold) for halves in train}
    dev = [
        halves
        for halves in sentences
        if halves.document in aside and (halves.premise, halves.gold) not in trained_on
    ]
    if len(train) < spec.sentences or len(dev) < spec.dev_sentences:
        raise DataError(
            f"synthesis: the text {spec.text!r} has {len(sentences)} sentences of "
            f"{FEWEST_WORDS} words or more in {len(counts)} documents, which give {len(train)} for "
            f"train and {len(dev)} for dev; 'sentences' = {spec.sentences} and 'dev_sentences' = "
            f"{spec.dev_sentences} are asked for."
        )
    random.Random(spec.seed).shuffle(train)
    random.Random(spec.seed).shuffle(dev)
    return Pools(train, dev)


class Drawn(Frozen):
    """A row with what is known of how it came about; one line of a part file."""

    ctx: str
    endings: tuple[str, str, str, str]
    """The real ending, then the sampled ones."""
    premise_tokens: int
    gold_tokens: int
    """Also the most tokens that a sampled ending may have."""
    fake_tokens: tuple[int, int, int]
    stopped: tuple[bool, bool, bool]
    """Whether the model itself ended each sampled text; else the length limit cut it."""
    cut: bool
    """Whether the real sentence was cut at ``MOST_WORDS``."""

    def row(self) -> dict[str, Any]:
        """The row as the task reads it; the real ending is always the first."""
        return {"ctx": self.ctx, "label": 0, "endings": list(self.endings)}

    @property
    def empty(self) -> int:
        """Sampled endings without any text."""
        return sum(not fake for fake in self.endings[1:])

    @property
    def repeated(self) -> int:
        """Sampled endings equal to an earlier sampled one of the row."""
        return FAKES - len(set(self.endings[1:]))

    @property
    def gold_identical(self) -> int:
        """Sampled endings equal to the real one."""
        return self.endings[1:].count(self.endings[0])

    @property
    def flawed(self) -> bool:
        """Whether option ``filter`` drops the row."""
        return bool(self.empty or self.repeated or self.gold_identical)

"""A task's rendered examples: their digests, and how large they are."""

import hashlib
import json
from collections.abc import Container
from dataclasses import dataclass

from stilt.data.oddities import Oddity
from stilt.data.render import Example
from stilt.task import Size, Task


@dataclass(frozen=True)
class Splits:
    """A task's rendered examples and where they came from."""

    train: list[Example]
    dev: list[Example]
    where: str
    odd: tuple[Oddity, ...] = ()
    """What is odd in them and may be meant."""
    files: tuple[str, str] = ("", "")
    """What messages call the files of both."""
    text: str = ""
    """Which of the task's texts they are, where it tells of several."""
    cut: str = ""
    """How one file was cut into both splits, for people; empty where it was not."""

    def known_by(self, digests: Container[str]) -> bool:
        """Whether digests hold that of these rows, or that of their dev part."""
        return self.digest() in digests or self.parts[1][1] in digests

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """The file of train and that of dev, each with a digest of its examples in use."""
        return tuple(
            (name, _digest_of(split))
            for name, split in zip(self.files, (self.train, self.dev), strict=True)
        )

    @property
    def gold(self) -> list[float]:
        """Classes of the dev examples, or their numbers in regression."""
        return [example.label for example in self.dev]

    def digest(self) -> str:
        """SHA-256 of all examples in order: equal rows are equal data, wherever they came from."""
        seen = hashlib.sha256()
        for split in (self.train, self.dev):
            for example in split:
                seen.update(json.dumps(example, ensure_ascii=True).encode())
            seen.update(b"--")
        return seen.hexdigest()[:16]


def _digest_of(split: list[Example]) -> str:
    """Short digest of a split's examples in order."""
    seen = hashlib.sha256()
    for example in split:
        seen.update(json.dumps(example, ensure_ascii=True).encode())
    return seen.hexdigest()[:16]


def measure(task: Task, splits: Splits) -> Size:
    """Rows of both splits and a guess of the mean tokens of a sequence, for estimates of cost.

    The guess is 1.2 tokens a word and three special tokens: enough to pack bundles by.
    """
    some = splits.train[:: max(1, len(splits.train) // 500)]
    guesses = [words_of(pair) for e in some for pair in e.pairs]
    tokens = min(task.max_length, sum(guesses) / len(guesses))
    return Size(train=len(splits.train), dev=len(splits.dev), tokens=tokens)


def words_of(pair: tuple[str, str | None]) -> float:
    """A guess of the tokens of a sequence, by its words."""
    return 1.2 * sum(len((part or "").split()) for part in pair) + 3

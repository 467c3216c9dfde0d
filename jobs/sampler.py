"""Draws the rows of SynthesisGPT2 batch by batch; a finished batch is a file, so work is kept."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from stilt.cell import digest
from stilt.errors import DataError
from stilt.grid import Synthesis
from stilt.synthesis import generate
from stilt.synthesis.generate import LanguageModel, Prompt
from stilt.synthesis.halves import FAKES, Drawn, Halves
from stilt.system.files import write_text

Split = Literal["train", "dev"]
SPLITS: tuple[Split, ...] = ("train", "dev")
OnRows = Callable[[int, int], None]
"""Is told how many rows of how many are there."""


@dataclass
class Sampler:
    """Draws rows batch by batch and keeps each finished batch in a file of its own."""

    lm: LanguageModel
    spec: Synthesis
    parts: Path
    batch: int
    progress: OnRows
    done: int = field(default=0, init=False)
    """Rows of the splits before this one."""

    def rows(
        self, split: Split, pool: Sequence[Halves], wanted: int
    ) -> tuple[list[Drawn], int, int]:
        """Draws rows for a pool's first sentences, and for later ones where rows are dropped.

        Returns:
            The rows in the pool's order, and how many sentences before the last of them gave none:
            dropped by the filter, and too long for the generator.

        Raises:
            DataError: The pool is used up.
        """
        found: dict[int, Drawn | None] = {}
        total = self.spec.sentences + self.spec.dev_sentences
        while (missing := wanted - sum(map(self._keeps, found.values()))) > 0:
            # what replaces dropped rows fills a batch: as quick as one row, and often enough
            more = missing if not found else max(missing, self.batch)
            indices = range(len(found), min(len(found) + more, len(pool)))
            if not indices:
                unfit = sum(row is None for row in found.values())
                dropped = len(pool) - unfit - (wanted - missing)
                raise DataError(
                    f"synthesis: {len(pool)} sentences of the text {self.spec.text!r} give "
                    f"{wanted - missing} rows for {split}, {wanted} are asked for: the filter "
                    f"dropped {dropped}, the generator cannot hold {unfit}. Ask for fewer, or take "
                    "a larger text."
                )
            prompts = [self._prompt(index, pool[index]) for index in indices]
            found |= dict.fromkeys(indices)
            for batch in generate.batches([prompt for prompt in prompts if prompt], self.batch):
                rows = self._rows(split, batch, pool)
                found |= rows
                missing = max(0, missing - sum(map(self._keeps, rows.values())))
                self.progress(self.done + wanted - missing, total)
        self.done += wanted
        kept: list[Drawn] = []
        others: list[Drawn | None] = []
        for _, row in sorted(found.items()):
            if len(kept) == wanted:
                break
            if row is not None and self._keeps(row):
                kept.append(row)
            else:
                others.append(row)
        return kept, len(others) - others.count(None), others.count(None)

    def _keeps(self, row: Drawn | None) -> bool:
        return row is not None and not (self.spec.filter and row.flawed)

    def _prompt(self, index: int, halves: Halves) -> Prompt | None:
        prompt = self.lm.prompt(index, halves.premise, halves.gold)
        positions = self.lm.positions
        fits = positions is None or len(prompt.ids) + prompt.limit <= positions
        # a tokenizer may drop characters, such as those without width, and leave nothing
        return prompt if fits and prompt.ids else None

    def _rows(
        self, split: Split, batch: Sequence[Prompt], pool: Sequence[Halves]
    ) -> dict[int, Drawn]:
        """One batch's rows by index: read back if an earlier run finished it."""
        path = self.parts / f"{split}-{digest([prompt.index for prompt in batch])}.jsonl"
        rows = _read(path)
        if len(rows) != len(batch):
            rows = list(self._draw(split, batch, pool))
            write_text(path, "".join(row.model_dump_json() + "\n" for row in rows))
        return {prompt.index: row for prompt, row in zip(batch, rows, strict=True)}

    def _draw(
        self, split: Split, batch: Sequence[Prompt], pool: Sequence[Halves]
    ) -> Iterator[Drawn]:
        lm, seed = self.lm, self.spec.seed
        side = SPLITS.index(split)
        random = [generate.streams(seed, side, prompt.index, count=FAKES) for prompt in batch]
        written = generate.continuations(lm, batch, random, self.spec.top_p)
        for prompt, (a, b, c) in zip(batch, written, strict=True):
            halves = pool[prompt.index]
            fakes = (lm.ending(prompt, x) for x in (a, b, c))
            yield Drawn.model_validate(
                {
                    "ctx": lm.decode(prompt.ids),
                    "endings": (lm.decode(lm.encode(halves.gold)), *fakes),
                    "premise_tokens": len(prompt.ids),
                    "gold_tokens": prompt.limit,
                    "fake_tokens": [len(x.ids) for x in (a, b, c)],
                    "stopped": [x.stopped for x in (a, b, c)],
                    "cut": halves.cut,
                }
            )


def _read(path: Path) -> list[Drawn]:
    """Rows of a part file; none where it is absent or damaged, so that it is made again."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        return [Drawn.model_validate_json(line) for line in lines]
    except (FileNotFoundError, UnicodeDecodeError, ValidationError):
        return []

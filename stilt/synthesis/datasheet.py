"""What a SynthesisGPT2 file holds, counted, and written for reading beside it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Literal

from pydantic import ValidationError

from stilt.config import Frozen, explain
from stilt.errors import ResultError
from stilt.grid import Synthesis
from stilt.synthesis.halves import Drawn
from stilt.system.files import file_digest

ROWS = ("train.jsonl", "dev.jsonl")
"""Files of the rows, in the order in which they are written."""


class Lengths(Frozen):
    """How long one kind of text is."""

    mean: float
    least: int
    most: int
    histogram: dict[int, int]
    """Length -> how many."""


class Part(Frozen):
    """What train.jsonl or dev.jsonl holds."""

    rows: int
    sha256: str
    dropped: int
    """Rows drawn and left out by option ``filter``."""
    too_long: int
    """Sentences left out: longer than the generator's positions, or without a token of it."""
    empty: int
    repeated: int
    gold_identical: int
    flawed_rows: int
    """Rows with an ending of any of the last three kinds."""
    fakes_cut_by_length: float
    """Share of sampled endings that the length limit cut off; the others the model ended itself."""
    gold_cut_by_length: float
    """Share of real sentences longer than the limit of words."""
    fakes_with_sentence_end: float
    """Share with ``. `` inside: a real ending has it only where another kind of space was."""
    fakes_with_line_break: float
    """Share with a line break inside, which no real ending can have."""
    fakes_with_broken_character: float
    """Share with U+FFFD: the limit fell inside a character of several tokens."""
    fakes_shorter: float
    """Share with fewer tokens than the real ending."""
    tokens: dict[Literal["premise", "gold", "fakes"], Lengths]
    """Lengths in the generator's tokens."""
    words: dict[Literal["premise", "gold", "fakes"], Lengths]


class TextSource(Frozen):
    """Where the sentences came from."""

    name: str
    sha256: str
    licence: str
    passages: int
    documents: int
    sentences: int
    """Usable ones."""


class Datasheet(Frozen):
    """What was generated, from what, by what; written beside the rows, last."""

    schema_version: Literal[1] = 1
    spec: Synthesis
    text: TextSource
    generator: str
    """Identity: Hub id and revision, or digest of its files."""
    versions: dict[str, str]
    device: str
    batch: int | None = None
    """Prompts drawn together, by which sums are rounded; not noted by earlier versions."""
    train: Part
    dev: Part


def whole_rows(spec: Synthesis, folder: Path) -> Datasheet | None:
    """The datasheet of a folder that holds the whole rows of a synthesis; None where it does not.

    Raises:
        ResultError: It holds others, or files that are not those of its datasheet.
    """
    path = folder / "datasheet.json"
    try:
        sheet = Datasheet.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        # the datasheet is written before any rows: these are somebody's own
        for name in ROWS:
            if (folder / name).exists():
                raise ResultError(
                    f"{folder / name}: is there, and no datasheet.json says that it was generated. "
                    "Choose another folder."
                ) from None
        return None
    except UnicodeDecodeError as error:
        raise ResultError(f"{path}: cannot be read ({error}).") from None
    except ValidationError as error:
        raise ResultError(f"{path}: {explain(Datasheet, error)[:400]}") from None
    there, asked = sheet.spec.identity(), spec.identity()
    if there != asked:
        changed = [
            f"{key} {there[key]!r}, not {asked[key]!r}" for key in asked if there[key] != asked[key]
        ]
        raise ResultError(
            f"{folder}: holds rows generated with {'; '.join(changed)}. Choose another folder."
        )
    if not all((folder / name).is_file() for name in ROWS):
        return None
    for name, made in zip(ROWS, (sheet.train, sheet.dev), strict=True):
        file = folder / name
        if file_digest(file) != made.sha256:
            raise ResultError(f"{file}: not the file that {path.name} describes. Remove {folder}.")
    return sheet


def lengths(values: Sequence[int]) -> Lengths:
    """Summarises lengths; there is at least one."""
    return Lengths(
        mean=round(fmean(values), 3),
        least=min(values),
        most=max(values),
        histogram=dict(sorted(Counter(values).items())),
    )


def part(rows: Sequence[Drawn], *, sha256: str, dropped: int, too_long: int) -> Part:
    """Counts what a finished file holds."""
    fakes = [fake for row in rows for fake in row.endings[1:]]
    sizes = [(size, row.gold_tokens) for row in rows for size in row.fake_tokens]
    return Part(
        rows=len(rows),
        sha256=sha256,
        dropped=dropped,
        too_long=too_long,
        empty=sum(row.empty for row in rows),
        repeated=sum(row.repeated for row in rows),
        gold_identical=sum(row.gold_identical for row in rows),
        flawed_rows=sum(row.flawed for row in rows),
        fakes_cut_by_length=_share(not ended for row in rows for ended in row.stopped),
        gold_cut_by_length=_share(row.cut for row in rows),
        fakes_with_sentence_end=_share(". " in fake for fake in fakes),
        fakes_with_line_break=_share("\n" in fake for fake in fakes),
        fakes_with_broken_character=_share("\ufffd" in fake for fake in fakes),
        fakes_shorter=_share(size < gold for size, gold in sizes),
        tokens={
            "premise": lengths([row.premise_tokens for row in rows]),
            "gold": lengths([row.gold_tokens for row in rows]),
            "fakes": lengths([size for size, _ in sizes]),
        },
        words={
            "premise": lengths([len(row.ctx.split()) for row in rows]),
            "gold": lengths([len(row.endings[0].split()) for row in rows]),
            "fakes": lengths([len(fake.split()) for fake in fakes]),
        },
    )


def _share(facts: Iterable[bool]) -> float:
    values = list(facts)
    return round(sum(values) / len(values), 4)


def markdown(sheet: Datasheet) -> str:
    """The datasheet for reading."""
    spec, text = sheet.spec, sheet.text
    lines = [
        "# SynthesisGPT2 datasheet",
        "",
        "Real sentences halved; `endings[0]` is the real second half, the other three were sampled "
        "by a language model.",
        "",
        f"- Text: {text.name} ({text.passages} passages of {text.documents} documents, "
        f"{text.sentences} usable sentences; sha256 {text.sha256})",
        f"- Licence of the text: {text.licence}",
        f"- Generator: {spec.generator.name}{f' ({spec.gguf})' if spec.gguf else ''} "
        f"({sheet.generator})",
        f"- Sampling: nucleus p = {spec.top_p}, temperature 1, no top-k; seed {spec.seed}; rows "
        f"with flawed endings {'dropped' if spec.filter else 'kept'}",
        f"- Made on {sheet.device} with "
        + ", ".join(f"{name} {version}" for name, version in sheet.versions.items()),
        "",
        "| | train | dev |",
        "|---|---|---|",
    ]
    for label, field in _LINES:
        values = (_shown(getattr(split, field)) for split in (sheet.train, sheet.dev))
        lines.append(f"| {label} | {' | '.join(values)} |")
    for unit in ("tokens", "words"):
        for kind in ("premise", "gold", "fakes"):
            found = (getattr(split, unit)[kind] for split in (sheet.train, sheet.dev))
            cells = (f"{each.mean:.1f} ({each.least}-{each.most})" for each in found)
            lines.append(f"| {unit} of {kind}, mean (range) | {' | '.join(cells)} |")
    gold, fakes = (sheet.train.tokens[kind].histogram for kind in ("gold", "fakes"))
    lines += ["", "## Tokens of endings", ""]
    lines += ["| tokens | gold (train) | fakes (train) |", "|---|---|---|"]
    for size in sorted(gold | fakes):
        lines.append(f"| {size} | {gold.get(size, 0)} | {fakes.get(size, 0)} |")
    return "\n".join(lines) + "\n"


_LINES = (
    ("rows", "rows"),
    ("sha256", "sha256"),
    ("rows dropped by the filter", "dropped"),
    ("sentences that the generator cannot hold", "too_long"),
    ("empty fakes", "empty"),
    ("repeated fakes", "repeated"),
    ("fakes equal to gold", "gold_identical"),
    ("rows with any of these", "flawed_rows"),
    ("fakes cut off by the length limit", "fakes_cut_by_length"),
    ("real sentences cut at 30 words", "gold_cut_by_length"),
    ("fakes with a sentence end inside", "fakes_with_sentence_end"),
    ("fakes with a line break inside", "fakes_with_line_break"),
    ("fakes with a broken character", "fakes_with_broken_character"),
    ("fakes shorter than gold", "fakes_shorter"),
)


def _shown(value: float | int | str) -> str:
    return f"{value:.1%}" if isinstance(value, float) else str(value)

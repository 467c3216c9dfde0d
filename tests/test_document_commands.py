"""Every command in README and pages is one: parsed by the program, and run where it can be."""

import functools
import re
import shlex
import shutil
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest
import tyro

from tests.support.fake_study import TINY, make_study
from tests.support.json_lines import write_jsonl
from tests.test_architecture import COMMANDS, ROOT, SETUP
from tests.test_documents import PAGES

BLOCK = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(
    r"`((?:python [^\s`]+|stilt-\w+|pip|pytest|pre-commit) [^`\n]+|make [a-z]+(?: [A-Z]+=[^\s`]+)?"
    r"|python docs/[^\s`]+)`"
)
"""A command within a sentence; a script's name alone is none."""
MAIN = {name.removeprefix("stilt-"): place.partition(":")[0] for name, place in COMMANDS.items()}
SHELL = (".", "source", "echo")
"""What is the shell's own."""


class Command(NamedTuple):
    """A command line of a page."""

    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """Which of the program's commands it is; empty for another program."""
        first = self.words[0]
        if first.startswith("stilt-"):
            return first.removeprefix("stilt-")
        script = Path(self.words[1]) if first == "python" and len(self.words) > 1 else Path()
        return script.stem if script.parent.name in ("launcher", "analysis") else ""

    @property
    def arguments(self) -> list[str]:
        """What stands behind the command."""
        return list(self.words[1 if self.words[0].startswith("stilt-") else 2 :])


def blocks(page, kind):
    """The blocks of a page in one language."""
    text = page.read_text(encoding="utf-8")
    return [body for _, found, body in BLOCK.findall(text) if found == kind]


def commands_of(page):
    """Every command of a page, in its order."""
    lines = [line for body in blocks(page, "sh") for line in body.replace("\\\n", " ").splitlines()]
    lines += INLINE.findall(BLOCK.sub("", page.read_text(encoding="utf-8")))
    for line in lines:
        for part in line.split(" && "):
            words = shlex.split(part, comments=True)
            if ">" in words or ">>" in words:
                words = words[: min(words.index(sign) for sign in (">", ">>") if sign in words)]
            if words:
                yield Command(tuple(words))


FOUND = [command for page in PAGES for command in commands_of(page)]
OURS = list(dict.fromkeys(command for command in FOUND if command.name))
OTHERS = list(dict.fromkeys(command for command in FOUND if not command.name))


def title(command):
    return " ".join(command.words)


def test_the_pages_have_commands_of_every_kind():
    assert {command.name for command in OURS} >= {*MAIN} - {"cancel", "clean"}
    assert {command.words[0] for command in OTHERS} == {
        *("make", "pip", "python", "pytest", "pre-commit"),
        *SHELL[:1],
        *SHELL[2:],
    }


@pytest.mark.parametrize("command", OURS, ids=title)
def test_a_command_line_is_understood(command, monkeypatch, capsys):
    parsed = []
    read = tyro.cli

    def cli(function, **how):
        @functools.wraps(function)
        def nothing(*given, **named):
            parsed.append(command)
            return 0

        return read(nothing, **how)

    monkeypatch.setattr(tyro, "cli", cli)
    assert import_module(MAIN[command.name]).main(command.arguments) == 0, capsys.readouterr().err
    assert parsed or {"--completion", "--version", "--help"} & set(command.arguments)


@pytest.mark.parametrize("command", OTHERS, ids=title)
def test_another_program_is_given_what_there_is(command):
    first, *rest = command.words
    if first == "make":
        run = subprocess.run(
            ["make", "--dry-run", *rest], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
    elif first == "pip":
        extras = re.findall(r"\[(\w+)\]", rest[-1])
        assert all(extra in SETUP["options.extras_require"] for extra in extras)
        assert rest[0] == "install"
    elif first == "pytest":
        (_, mark, path) = rest
        assert mark in SETUP["tool:pytest"]["markers"] and (ROOT / path).exists()
    elif first == "python":
        module = rest.pop(0) if rest[0] != "-m" else f"{rest.pop(1).replace('.', '/')}.py"
        text = (ROOT / module).read_text(encoding="utf-8")
        for flag in (word for word in rest if word.startswith("--")):
            assert flag in text or f"{flag[2:].replace('-', '_')}:" in text, flag
    else:
        assert first in (*SHELL, "pre-commit")


STUDIES = ("demo", "full", "paper", "table2", "first", "second", "seed1", "seed2")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory, roberta):
    """A folder as a reader's who followed the pages: their files, and studies that have run."""
    place = tmp_path_factory.mktemp("reader")
    for page in PAGES:
        for body in blocks(page, "toml"):
            if named := re.match(r"# ([\w-]+\.toml)", body):
                path = place / named[1]
                # the same file on two pages is the same
                assert not path.exists() or tomllib.loads(path.read_text()) == tomllib.loads(body)
                path.write_text(body)
    rows = [
        {"premise": f"It is {i} o'clock.", "hypothesis": f"It is {i + i % 3}.", "label": str(i % 3)}
        for i in range(30)
    ]
    for split in ("train", "dev"):
        write_jsonl(place / f"data/my-nli/{split}.jsonl", rows[split == "dev" :: 2])
    first, *others = STUDIES
    study = make_study(place / "logs" / first, grid=TINY, dev_rows=40)
    for name in others:
        shutil.copytree(place / "logs" / first, place / "logs" / name)
    # its tables are those of the paper's cells
    shutil.rmtree(place / "logs/paper")
    make_study(place / "logs/paper", grid="paper", missing=1.0)
    (place / "examples").symlink_to(ROOT / "examples")
    (place / "FOLDER").symlink_to(roberta)
    (place / "cell").write_text(next(iter(study.cells)))
    return place


def can_be_run(command):
    """Whether a command needs neither a cluster, nor the Hub, nor time to train or to measure."""
    if {"--measure", "--hours"} & set(command.arguments):
        return False
    if command.name == "stage":
        return bool({"--fields", "--show"} & set(command.arguments))
    return command.name != "submit" or bool(
        {"--dry-run", "--completion", "--version"} & set(command.arguments)
    )


@pytest.mark.parametrize("command", [*filter(can_be_run, OURS)], ids=title)
def test_a_command_that_needs_no_cluster_runs(
    command, sandbox, tmp_path, monkeypatch, capsys, request
):
    monkeypatch.chdir(sandbox)
    cell = (sandbox / "cell").read_text()
    given = {"CELL": f"demo/{cell}", "STUDY/CELL": f"demo/{cell}"}
    words = [given.get(word, word).replace("COMMIT", "0" * 40) for word in command.arguments]
    if command.name == "stage" and not {"my-nli.toml", "--fields"} & set(words):
        folder = request.getfixturevalue("data_dir")
        words += [] if "--data-dir" in words else ["--data-dir", str(folder)]
    if command.name == "submit":
        words += ["--root", str(tmp_path)]
    # pictures are drawn, and the example is run, elsewhere
    words = ["demo" if word == "numbers" else word for word in words]
    words += ["--no-figures"] * (command.name == "summarize")
    code = import_module(MAIN[command.name]).main(words)
    # doctor finds no SLURM here, or one that does not answer
    assert code in ((0, 1) if command.name == "doctor" else (0,)), capsys.readouterr().err


@pytest.mark.nightly
def test_the_example_runs_from_its_first_command_to_its_report(tmp_path, monkeypatch, capsys):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    for command in commands_of(ROOT / "examples/README.md"):
        if command.name:
            code = import_module(MAIN[command.name]).main(command.arguments)
            assert code == 0, (title(command), capsys.readouterr().err)
    said = capsys.readouterr().out
    assert "5 runs done, 0 failed" in said
    assert (tmp_path / "logs/numbers/summary/report.html").is_file()

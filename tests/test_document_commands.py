"""Every command in README and pages is one: parsed by the program, and run where it can be."""

import functools
import os
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

from launcher.cluster.profile import read_profile
from launcher.flags import Places
from launcher.study.costs.known import of_elements
from launcher.study.resolve import resolve_study
from stilt.training.speed.calibration import file_of, write_calibration
from tests.support.calibrated import calibration_of
from tests.support.fake_slurm import Fake
from tests.support.fake_study import TINY, make_study
from tests.support.json_lines import write_jsonl
from tests.support.published_files import write_published_files
from tests.test_architecture import COMMANDS, ROOT, SETUP
from tests.test_documents import PAGES

pytestmark = pytest.mark.slow

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


def asked_of_a_machine(command):
    """Whether a command trains on this machine, as opposed to a cluster."""
    return command.name == "submit" and "local" in command.arguments


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A SLURM that only remembers what it was given."""
    made = Fake(tmp_path / "fake")
    monkeypatch.setenv("FAKE", str(made.folder))
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return made


@pytest.fixture(scope="module")
def published(sandbox, tmp_path_factory):
    """The files of the paper's data sets, with few rows, and the reader's own."""
    folder = write_published_files(tmp_path_factory.mktemp("published"), hellaswag=10_000)
    shutil.copytree(sandbox / "data/my-nli", folder / "my-nli")
    return folder


@pytest.fixture
def reader(sandbox, published, fake, roberta, monkeypatch, tmp_path):
    """Says a command of a page in the reader's folder, with a SLURM that only takes jobs."""
    monkeypatch.chdir(sandbox)
    monkeypatch.setenv("STILT_CACHE", str(tmp_path / "cache"))
    # packages of trackers are the reader's
    monkeypatch.setattr("launcher.watch.outside.find_spec", lambda name: name)

    def say(command, *more):
        words = [word.replace("URL", "http://127.0.0.1:9/hook") for word in command.arguments]
        words = [str(published) if word == "~/data" else word for word in words]
        words += [] if "--data-dir" in words else ["--data-dir", str(published)]
        words += [] if "--model" in words else ["--model", str(roberta)]
        return import_module(MAIN[command.name]).main(
            [*words, "--root", str(tmp_path / "logs"), *more]
        )

    return say


SENT = [c for c in OURS if c.name == "submit" and not can_be_run(c) and not asked_of_a_machine(c)]
STAGED = [c for c in OURS if c.name == "stage" and not can_be_run(c)]
MEASURED = [c for c in OURS if c.name == "doctor" and not can_be_run(c)]
LOCAL = [c for c in OURS if asked_of_a_machine(c) and not can_be_run(c)]


def test_every_command_of_the_pages_is_run_by_one_of_these_tests():
    assert {*filter(can_be_run, OURS), *SENT, *STAGED, *MEASURED, *LOCAL} == {*OURS}


@pytest.mark.parametrize("command", SENT, ids=title)
def test_a_command_for_a_cluster_hands_its_arrays_to_sbatch(
    command, reader, fake, roberta, tmp_path, capsys
):
    words = command.arguments
    if "--hours" in words:
        grid = words[words.index("--grid") + 1]
        places = Places(root=tmp_path / "logs", data_dir=None, model=str(roberta))
        study = resolve_study(grid, places).study
        made = calibration_of(study, of_elements(read_profile(None)).place)
        path = file_of(tmp_path / "cache", made.model, made.recipe, made.place)
        write_calibration(made, path)
    assert reader(command) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert bool(fake.scripts) != ("--dry-run" in words)
    assert ("--hours 40:" in told) == ("--hours" in words)


@pytest.mark.parametrize(
    "command",
    [STAGED[0], *(pytest.param(command, marks=pytest.mark.nightly) for command in STAGED[1:])],
    ids=title,
)
def test_staging_leaves_out_nothing_but_what_only_the_hub_has(command, reader, capsys):
    """Without a network: the text and the generator of SynthesisGPT2 are the Hub's alone."""
    code, told = reader(command), capsys.readouterr()
    staged = set(re.findall(r"^[✓○] ([\w-]+)", told.out, re.MULTILINE))
    assert {"wic", "rte", "hellaswag"} <= staged
    left = re.findall(r"^✗ (\w+ \w+|[\w-]+)", told.out, re.MULTILINE)
    of_the_hub = ["synthesis text", "synthesis model"] if "synthesis-gpt2" in staged else []
    assert left == of_the_hub and code == (2 if of_the_hub else 0)
    problems = told.err.partition("problems:\n")[2].splitlines()
    assert [line.split(":")[0].strip() for line in problems] == of_the_hub


@pytest.mark.parametrize("command", MEASURED, ids=title)
@pytest.mark.nightly
def test_measuring_is_done_here_or_handed_to_sbatch(command, reader, fake, monkeypatch, capsys):
    monkeypatch.setattr("launcher.checks.measure.SECONDS", 0.1)
    assert reader(command) == 0, capsys.readouterr().err
    assert len(fake.scripts) == ("--on-cluster" in command.arguments)


@pytest.mark.parametrize("command", LOCAL, ids=title)
def test_a_study_for_this_machine_can_be_planned(command, reader, monkeypatch, capsys):
    """The example is run by the test below, the study of MiniLM takes hours."""
    monkeypatch.chdir(ROOT)
    code, told = reader(command, "--dry-run"), capsys.readouterr()
    absent = re.findall("not as it is: (.*)", told.out)
    # what generates text is of wheels that are not installed for tests
    assert all(line.startswith("synthesis ") for line in absent)
    assert code == (2 if absent else 0), told.err


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

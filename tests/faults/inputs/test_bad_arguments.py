"""Command lines with a mistake in them: one message that names the flag, and nothing is lost."""

import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from analysis import summary as summary_module
from analysis.summarize import main as summarize
from launcher import stage as stage_module
from launcher.cancel import main as cancel
from launcher.clean import main as clean
from launcher.doctor import main as doctor
from launcher.stage import main as stage
from launcher.status import main as status
from launcher.submit import main as submit
from tests.support.judged import complaints, ended, survey
from tests.support.mutations import STRINGS, shown
from tests.support.spoilt_study import MODEL, SpoiltStudy, make_template

ROOT = Path(__file__).parents[3]
BAD = (
    # no process can be given a NUL; a study in the root of the disk would be written
    *(text for text in STRINGS if "\0" not in text and text not in ("/", "--help")),
    *("0", "-1", "1.5", "1e308", "inf", "99999999999999999999", "9" * 4_301, "\udcff", "a\udcffb"),
    *("name=x", "=", "--", "-", "---", "@file", "own,own", "none", "auto", "slurm", "own/../own"),
)
BODIES: dict[str, tuple[Callable[[Sequence[str]], int], list[list[str]]]] = {
    "submit": (
        submit,
        [
            *(["--grid", "{own}/own.toml"], ["--root", "{own}/logs"], ["--data-dir", "{own}/data"]),
            *(["--model", str(MODEL)], ["--executor", "local"], ["--workers", "2"], ["--dry-run"]),
            *(["--threads", "1"], ["--bundles", "4"], ["--chunk", "8"], ["--study", "own"]),
            *(["--time", "1:00:00"], ["--cpus", "4"], ["--memory", "8G"], ["--parallel", "3"]),
        ],
    ),
    "status": (
        status,
        [["own"], ["--root", "{own}/logs"], ["--json"], ["--every", "5"], ["--watch"]],
    ),
    "status why": (
        status,
        [["why"], ["endings#1"], ["--study", "own"], ["--root", "{own}/logs"], ["--lines", "9"]],
    ),
    "stage": (
        stage,
        [
            *(["--grid", "{own}/own.toml"], ["--root", "{own}/logs"], ["--data-dir", "{own}/data"]),
            *(["--model", str(MODEL)], ["--device", "cpu"], ["--check"], ["--study", "own"]),
        ],
    ),
    "doctor": (
        doctor,
        [
            *(["--grid", "{own}/own.toml"], ["--root", "{own}/logs"], ["--data-dir", "{own}/data"]),
            *(["--model", str(MODEL)], ["--executor", "local"], ["--profile", "{own}/no.toml"]),
        ],
    ),
    "cancel": (
        cancel,
        [
            *(["own"], ["--root", "{own}/logs"], ["--source", "none"], ["--target", "pairs"]),
            ["--dry-run"],
        ],
    ),
    "clean": (clean, [["own"], ["--root", "{own}/logs"], ["--dry-run"], ["--yes"]]),
    "summarize": (
        summarize,
        [
            *(["own"], ["--root", "{own}/logs"], ["--no-figures"], ["--format", "json"]),
            *(["--degenerate", "loss"], ["--report", "table2"], ["--compare", "own", "other"]),
        ],
    ),
}
"""A command's ``main``, and a command line that is right: a flag with its values each."""
CELLS = 6


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return make_template(tmp_path_factory.mktemp("whole"), sources=2)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    """Stages nothing and draws nothing."""
    monkeypatch.setattr(stage_module, "run", lambda request, console, online: [])
    monkeypatch.setattr(summary_module, "write", partial(_without_figures, summary_module.write))


def _without_figures(write, summary, *, figures):
    return write(summary, figures=False)


def mutated(rng: random.Random, parts: list[list[str]]) -> tuple[str, list[list[str]]]:
    """A command line with a mistake in it, and the mistake in words."""
    # what is not needed is there in half of the cases
    parts = [list(part) for part in parts if rng.random() < 0.6 or part is parts[0]]
    place = rng.randrange(len(parts))
    part, flag = parts[place], parts[place][0]
    kind = rng.choice(("value", "value", "value", "gone", "bare", "near", "twice", "more"))
    if kind == "value":
        part[-1] = rng.choice(BAD)
        return f"{flag} {shown(part[-1])}", parts
    if kind == "gone":
        del parts[place]
    elif kind == "bare":
        del part[1:]
    elif kind == "near":
        part[0] = rng.choice((f"{flag}s", flag[:-1], flag.upper(), flag.lstrip("-"), f"-{flag}"))
    elif kind == "twice":
        parts.insert(rng.randrange(len(parts) + 1), part)
    else:
        parts.insert(rng.randrange(len(parts) + 1), [rng.choice(("--no-such-flag", *BAD))])
    return f"{kind}: {flag}", parts


@pytest.mark.parametrize("command", BODIES)
def test_a_command_line_is_refused_in_a_message_or_obeyed(seeds, command, template, tmp_path):
    main, parts = BODIES[command]
    study = SpoiltStudy(template, tmp_path / "own")
    shutil.copytree(study.folder.path, study.folder.path.with_name("other"))

    def case(rng):
        what, changed = mutated(rng, parts)
        arguments = [word.replace("{own}", str(study.own)) for part in changed for word in part]
        end = ended(main, arguments)
        found = complaints(end)
        kept = len(list(study.folder.results.glob("*.json")))
        if kept != CELLS:
            found.append(f"{kept} results are left of {CELLS}")
        return [f"{what}: {one}" for one in found]

    survey(seeds, command, case)


def test_no_mistake_makes_a_command_of_the_login_node_load_torch(template):
    code = f"""
import sys
from tests.faults.inputs import test_bad_arguments as bad
from tests.support.judged import ended
bad.stage_module.run = lambda *_, **__: []
for main, parts in bad.BODIES.values():
    words = [word.replace("{{own}}", {str(template)!r}) for part in parts for word in part]
    nothing = ["nothing" if word == "own" else word for word in words]
    for line in (words[:-1], [*words, "--nothing"], nothing):
        ended(main, line)
print("torch" in sys.modules)
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (run.stdout, run.stderr) == ("False\n", "")

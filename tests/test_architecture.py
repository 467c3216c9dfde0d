"""The house: which room may import which, what a login node never loads, names, sizes, mirrors."""

import ast
import configparser
import importlib
import subprocess
import sys
from collections import defaultdict
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import stilt

ROOT = Path(__file__).resolve().parent.parent

# Each room, and the rooms of its own part that it imports. A room is a folder, or a module that
# stands beside the folders. ``launcher``, ``jobs`` and ``analysis`` may also import ``stilt``.
ROOMS = {
    "stilt": {
        "errors": "",
        "config": "errors",
        "rows": "errors",
        "schedule": "",
        "slurm": "",
        "system": "errors",
        "cell": "config",
        "task": "cell config errors rows",
        "grid": "cell config errors task",
        "study": "cell config errors grid schedule task",
        "folder": "cell config errors study system",
        "revisions": "cell errors study system",
        "data": "cell config errors folder rows study system task",
        "model": "cell config errors grid system task",
        "synthesis": "cell config data errors grid model system",
        "plan": "cell config schedule study synthesis task",
        "records": "cell config errors folder study system task",
        "training": "cell config data errors folder grid plan records schedule study system task",
    },
    "jobs": {
        "settings": "",
        "requeue": "",
        "notice": "",
        "sampler": "",
        "worker": "settings",
        "synthesize": "sampler",
        "run_cell": "worker",
        "bundle": "run_cell settings synthesize worker",
        "parallel": "bundle run_cell settings worker",
        "process": "bundle parallel settings worker",
        "slurm_task": "bundle requeue settings worker",
        "staging": "settings synthesize worker",
        "measure": "bundle settings worker",
    },
    "launcher": {
        "flags": "",
        "cluster": "",
        "scheduler": "cluster",
        "study": "cluster flags scheduler",
        "send": "cluster scheduler study",
        "watch": "cluster flags scheduler study",
        "local": "scheduler study",
        "checks": "cluster local send study",
        "api": "flags local scheduler study",
        "submission": "cluster flags local scheduler send study watch",
        "submit": "cluster flags submission",
        "status": "watch",
        "stage": "checks flags study watch",
        "doctor": "checks cluster flags local send study",
        "cancel": "scheduler",
        "clean": "scheduler watch",
    },
    "analysis": {
        "flags": "",
        "read": "flags",
        "stats": "flags",
        "spread": "stats",
        "tables": "flags read spread stats",
        "figures": "spread stats tables",
        "notes": "read stats",
        "report": "figures read stats tables",
        "api": "figures read stats",
        "summary": "figures flags notes read report spread stats tables",
        "summarize": "flags stats summary",
    },
}
# the launcher writes what the worker reads, so it shares the worker's settings and entry point
SHARED = {"jobs.settings", "jobs.slurm_task"}
HEAVY = ("torch", "transformers", "datasets", "sklearn", "accelerate")
MOST_LINES = 400
MOST_MODULES, MOST_FOLDERS = 11, 7
"""Doors on a floor."""

MODULES = sorted(
    path.relative_to(ROOT)
    for part in ROOMS
    for path in (ROOT / part).rglob("*.py")
    if path.name != "__init__.py"
)
TESTS = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))
FLOORS = sorted({path.parent for path in MODULES})


def name_of(path):
    return ".".join(path.with_suffix("").parts)


def room_of(module):
    return ".".join(module.split(".")[:2])


NAMES = {name_of(path) for path in MODULES}


@cache
def imports(path):
    """Every module that a file imports, at its top or inside a function."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & NAMES
            found |= inner or {node.module}
    return frozenset(found)


@pytest.mark.parametrize("part", ROOMS)
def test_each_room_imports_the_rooms_that_the_table_names(part):
    found = {room: set() for room in ROOMS[part]}
    for path in MODULES:
        if path.parts[0] != part:
            continue
        room = room_of(name_of(path))
        others = {room_of(name) for name in imports(path) & NAMES} - {room}
        found[room.partition(".")[2]] |= {
            other.partition(".")[2] for other in others if other.startswith(f"{part}.")
        }
    assert {room: " ".join(sorted(names)) for room, names in found.items()} == ROOMS[part]


@pytest.mark.parametrize("part", ROOMS)
def test_a_room_stands_below_all_that_import_it(part):
    seen = set()
    for room, needs in ROOMS[part].items():
        assert set(needs.split()) <= seen, f"{part}.{room} imports what the table lists after it"
        seen.add(room)


def test_no_two_modules_import_each_other_by_any_way():
    waiting = {name_of(path): set(imports(path) & NAMES) for path in MODULES}
    while free := {name for name, needs in waiting.items() if not needs & waiting.keys()}:
        for name in free:
            del waiting[name]
    assert not waiting


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_parts_import_one_way(path):
    part = path.parts[0]
    others = {name for name in imports(path) if name.split(".")[0] in {*ROOMS, "tests"}}
    wrong = {name for name in others if name.split(".")[0] not in (part, "stilt")}
    if part == "launcher":
        wrong -= SHARED
    assert not wrong


def loaded_by(modules):
    code = f"import sys, {', '.join(modules)}; print(*sorted(m.split('.')[0] for m in sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_importing_stilt_loads_nothing_and_its_names_are_looked_up_when_they_are_used():
    assert loaded_by(["stilt"]) & {*ROOMS, *HEAVY, "matplotlib", "polars", "pydantic"} == {"stilt"}
    run = "stilt; assert dir(stilt) and stilt.results"
    loaded = loaded_by([run])
    assert {"analysis", "polars"} <= loaded and not loaded & set(HEAVY)
    assert set(stilt.__all__) == {"__version__", *stilt._STANDS_IN}
    for name, module in stilt._STANDS_IN.items():
        assert getattr(stilt, name) is getattr(importlib.import_module(module), name)
    with pytest.raises(AttributeError, match="no attribute 'result'"):
        stilt.result  # noqa: B018


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_the_names_that_stilt_looks_up_are_for_others_than_this_code(path):
    # by them a module of stilt could import what imports it
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    taken = {alias.name for node in nodes if node.module == "stilt" for alias in node.names}
    assert not taken & set(stilt._STANDS_IN)
    assert "stilt" not in {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }


LOGIN_NODE = sorted(name for name in NAMES if name.split(".")[0] in ("launcher", "analysis"))


def test_commands_of_the_login_node_never_load_a_framework():
    assert {"launcher.submit", "launcher.study.preview", "launcher.watch.observer"} <= set(
        LOGIN_NODE
    )
    assert not loaded_by(LOGIN_NODE) & set(HEAVY)


@pytest.mark.parametrize("name", ["launcher.submit", "launcher.status", "analysis.summarize"])
def test_a_command_of_the_login_node_never_loads_torch(name):
    assert name in LOGIN_NODE
    found = imports(Path(f"{name.replace('.', '/')}.py"))
    assert not {module.split(".")[0] for module in found} & set(HEAVY)


@cache
def installed():
    return {name for name in packages_distributions() if name not in ROOMS} - {"tests"}


@pytest.mark.parametrize("part", [part for part in ROOMS if part != "stilt"])
def test_nothing_beside_a_script_hides_a_library(part):
    # `python launcher/submit.py` puts launcher/ first on sys.path, its folders too
    for name in ROOMS[part]:
        assert name not in sys.stdlib_module_names
        assert name not in installed()


@pytest.mark.parametrize("floor", FLOORS, ids=str)
def test_a_floor_has_few_doors_and_a_sign(floor):
    inside = [path for path in (ROOT / floor).iterdir() if not path.name.startswith(("_", "."))]
    modules = [path for path in inside if path.suffix == ".py"]
    folders = [path for path in inside if (path / "__init__.py").is_file()]
    assert len(modules) <= MOST_MODULES
    assert len(folders) <= MOST_FOLDERS
    sign = (ROOT / floor / "__init__.py").read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(sign))


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_every_module_says_what_it_is(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert path.stem not in {"utils", "util", "common", "base", "helpers", "misc"}


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=str)
def test_every_file_is_of_a_size_to_be_read(path):
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= MOST_LINES


ANALYSIS = [path for path in MODULES if path.parts[0] == "analysis"]


@pytest.mark.parametrize("path", ANALYSIS, ids=str)
def test_groups_and_joins_keep_the_order_of_rows_so_that_sums_have_the_same_bits(path):
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        named, called = {keyword.arg for keyword in node.keywords}, getattr(node.func, "attr", "")
        # a text's join has no columns
        if called == "group_by" or (called == "join" and "on" in named):
            assert "maintain_order" in named, f"{path}, line {node.lineno}"


def test_tests_stand_where_what_they_test_stands():
    rooms = defaultdict(set)
    for path in MODULES:
        rooms[path.parent].add(path.stem)
    for path in TESTS:
        inner = path.parent.relative_to("tests")
        # what breaks from outside is of no room
        if not path.name.startswith("test_") or inner.parts[:1] in ((), ("faults",)):
            continue
        subject = path.stem.removeprefix("test_")
        # a second file on a module is called after it: test_submit_live.py
        assert any(f"{subject}_".startswith(f"{name}_") for name in rooms[inner]), path


SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
COMMANDS = dict(
    line.split(" = ")
    for line in SETUP["options.entry_points"]["console_scripts"].strip().splitlines()
)
SCRIPTS = [f"{place.partition(':')[0].replace('.', '/')}.py" for place in COMMANDS.values()]


def interrupted_at(name, run):
    """Runs code in which Ctrl-C is pressed as soon as a module is looked for."""
    code = f"""
import os, runpy, signal, sys
class Finder:
    def find_spec(self, name, *rest):
        if name == {name!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
{run}
"""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("script", [*SCRIPTS, "jobs/synthesize.py"])
def test_ctrl_c_while_a_command_is_still_loading_leaves_no_traceback(script):
    # as a person may begin it: from the script's own folder
    folder, name = script.split("/")
    begin = f"os.chdir({folder!r}); runpy.run_path({name!r}, run_name='__main__')"
    run = interrupted_at("tyro", f"sys.path.insert(0, os.getcwd()); {begin}")
    assert (run.returncode, run.stderr) == (130, "interrupted before anything began.\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_an_installed_command_ends_the_same_way(name):
    module = COMMANDS[name].partition(":")[0]
    run = interrupted_at("tyro", f"sys.argv = ['/usr/bin/{name}']; import {module}")
    assert (run.returncode, run.stderr) == (130, "interrupted before anything began.\n")


@pytest.mark.parametrize("program", ["own/program.py", "jobs/process.py", ""])
def test_a_program_that_imports_a_command_s_module_keeps_its_tracebacks(program):
    run = interrupted_at("tyro", f"sys.argv = [{program!r}]; import analysis.summarize")
    assert run.stderr.startswith("Traceback") and run.stderr.endswith("KeyboardInterrupt\n")

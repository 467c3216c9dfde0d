"""Who may import whom, what a login node never loads, and names that would shadow others."""

import ast
import subprocess
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("stilt", "launcher", "jobs", "analysis")
MAY_IMPORT = {
    "stilt": {"stilt"},
    "launcher": {"launcher", "stilt"},
    "jobs": {"jobs", "stilt"},
    "analysis": {"analysis", "stilt"},
}
# the launcher writes what the worker reads, so it shares the worker's settings and entry point;
# staging does a worker's work on the login node, and loads it when it comes to that
SHARED = {"jobs.settings", "jobs.slurm_task"}
MODULES = sorted(path.relative_to(ROOT) for part in PARTS for path in (ROOT / part).rglob("*.py"))
HEAVY = ("torch", "transformers", "datasets", "sklearn", "accelerate")


def imports(path, top=False):
    """Every module that a file imports, at its top or (unless ``top``) inside a function too."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    for node in tree.body if top else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_go_one_way(path):
    part = path.parts[0]
    anywhere = {name for name in imports(path) if name.split(".")[0] in PARTS}
    wrong = {name for name in anywhere if name.split(".")[0] not in MAY_IMPORT[part]}
    if part == "launcher":
        wrong = {name for name in wrong if name.split(".")[0] != "jobs"}
        at_top = {name for name in imports(path, top=True) if name.startswith("jobs.")}
        assert {".".join(name.split(".")[:2]) for name in at_top} <= SHARED
    assert not wrong


def test_nothing_imports_the_tests():
    for path in MODULES:
        assert not [name for name in imports(path) if name.split(".")[0] == "tests"], path


def loaded_by(modules):
    code = f"import sys, {', '.join(modules)}; print(*sorted(m.split('.')[0] for m in sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


LOGIN_NODE = sorted(
    ".".join(path.with_suffix("").parts)
    for path in MODULES
    if path.parts[0] in ("launcher", "analysis") and path.name != "__init__.py"
)


def test_commands_of_the_login_node_never_load_a_framework():
    assert {"launcher.submit", "launcher.study.preview", "launcher.study.missing"} <= set(
        LOGIN_NODE
    )
    assert not loaded_by(LOGIN_NODE) & set(HEAVY)


@pytest.mark.parametrize("name", ["launcher.submit", "launcher.status", "analysis.summarize"])
def test_a_command_of_the_login_node_never_loads_torch(name):
    assert name in LOGIN_NODE
    found = set(imports(f"{name.replace('.', '/')}.py"))
    assert not {module.split(".")[0] for module in found} & set(HEAVY)


@cache
def installed():
    ours = set(PARTS)
    return {name for name in packages_distributions() if name not in ours} - {"tests"}


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] != "stilt"], ids=str)
def test_no_module_beside_a_script_hides_another(path):
    # `python launcher/submit.py` puts launcher/ first on sys.path
    if path.name == "__init__.py" or len(path.parts) > 2:
        return
    assert path.stem not in sys.stdlib_module_names
    assert path.stem not in installed()


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_every_module_says_what_it_is_and_is_of_a_size_to_be_read(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert path.stem not in {"utils", "util", "common", "base", "helpers", "misc"}


@pytest.mark.parametrize("script", ["launcher/submit.py", "analysis/summarize.py"])
def test_ctrl_c_while_a_command_is_still_loading_leaves_no_traceback(script):
    code = f"""
import runpy, signal, sys
class Finder:
    def find_spec(self, name, *rest):
        if name == "tyro":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
runpy.run_path({script!r}, run_name="__main__")
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (130, "interrupted before anything began.\n")

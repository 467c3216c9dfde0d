"""The files that a project has beside its code agree with it."""

import re

import pytest
import yaml

from stilt import __version__
from tests.test_architecture import COMMANDS, ROOMS, ROOT, SETUP


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_is_the_same_wherever_it_stands():
    citation = yaml.safe_load(text("CITATION.cff"))
    assert SETUP["metadata"]["version"] == citation["version"] == __version__
    assert f"\n## {__version__}" in text("CHANGELOG.md")


def test_the_citation_names_the_program_and_the_paper():
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["title"] == SETUP["metadata"]["name"]
    (paper,) = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Chang", "Lu"]
    assert paper["title"] in re.sub(r"\s+", " ", text("README.md"))


def test_the_licence_is_the_one_that_is_named():
    cited = yaml.safe_load(text("CITATION.cff"))["license"]
    assert SETUP["metadata"]["license_expression"] == cited == "Apache-2.0"
    whole = text(SETUP["metadata"]["license_files"])
    assert "Apache License" in whole and "END OF TERMS AND CONDITIONS" in whole


def test_the_hook_runs_what_make_lint_runs():
    (repository,) = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    (hook,) = repository["hooks"]
    # a hub cannot be reached everywhere
    assert (repository["repo"], hook["language"], hook["entry"]) == ("local", "system", "make lint")
    assert re.search(r"^lint:.*\n\t.*ruff check.*\n\t.*ruff format --check.*\n\t.*mypy",
                     text("Makefile"), re.MULTILINE)  # fmt: skip


@pytest.mark.parametrize("section", ["files", "test"])
def test_the_container_holds_what_the_program_is_made_of(section):
    definition = text("examples/apptainer.def")
    lines = definition.partition(f"%{section}\n")[2].partition("\n\n")[0].splitlines()
    words = [line.split() for line in lines]
    if section == "files":
        assert {source for source, _ in words} >= {*ROOMS, "setup.cfg", "pyproject.toml"}
        assert all((ROOT / source).exists() for source, _ in words)
    else:
        assert {first for first, *_ in words} <= set(COMMANDS)


def test_every_package_that_is_named_is_pinned():
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", text("constraints.txt"), re.MULTILINE))
    (extras,) = re.findall(r'"\.\[(dev,[\w,]+)\]"', text("Makefile"))
    needs = [SETUP["options.extras_require"][extra] for extra in extras.split(",")]
    wanted = " ".join([SETUP["options"]["install_requires"], *needs])
    for name in re.findall(r"^\s*([\w-]+)[=>]=", wanted.replace(" ", "\n"), re.MULTILINE):
        assert name.lower() in {pin.lower() for pin in pins}, name

"""What people are told of the files that they write: complete, true, and the same everywhere."""

import runpy

import pytest

from analysis.read.columns import FRAME
from launcher.cluster.profile import Profile, read_profile
from launcher.stage import main as stage
from launcher.watch.fields import PARTS, as_toml, example_files, in_words, lines_of
from stilt.config import read_toml
from stilt.grid import Block, Grid, Inclusion, load_grid
from stilt.study import bind
from stilt.task import Inheritance, Task, load_task
from tests.test_architecture import ROOT

KINDS = list(PARTS)


def all_lines(kind):
    return [line for part in PARTS[kind] for line in lines_of(part, kind)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_a_meaning_and_an_example_or_fields_of_its_own(kind):
    for line in all_lines(kind):
        assert line.meaning.endswith("."), line
        assert line.example.startswith(f"{line.name} = ") or "table" in line.type, line


def test_every_field_that_a_file_may_have_is_listed():
    listed = {kind: {line.name for line in lines_of(PARTS[kind][0], kind)} for kind in KINDS}
    assert listed["task"] == {*Task.model_fields, *Inheritance.model_fields} - {"name"}
    assert listed["grid"] == {*Grid.model_fields, *Block.model_fields, *Inclusion.model_fields}
    assert listed["cluster"] == set(Profile.model_fields)


@pytest.mark.parametrize("path", example_files("task"), ids=lambda path: path.stem)
def test_each_example_of_a_task_is_a_task(path):
    assert load_task(path.stem, [path.parent]).name == path.stem


def test_the_examples_of_grids_are_grids_and_the_whole_one_needs_no_other():
    whole, wider = (path for path in example_files("grid"))
    assert {*read_toml(whole)} == {*Grid.model_fields, *Block.model_fields}
    study = bind(load_grid(str(whole)), "somewhere")
    stages = [cell.stage for cell in study.cells.values()]
    # as its first line says
    assert (stages.count("target"), stages.count("evaluate")) == (4 * 2 * 24 + 3 * 4, 3)
    assert len(bind(load_grid(str(wider)), "somewhere").cells) == 3 * 2 * 36


def test_the_example_of_a_cluster_is_one_and_has_every_field():
    (path,) = example_files("cluster")
    assert read_profile(path).model_fields_set == set(Profile.model_fields)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_holds_what_the_models_say(kind):
    written = runpy.run_path(str(ROOT / "docs/write_reference.py"))["pages"]()
    page = ROOT / f"docs/reference/{kind}.md"
    assert page.read_text(encoding="utf-8") == written[page], (
        "python docs/write_reference.py writes it anew"
    )
    for line in all_lines(kind):
        assert f"| `{line.name}` |" in written[page]


def test_a_page_holds_every_column_of_results():
    written = runpy.run_path(str(ROOT / "docs/write_reference.py"))["pages"]()
    page = ROOT / "docs/reference/cells.md"
    assert page.read_text(encoding="utf-8") == written[page]
    for name, kind in FRAME.items():
        assert f"| `{name}` | {kind} | " in written[page]


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_line_lists_every_field_and_whole_files(kind, capsys):
    assert stage(["--fields", kind]) == 0
    said = capsys.readouterr().out
    words = said.split()
    assert {line.name for line in all_lines(kind)} <= set(words)
    for path in example_files(kind):
        assert path.read_text(encoding="utf-8").rstrip() in said


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"anyOf": [{"type": "string"}, {"type": "boolean"}]}, "text or true or false"),
        ({"type": "integer", "minimum": 1, "exclusiveMaximum": 2**31}, "whole number, at least 1"),
        ({"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}},
         "list of numbers, over 0"),
        ({"enum": ["a", "b"]}, '"a" or "b"'),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "table of texts"),
        ({"$ref": "#/$defs/Size"}, "table"),
    ],
)  # fmt: skip
def test_types_are_told_in_words(schema, words):
    assert in_words(schema) == words


def test_values_are_written_as_toml():
    value = {"a": [1, 2.5, "x"], "b": None, "c": True, "d": 1e-5}
    assert as_toml(value) == '{a = [1, 2.5, "x"], c = true, d = 1e-05}'

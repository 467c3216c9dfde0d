"""What the tables say of themselves: no interval or p without what it generalises to."""

import re

import pytest

from analysis.read.collect import collect
from analysis.spread.flips import flips
from analysis.spread.power import power
from analysis.spread.variance import variance_components
from analysis.stats.differences import (
    Question,
    differences_against_none,
    differences_between,
    pooled_differences,
)
from analysis.stats.effects import main_effects
from analysis.stats.examples import answers_of
from analysis.stats.scope import NEW, THIS
from analysis.stats.summary import summarize_cells
from analysis.tables.latex import as_latex
from analysis.tables.layouts import comparison, tables
from analysis.tables.presentation import as_markdown, one_line
from stilt.folder import StudyFolder
from tests.support.fake_study import TINY, make_study

SEVERAL = [{"task": "hellaswag", "seeds": [1, 2]}]
BLOCK = TINY["blocks"][0] | {"sources": ["none", *SEVERAL], "batch_size": [8, 16]}
GRID = TINY | {"blocks": [BLOCK], "evaluate": [{"sources": ["none"], "tasks": ["socialiqa"]}]}
SPEAKS_OF = re.compile(rf"{NEW}|{THIS}")


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """A study whose source has two seeds, and the same with a missing run."""
    path = tmp_path_factory.mktemp("studies")
    found = []
    for name in ("done", "open"):
        study = make_study(path / name, grid=GRID)
        folder = StudyFolder(path / name)
        if name == "open":
            cell = next(c for c in study.cells.values() if c.source != "none")
            folder.result(cell.id).unlink()
        found.append(collect(folder, study))
    return found


def all_tables(collection, asked=None, *, predictions=True):
    asked, cells = asked or Question(), collection.cells
    answers = answers_of(cells) if predictions else None
    frames = {
        "summary": summarize_cells(cells, asked.definition),
        "differences": differences_against_none(cells, answers, asked),
        "pooled": pooled_differences(cells, answers, asked),
        "effects": main_effects(cells, asked.definition),
        "variance": variance_components(cells, answers),
        "flips": flips(cells, answers),
        "power": power(collection.study, collection.folder, cells, answers, asked.scope),
        "sources": summarize_cells(collection.sources, asked.definition),
    }
    found = {table.name: table for table in tables(collection.study, frames, asked)}
    found["compare"] = comparison(
        differences_between(cells, cells, (answers, answers) if answers else None, asked),
        *(("one", "other"), asked),
    )
    return found


QUESTIONS = [Question(), Question(scope="narrow"), Question(interim=True)]


@pytest.mark.parametrize("asked", QUESTIONS, ids=str)
def test_every_head_over_an_interval_or_p_says_what_it_generalises_to(collected, asked):
    for collection in collected:
        found = all_tables(collection, asked)
        assert set(found) == {
            *("targets", "details", "pooled", "variance", "flips", "power", "evaluate", "sources"),
            "effects",
            "compare",
        }
        for table in found.values():
            for head in one_line(table.header):
                if "[" in head or re.search(r"\bp\b", head):
                    assert SPEAKS_OF.search(head), head
            texts = [cell for part in table.sections for row in part.rows for cell in row]
            if any("[" in text for text in texts):
                for words in re.findall(rf"{NEW}|{THIS}", " ".join(table.header)):
                    assert f"'{words}" in table.told(), table.name


@pytest.mark.parametrize("written", [as_markdown, as_latex])
def test_the_words_stand_in_every_form_of_a_table(collected, written):
    table = all_tables(collected[0])["targets"]
    text = written(table)
    assert text.count("new dev") >= 3  # over the mean, over its p, and in the caption
    assert "generalises to new dev examples, configurations and seeds" in text


def test_the_default_speaks_of_new_dev_examples_and_the_option_of_these(collected):
    heads = one_line(all_tables(collected[0])["targets"].header)
    assert "Δ mean [95 %], new dev" in heads and "p, new dev" in heads
    assert "Δ best [range], this dev" in heads and "degenerate [95 %], this dev" in heads
    narrow = all_tables(collected[0], Question(scope="narrow"))["targets"]
    assert "Δ mean [95 %], this dev" in one_line(narrow.header)
    assert "new dev" not in as_markdown(narrow)


def test_without_predictions_tables_speak_of_these_examples(collected):
    for table in all_tables(collected[0], predictions=False).values():
        assert "new dev" not in as_markdown(table)


def test_an_open_comparison_shows_its_pairs_in_place_of_p(collected):
    rows = all_tables(collected[1])["targets"].sections[0].rows
    first = next(row for row in rows if row[0] == "hellaswag#1")
    assert first[8] == "7 of 8 pairs"
    assert "[" not in first[7] and first[7] != "–"
    assert "[" in next(row for row in rows if row[0] == "hellaswag#2")[7]


def test_an_interim_look_shows_a_bound(collected):
    table = all_tables(collected[1], Question(interim=True))["targets"]
    assert "p, any look, this dev" in one_line(table.header)
    first = next(row for row in table.sections[0].rows if row[0] == "hellaswag#1")
    assert re.fullmatch(r"(≤|<)[\d.]+, 7 of 8 pairs", first[8])
    assert "valid however often it is looked at" in table.told()


def test_seeds_of_a_source_have_a_table_of_their_own(collected):
    table = all_tables(collected[0])["pooled"]
    assert [row[:3] for row in table.sections[0].rows] == [("hellaswag", "2", "16")]
    assert "source seeds" in table.told()

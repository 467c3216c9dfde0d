"""Tables of variance, flipped answers and power: their numbers, and what captions say of them."""

import polars as pl
import pytest

from analysis.spread.flips import FLIPS
from analysis.spread.power import power
from analysis.spread.variance import VARIANCE
from analysis.stats.scope import FIXED
from analysis.tables.latex import as_latex
from analysis.tables.presentation import as_markdown
from analysis.tables.spread import spread_tables
from stilt.folder import StudyFolder
from stilt.training.power import assumed, detectable
from tests.support.cell_frame import cells_of, study_of

SIX = [1e-5, 2e-5, 3e-5, 4e-5, 5e-5, 6e-5]


def shown(study, folder, flips=(), scope="whole", score=None):
    cells = cells_of(study, score or (lambda *_: None))
    frames = {
        "variance": pl.DataFrame(schema=VARIANCE),
        "flips": pl.DataFrame(list(flips), schema=FLIPS, orient="row"),
        "power": power(study, StudyFolder(folder), cells, scope=scope),
    }
    return {table.name: table for table in spread_tables(study, frames, scope)}


def test_flips_are_in_percent_and_incomplete_pairs_are_counted_as_such(tmp_path):
    rows = [
        ("rte", "none", 2, 2, 0.25, *[None] * 5),
        ("rte", "hellaswag", 1, 2, 0.125, 3, 4, 0.375, 0.25, 0.125),
    ]
    table = shown(study_of(), tmp_path, rows)["flips"]
    (section,) = table.sections
    assert section.rows == (
        ("none", "2", "25.0", "–", "–", "–", "–"),
        ("hellaswag", "1 of 2", "12.5", "3 of 4", "37.5", "25.0", "12.5"),
    )
    assert FIXED in table.told() and "without intervals" in table.caption
    for form in (as_markdown, as_latex):
        assert "3 of 4" in form(table) and FIXED in form(table)


def test_there_is_no_table_of_flips_without_any(tmp_path):
    rows = [("rte", "none", 0, 2, None, *[None] * 5)]
    assert "flips" not in shown(study_of(), tmp_path, rows)


@pytest.mark.parametrize("form", [as_markdown, as_latex])
def test_power_tells_its_numbers_and_what_it_assumes(tmp_path, form):
    study = study_of(learning_rate=SIX, batch_size=[8], seed=[12, 42])
    table = shown(study, tmp_path)["power"]
    spread = assumed("accuracy")
    # one comparison: Holm's method changes nothing; 2 / 2**6 is .031
    smallest = f"{100 * detectable(6, 12, 277, spread):.1f}"
    assert table.sections[0].rows == (
        ("hellaswag", "277", "6 × 2", "assumed", smallest, smallest, "0.031"),
    )
    for words in ("2.7 points", "Card et al. 2020", "dev examples vary"):
        assert words in form(table)


def test_power_is_measured_where_enough_runs_have_ended(tmp_path):
    def score(cell, place):
        rate = SIX.index(cell.hyperparameters.learning_rate)
        return 0.5 + (0.01 * rate if cell.source != "none" else 0)

    study = study_of(learning_rate=SIX, batch_size=[8], seed=[12, 42])
    table = shown(study, tmp_path, score=score)["power"]
    (row,) = table.sections[0].rows
    # differences 0, .01, ... .05 have a variance of .00035; predictions are not there
    frame = power(study, StudyFolder(tmp_path), cells_of(study, score))
    assert frame["sd_configurations"][0] == pytest.approx(0.00035**0.5)
    assert frame["sd_examples"][0] is None
    assert row[3] == "12 pairs (dev fixed)"
    assert "assumed" not in table.told()


def test_narrow_power_says_what_is_held_fixed_and_what_cannot_be_shown_has_a_dash(tmp_path):
    table = shown(study_of(seed=[12, 42]), tmp_path, scope="narrow")["power"]
    # four configurations: 2 / 2**4
    assert table.sections[0].rows[0][-3:] == ("–", "–", "0.12")
    assert f"{FIXED} do not" in table.told()

"""What the CSV files' columns are said to mean."""

import polars as pl
import pytest

from analysis.read.columns import FRAME
from analysis.stats.differences import DIFFERENCES
from analysis.stats.effects import EFFECTS
from analysis.stats.summary import summarize_cells
from analysis.tables.metadata import MEANINGS, metadata
from tests.support.run_frame import frame, runs

SUMMARY = summarize_cells(frame(*runs("none", [0.5, 0.6]))).columns
INFERRED = [
    name
    for name in dict.fromkeys([*DIFFERENCES, *EFFECTS, *SUMMARY])
    if name in ("low", "high", "p", "error") or name.endswith(("_low", "_high", "_holm", "mcnemar"))
    or name.startswith("interim_")
]  # fmt: skip


@pytest.mark.parametrize("name", INFERRED)
def test_every_interval_and_p_says_what_it_generalises_to(name):
    assert "generalises" in MEANINGS[name]


def test_there_are_intervals_and_p_values_to_speak_of():
    assert len(INFERRED) > 15


def test_files_list_their_columns_in_order_as_csv_on_the_web_has_it():
    found = metadata({"a.csv": pl.DataFrame({"x": [1], "p": [0.1]})})
    assert found["@context"] == "http://www.w3.org/ns/csvw"
    (table,) = found["tables"]
    assert table["url"] == "a.csv"
    columns = table["tableSchema"]["columns"]
    assert [column["name"] for column in columns] == ["x", "p"]
    assert columns[0] == {"name": "x"}
    assert columns[1]["dc:description"] == MEANINGS["p"]


def test_every_column_of_cells_is_described_with_the_meaning_that_it_has_there():
    found = metadata(
        {"cells.csv": frame(*runs("none", [0.5])), "effects.csv": pl.DataFrame({"seed": [1]})}
    )
    cells, effects = (table["tableSchema"]["columns"] for table in found["tables"])
    assert [column["name"] for column in cells] == list(FRAME)
    assert all(column["dc:description"] for column in cells)
    said = {column["name"]: column["dc:description"] for column in cells}
    assert said["seed"] == "the run's seed; never null"
    assert effects == [{"name": "seed", "dc:description": MEANINGS["seed"]}]

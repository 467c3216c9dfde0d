"""Facts on how a study was made: each from the records, and 'not measured' where nothing tells."""

from dataclasses import replace

import polars as pl
import pytest

from analysis.read.collect import collect
from analysis.read.copied import ACCOUNTING
from analysis.report.costs import Accounting
from analysis.report.facts import facts
from analysis.stats.differences import Question
from analysis.stats.summary import summarize_cells
from stilt.folder import StudyFolder
from tests.support.fake_study import TINY, make_study


@pytest.fixture
def collection(tmp_path):
    study = make_study(tmp_path / "s", grid=TINY)
    return collect(StudyFolder(tmp_path / "s"), study)


def told(collection, letter="C1"):
    """Answers of one group by what they are on."""
    groups = facts(collection, summarize_cells(collection.cells), Question())
    (group,) = [group for group in groups if group.letter == letter]
    return {fact.what: fact.answer for fact in group.facts}


def changed(collection, **columns):
    """The same with other values in all rows."""
    both = (
        frame.with_columns(**{name: pl.lit(value) for name, value in columns.items()})
        for frame in (collection.cells, collection.sources)
    )
    cells, sources = both
    return replace(collection, cells=cells, sources=sources)


def test_hours_and_runtimes_are_those_of_the_records(collection):
    same = changed(collection, seconds=90.0, attempt=2)
    assert told(same)["Hours in all"] == (
        "0.42 of 17 runs that ended, data and model loaded included; 17 of them took more than one "
        "attempt. Attempts that failed, or died unsaved, are not in it"
    )
    assert told(same)["Runtime of a run"] == "90 s on average, from 90 s to 90 s"
    taken = changed(same, taken_from="other")
    assert told(taken)["Hours in all"].startswith("0.00 of 0 runs that ended")
    assert told(taken)["Hours in all"].endswith("nor are 17 runs taken over from other studies")


def test_gpu_hours_and_energy_are_told_by_accounting_else_by_records_else_not(collection):
    assert told(collection)["GPU-hours"] == "none: every run was made on a CPU"
    assert told(collection)["Energy"] == "not measured"
    on_gpu = changed(collection, device="NVIDIA A100", seconds=3600.0, peak_memory=5 * 10**9)
    assert told(on_gpu)["GPU-hours"].startswith("17.00 of runs that ended, by their records")
    assert told(on_gpu)["Energy"] == "not measured"
    assert told(on_gpu)["Peak memory"] == "at most 5.0 GB of a GPU"
    metered = changed(on_gpu, energy=3.6e5)
    assert told(metered)["Energy"].startswith("1.700 kWh, by the GPUs' own counters")
    kept = Accounting(jobs=3, seconds=9000, gpu_seconds=9000, joules=7.2e6)
    path = collection.folder.summary / ACCOUNTING
    path.write_text(kept.model_dump_json())
    assert told(metered)["GPU-hours"] == "2.50 allocated to 3 jobs, by SLURM's accounting"
    assert told(metered)["Energy"] == "2.000 kWh of the jobs' nodes, by SLURM's accounting"


def test_bounds_of_the_search_and_the_best_are_told(collection):
    setup = told(collection, "C2")
    assert setup["Learning rate"] == "1e-5 to 2e-5: 1e-5, 2e-5"
    assert setup["Batch"] == "8, held fixed"
    assert setup["Search"].startswith("every point of the grid, 4 runs of each source and target")
    assert setup["Weight decay"] == "0"
    assert setup["Precision"] == "fp32, without TF32"
    summary = summarize_cells(collection.cells)
    groups = facts(collection, summary, Question())
    (best,) = next(group.tables for group in groups if group.letter == "C2")
    shown = [row for section in best.sections for row in section.rows]
    assert [row[-1] for row in shown] == summary["best_cell"].to_list()
    cells = {row["cell"]: row for row in collection.cells.iter_rows(named=True)}
    for row in shown:
        assert float(row[2]) == cells[row[-1]]["learning_rate"]
        assert row[1] == f"{100 * cells[row[-1]]['score']:.1f}"


def test_a_study_of_which_nothing_has_ended_says_so(tmp_path):
    study = make_study(tmp_path / "s", grid=TINY, missing=1.0, sources=False)
    found = collect(StudyFolder(tmp_path / "s"), study)
    costs = told(found)
    assert costs["Runs"] == "0 of 16 cells and 0 of 1 source have ended"
    assert (
        costs["Runtime of a run"] == costs["GPU-hours"] == costs["Hardware"] == ("no run has ended")
    )
    assert told(found, "B6")["RTE"] == "not read yet"
    assert told(found, "C4")["Packages"] == "no run has ended"

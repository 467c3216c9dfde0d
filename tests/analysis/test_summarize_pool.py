"""Several studies as one table, from the command line."""

import pytest

from analysis.read.pool import PooledFolder
from analysis.summarize import main as summarize
from stilt.folder import StudyFolder, read_study, write_study
from stilt.study import Revision
from tests.support.taken_study import block, make_done


@pytest.fixture
def root(tmp_path):
    """Two studies of a seed each, and one that was begun with both."""
    whole = make_done(tmp_path, "entire", block(seed=[12, 13]))
    for seed in (12, 13):
        part = make_done(tmp_path, f"seed{seed}", block(seed=[seed]))
        for path in [*part.results.glob("*.json"), *part.path.glob("sources/*/result.json")]:
            path.write_bytes((whole.path / path.relative_to(part.path)).read_bytes())
    return tmp_path


def run(root, *arguments):
    return summarize([*arguments, "--root", str(root), "--no-figures"])


def test_a_pools_tables_are_those_of_a_study_begun_whole(root, capsys):
    assert run(root, "entire") == 0
    assert run(root, "seed12", "seed13", "--pool", "both") == 0
    said = capsys.readouterr().out
    assert said.count("16 cells: 16 scored.") == 2
    for name in ("summary.csv", "differences.csv", "summary.tex"):
        mine, theirs = (root / study / "summary" / name for study in ("both", "entire"))
        assert mine.read_text() == theirs.read_text().replace("entire", "both")
    assert (root / "both/summary/cells.parquet").is_file()
    assert not (root / "both/study.json").exists()


def test_a_pool_is_written_where_out_says(root, tmp_path):
    assert run(root, "seed12", "seed13", "--pool", "both", "--out", str(tmp_path / "out")) == 0
    assert (tmp_path / "out/both/summary.csv").is_file()
    assert not (root / "both").exists()


@pytest.mark.slow
def test_a_pool_has_a_report_that_leads_to_the_records_of_its_studies(root):
    assert summarize(["seed12", "seed13", "--pool", "both", "--root", str(root)]) == 0
    text = (root / "both/summary/report.html").read_text()
    assert "../../seed12/results/" in text
    assert "../../seed13/results/" in text
    assert "--pool both" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pool", "both"], "--pool both: name the studies, two or more"),
        (["seed12", "seed13", "--pool", "entire"], "is a study. Choose another name."),
        (["seed12", "seed13", "--pool", "no/name"], "name"),
        (["seed12", "--pool", "both"], "--pool both: name the studies, two or more"),
        (["seed12", "seed13", "--pool", "x", "--compare", "seed12", "seed13"], "--compare"),
    ],
)
def test_a_pool_of_nothing_is_refused(root, capsys, arguments, said):
    assert run(root, *arguments) == 2
    assert said in capsys.readouterr().err


def test_studies_that_do_not_agree_are_refused_with_the_reason(root, capsys):
    make_done(root, "fast", block() | {"recipe": "fast"})
    assert run(root, "seed12", "fast", "--pool", "both") == 2
    said = capsys.readouterr().err
    assert "studies seed12 and fast cannot be one table: recipe = 'paper' and 'fast'" in said


def test_a_pool_says_what_was_planned_after_a_look_at_one_of_its_studies(root, capsys):
    folder = StudyFolder(root / "seed13")
    first = Revision(number=1, when="2026-11-20T10:00:00+00:00", digest="d", cells=4)
    looked = "2026-11-21T09:30:00+00:00"
    later = Revision(
        number=2, when="2026-11-22T10:00:00+00:00", digest="e", cells=8,
        came="+4 cells: target cola", looked=looked,
    )  # fmt: skip
    write_study(read_study(folder).model_copy(update={"revisions": (first, later)}), folder)
    assert run(root, "seed12", "seed13", "--pool", "both") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "seed13: Planned after a look: results were summarised (2026-11-21 09:30" in said
    assert "seed12: " not in said


def test_a_pool_knows_the_rows_that_its_studies_have_pinned(root):
    folders = [StudyFolder(root / f"seed{seed}") for seed in (12, 13)]
    path = folders[1].data_digest("cola")
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    pooled = PooledFolder(root / "both", None, {"a": folders[0], "b": folders[1]})
    assert pooled.data_digest("cola") == path
    assert not pooled.data_digest("rte").exists()

"""Studies whose targets are scored by F1 or a correlation are judged and summarised like others."""

import json

import polars as pl
import pytest

from analysis.read.collect import collect
from analysis.summarize import main as summarize
from stilt.folder import StudyFolder
from stilt.records.results import Result, read_record
from stilt.records.validity import contradiction
from tests.support.fake_study import make_study

GRID = {
    "name": "others",
    "model": {"path": "m"},
    "blocks": [
        {
            "sources": ["none", "mrpc"],
            "targets": ["stsb", "mrpc", "cb"],
            "learning_rate": [1e-5, 2e-5],
            "batch_size": [8, 16],
            "warmup_ratio": [0.0],
            "seed": [12, 42],
        }
    ],
}


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    path = tmp_path_factory.mktemp("metrics") / "others"
    return path, make_study(path, grid=GRID, degenerate=0.4, diverged=0.1, seed=4)


def test_every_result_is_believed_and_has_its_baselines(others):
    path, study = others
    found = collect(StudyFolder(path), study)
    assert not found.problems
    ended = found.cells.filter(pl.col("status") == "ok")
    rows = {row["target"]: row for row in ended.iter_rows(named=True)}
    assert (rows["stsb"]["kind"], rows["stsb"]["classes"]) == ("regression", 1)
    assert (rows["stsb"]["majority"], rows["stsb"]["chance"]) == (0, 0)
    # half of 120 rows and a few more are of the class: not both are of it in a guess
    share = json.loads(StudyFolder(path).result(rows["mrpc"]["cell"]).read_text())["dev"]["gold"]
    share = share.count("1") / len(share)
    assert rows["mrpc"]["majority"] == pytest.approx(2 * share / (1 + share))
    assert rows["mrpc"]["chance"] == pytest.approx(share / (0.5 + share))
    stsb = ended.filter(pl.col("target") == "stsb")
    assert (stsb["constant"] == (stsb["score"] == 0)).all()
    assert stsb["constant"].any()


ALTERED = {
    "score": ({"score": 0.5}, "field 'score' = 0.5: 'dev.score' is "),
    "pearson": ({"score": 0.5, "dev.score": 0.5, "dev.pearson": 0.5}, "the predictions have "),
    "no number": ({"dev.predictions": "1 x"}, "field 'dev.predictions': 2 numbers for 120 rows"),
    "cut": ({"dev.gold": "1.0 2.0"}, "field 'dev.gold': 2 numbers for 120 rows"),
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_result_of_regression_contradicts_itself(others, tmp_path, what):
    path, study = others
    folder, changes = StudyFolder(path), ALTERED[what]
    for cell in study.cells.values():
        if cell.target == "stsb" and folder.result(cell.id).is_file():
            table = json.loads(folder.result(cell.id).read_text())
            if table["status"] == "ok" and table["score"] > 0.1:
                break
    for place, value in changes[0].items():
        outer, _, field = place.rpartition(".")
        (table[outer] if outer else table)[field] = value
    (tmp_path / "a.json").write_text(json.dumps(table))
    assert changes[1] in contradiction(read_record(Result, tmp_path / "a.json"))


def test_tables_and_figures_name_the_metric(others, capsys, monkeypatch):
    path, _ = others
    monkeypatch.setenv("COLUMNS", "200")
    assert summarize([str(path)]) == 0
    said = capsys.readouterr().out
    for title in ("STS-B (Pearson)", "MRPC (F1)", "CB (macro F1)"):
        assert title in said
    for name in ("violins", "losses", "heatmap", "variance"):
        assert (path / f"summary/{name}.png").stat().st_size > 5_000
    variance = pl.read_csv(path / "summary/variance.csv")
    assert set(variance["target"]) == {"stsb", "mrpc", "cb"}
    page = (path / "summary/report.html").read_text()
    for name in ("(Pearson)", "(F1)", "(macro F1)"):
        assert f"<small> {name}</small>" in page
    assert "(of regression the squared error)" in page

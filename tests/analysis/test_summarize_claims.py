"""summarize.py: what its numbers claim, and how that is chosen and told."""

import json
from pathlib import Path

import polars as pl

from analysis.summarize import main
from analysis.summary import answers_in


def run(*args: str) -> int:
    return main([*args, "--no-figures"])


def summary(root: Path) -> dict:
    return json.loads((root / "tiny" / "summary" / "summary.json").read_text())


def test_the_definition_of_a_degenerate_run_can_be_chosen(root, capsys):
    counts = {}
    for name in ("auto", "majority", "margin", "constant", "loss"):
        assert run("tiny", "--root", str(root), "--degenerate", name) == 0
        table = summary(root)
        assert table["degenerate"]["definition"] == name
        counts[name] = [row["degenerate"] for row in table["summary"]]
        assert counts[name] == [row[f"degenerate_{name}"] for row in table["summary"]]
        assert table["degenerate"]["meaning"] in " ".join(capsys.readouterr().out.split())
    assert sum(counts["margin"]) >= sum(counts["majority"]) > 0


def test_without_stored_predictions_the_intervals_are_narrow_and_it_is_said(
    root, capsys, monkeypatch
):
    def some(path):
        known = answers_in(path)
        hidden = pl.lit(None, pl.String).alias("predictions")
        return lambda target: known(target).with_columns([hidden] if target == "rte" else [])

    monkeypatch.setattr("analysis.summary.answers_in", some)
    assert run("tiny", "--root", str(root)) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "Dev examples are held fixed on rte: not every run has stored predictions for the same "
        "examples"
    ) in shown
    assert "RTE; Δ mean and p: this dev" in shown
    kinds = {row["target"]: row["interval"] for row in summary(root)["differences"]}
    assert kinds == {"rte": "narrow", "cola": "whole"}


def test_narrow_intervals_are_an_option(root, capsys):
    assert run("tiny", "--root", str(root), "--interval", "narrow") == 0
    shown = capsys.readouterr().out
    assert "new dev" not in shown and "this dev" in shown
    assert "held fixed on" not in shown
    assert summary(root)["interval"]["asked"] == "narrow"


def test_every_csv_file_is_described(root):
    run("tiny", "--root", str(root))
    folder = root / "tiny" / "summary"
    said = json.loads((folder / "csv-metadata.json").read_text())
    files = {table["url"]: table["tableSchema"]["columns"] for table in said["tables"]}
    assert set(files) == {path.name for path in folder.glob("*.csv")}
    for name, columns in files.items():
        head = (folder / name).read_text().splitlines()[0].split(",")
        assert head == [column["name"] for column in columns]


def test_an_interim_look_prints_a_bound_in_place_of_p(root, capsys):
    next((root / "tiny" / "results").glob("*.json")).unlink()
    assert run("tiny", "--root", str(root)) == 0
    assert "3 of 4 pairs" in capsys.readouterr().out
    assert run("tiny", "--root", str(root), "--interim") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "≤1.00, 3 of 4 pairs" in shown
    assert "stays valid however often it is looked at" in shown

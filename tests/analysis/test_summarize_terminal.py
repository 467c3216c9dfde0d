"""What a terminal shows of a study: one table, what fits of it, and what it shows in sentences."""

import pytest

from analysis.summarize import main
from analysis.tables.presentation import TITLES
from tests.support.fake_study import TINY, make_study


@pytest.fixture
def root(tmp_path):
    make_study(tmp_path / "tiny", grid=TINY)
    return tmp_path


def run(*args: str) -> int:
    return main([*args, "--no-figures"])


@pytest.mark.parametrize("columns", [60, 80, 100, 140])
def test_no_name_or_number_is_cut_and_what_does_not_fit_is_named(
    root, capsys, monkeypatch, columns
):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run("tiny", "--root", str(root), "--all") == 0
    printed = capsys.readouterr().out
    assert "…" not in printed
    table = printed.partition("tiny: ")[0]
    assert all(len(line) <= columns for line in table.splitlines())
    assert "hellaswag" in table and "CoLA (MCC)" in table
    left = " ".join(printed.split()).partition("Left out in ")[2].partition(".")[0]
    first = table.partition("from none")[2].partition("RTE")[0]
    for head, word in {
        "p, new dev": "p  ",
        "Δ mean [95 %], new dev": "Δ mean",
        "min": "min",
    }.items():
        assert (head in left) != (word in f"{first}  ")


def test_one_table_is_shown_with_sentences_and_where_the_others_are(root, capsys):
    assert run("tiny", "--root", str(root)) == 0
    printed = capsys.readouterr().out
    assert [title for title in TITLES.values() if title in printed] == [TITLES["targets"]]
    assert "• All 16 cells of the grid have a score." in printed
    assert f"6 more tables: with --all, or in {root / 'tiny/summary/summary.md'}" in printed
    # what a file gets is whole
    assert run("tiny", "--root", str(root), "--format", "markdown") == 0
    printed = capsys.readouterr().out
    assert printed.count("\n|:--|") == 7

"""Tables as LaTeX: what fits a column, what they do without, and whether TeX takes them."""

import re
import shutil
import subprocess

import pytest

from analysis.summarize import main as summarize
from analysis.tables.latex import as_latex, latex
from analysis.tables.presentation import Section, TextTable
from tests.support.fake_study import TINY, make_study

LONG = {"task": "hellaswag-p", "train_size": 2000, "seeds": [1, 2]}
BLOCK = TINY["blocks"][0] | {"sources": ["none", "hellaswag", LONG], "batch_size": [8, 16]}
GRID = TINY | {
    "name": "in_print",
    "blocks": [BLOCK | {"targets": ["rte", "cola", "winogrande-xs"]}],
    "evaluate": [{"sources": ["none", "hellaswag"], "tasks": ["socialiqa"]}],
}
PAPER = r"""\documentclass[twocolumn,a4paper,11pt]{article}
\usepackage[textwidth=6.3in,textheight=9.7in,columnsep=0.24in]{geometry}
\usepackage{booktabs}
\begin{document}
\input{tables}
\end{document}
"""
"""A page with the measures of ACL's style."""


def table(*columns, spare=(), about=None, rows=None, title="RTE"):
    rows = rows or ((f"row {columns[0]}", *["+2.1 [0.3, 4.0]"] * (len(columns) - 1)),)
    return TextTable("t", "All of it.", columns, (Section(title, tuple(rows)),), spare, about or {})


def test_a_table_that_fits_a_column_keeps_everything_in_one_line():
    text = as_latex(table("source", "Δ mean [95 %]\nnew dev"))
    assert "\\begin{table}[t]" in text
    assert "row source & +2.1 \\interval{[0.3, 4.0]} \\\\" in text
    assert "\\shortstack[r]{$\\Delta$ mean [95 \\%] \\\\ new dev}" in text


def test_intervals_go_below_their_numbers_where_a_column_is_too_narrow():
    text = as_latex(table("source", "a", "b", "c", "d"))
    assert "\\begin{table}[t]" in text
    line = "row source & +2.1 & +2.1 & +2.1 & +2.1 \\\\\n"
    below = " & ".join(["\\interval{[0.3, 4.0]}"] * 4)
    assert f"{line}& {below} \\\\" in text


def test_what_can_be_spared_goes_before_a_table_takes_the_whole_page_and_is_named():
    columns = ("source", *(f"number {i}" for i in range(6)))
    about = {"number 5": "Number 5 is even.", "number 1": "Number 1 is odd."}
    text = as_latex(table(*columns, spare=("number 5", "number 4"), about=about))
    assert text.startswith("% without number 5: see the CSV file\n\\begin{table}[t]")
    assert "\\caption{All of it. Number 1 is odd.}" in text
    whole = as_latex(table(*columns, about=about))
    assert whole.startswith("\\begin{table*}[t]")
    assert "\\caption{All of it. Number 5 is even. Number 1 is odd.}" in whole


def test_no_difference_is_printed_without_its_p():
    columns = ("source", *(f"number {i}" for i in range(7)), "p\nnew dev")
    text = as_latex(table(*columns, spare=("number 5", "p\nnew dev")))
    assert "number 5" in text and "p \\\\ new dev" in text
    assert "\\begin{table*}[t]" in text


def test_what_latex_would_take_for_commands_is_literal():
    text = as_latex(table("a_b", "50 %", rows=[("[x]", "<0.001")], title="A & B"))
    assert "a\\_b & 50 \\% \\\\" in text
    assert "\\textbf{A \\& B}" in text
    assert "{}[x] & $<$0.001 \\\\" in text


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """All tables of a study in which something of each kind occurs."""
    root = tmp_path_factory.mktemp("studies")
    make_study(root / "in_print", grid=GRID, missing=0.05, degenerate=0.3, diverged=0.05, seed=2)
    assert summarize(["in_print", "--root", str(root), "--no-figures"]) == 0
    return (root / "in_print/summary/summary.tex").read_text(encoding="utf-8")


def test_tables_in_print_have_titles_in_place_of_names(printed):
    for name in ("hellaswag-p@2000", "winogrande-xs", "\nnone &"):
        assert name not in printed
    for title in ("HellaSwag-p@2k\\#1", "WinoGrande", "\nNone &"):
        assert title in printed


def test_tex_takes_the_tables_and_none_is_wider_than_its_place(printed, tmp_path):
    pdflatex = shutil.which("pdflatex")
    if pdflatex is None:
        pytest.skip("no pdflatex on this machine")
    (tmp_path / "tables.tex").write_text(printed, encoding="utf-8")
    (tmp_path / "paper.tex").write_text(PAPER, encoding="utf-8")
    run = subprocess.run(
        [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "paper"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2_000:]
    assert not re.findall(r"Overfull \\hbox.*in (?:paragraph|alignment).*", run.stdout)
    assert printed.count("\\begin{table}[t]") > printed.count("\\begin{table*}[t]") > 0
    assert latex([]) in printed


def test_a_table_without_rows_has_its_heads():
    empty = TextTable("t", "Nothing.", ("source", "n"), ())
    assert "source & n \\\\\n\\bottomrule" in as_latex(empty)

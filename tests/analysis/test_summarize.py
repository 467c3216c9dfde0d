"""summarize.py: what it prints and writes, and the mistakes that it tells."""

import json
import os
import re
import shutil
import subprocess
import sys
import types
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from analysis.read.columns import FRAME, NARROW, WIDE_COLUMNS
from analysis.stats.degenerate import DEFINITIONS
from analysis.summarize import main
from analysis.tables.presentation import TITLES
from stilt.folder import StudyFolder, read_study
from stilt.study import Study
from tests.support.fake_study import SMALL, TINY, fail_source, make_study

EXPORTS = {
    "cells.parquet", "cells.csv", "summary.csv", "summary.json", "summary.md", "summary.tex",
    "differences.csv", "pooled.csv", "variance.csv", "flips.csv", "power.csv", "effects.csv",
    "expected_best.csv", "csv-metadata.json",
}  # fmt: skip


def run(*args: str, figures: bool = False) -> int:
    return main([*args, *([] if figures else ["--no-figures"])])


def summary(root: Path, name: str = "tiny") -> dict:
    return json.loads((root / name / "summary" / "summary.json").read_text())


def test_a_study_is_shown_and_exported_and_every_file_is_named(root, capsys):
    assert run("tiny", "--root", str(root)) == 0
    shown = capsys.readouterr()
    assert "RTE" in shown.out and "CoLA (MCC)" in shown.out
    assert "16 cells: 16 scored." in shown.out
    folder = root / "tiny" / "summary"
    assert {path.name for path in folder.iterdir()} == EXPORTS | {"cache"}
    (line,) = shown.err.splitlines()
    place, _, names = line.removeprefix("wrote in ").partition(": ")
    assert place == str(folder)
    named = [name.partition(".") for name in names.split()]
    assert {
        f"{stem}.{kind}" for stem, _, kinds in named for kind in kinds.strip("{}").split(",")
    } == EXPORTS


@pytest.mark.parametrize("definition", ["auto", "majority"])
def test_every_table_has_a_title_and_one_of_them_says_what_degenerate_means(
    tmp_path, capsys, monkeypatch, definition
):
    monkeypatch.setenv("COLUMNS", "2000")
    make_study(tmp_path / "own", grid=SMALL)
    assert run("own", "--root", str(tmp_path), "--degenerate", definition, "--all") == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    titles = [before for before, line in pairwise(lines) if before and not line]
    assert [line for line in titles if line in TITLES.values()] == [
        TITLES[name]
        for name in "targets details variance flips power evaluate sources effects".split()
    ]
    captions = [line for line in lines if line.startswith("own: ")]
    assert len(captions) == 8
    meant = f"{DEFINITIONS[definition]}, or a non-finite loss"
    assert [meant in caption for caption in captions] == [True, *[False] * 7]
    assert f" {definition}, as above; " in captions[1]
    assert "degenerate runs (as above) at each level" in captions[-1]
    # a file may stand alone
    written = (tmp_path / "own/summary/summary.md").read_text()
    assert written.count(meant) == 2
    assert "as above" not in written


def test_what_is_odd_in_the_rows_stands_in_every_note_without_the_rows(root, capsys):
    odd = [{"kind": "overlap", "text": "dev: 3 of 9 rows have a text that stands in train, too."}]
    kept = {"digest": "0", "train": 9, "dev": 9, "where": "here", "odd": odd}
    path = StudyFolder(root / "tiny").data_digest("rte")
    path.parent.mkdir(exist_ok=True)
    # a source's draw of them has the same
    for name in ("rte", "rte-2000"):
        path.with_stem(name).write_text(json.dumps(kept))
    assert run("tiny", "--root", str(root), figures=True) == 0
    line = f"Data of rte: {odd[0]['text']}"
    assert capsys.readouterr().out.count(line) == 1
    assert line in summary(root)["notes"]
    assert line in (root / "tiny/summary/report.html").read_text()


def test_a_path_names_a_study_too(root, capsys):
    assert run(str(root / "tiny")) == 0
    assert "16 cells" in capsys.readouterr().out


def test_without_a_name_every_study_below_the_root_is_summarized(root, capsys):
    make_study(root / "other", grid=TINY | {"name": "other"}, missing=1.0)
    (root / "no study").mkdir()
    assert run("--root", str(root)) == 0
    shown = capsys.readouterr().out
    assert "16 cells: 16 scored." in shown
    assert "16 cells: 16 missing." in shown


def test_the_exports_hold_every_cell_of_the_grid(root):
    run("tiny", "--root", str(root))
    folder = root / "tiny" / "summary"
    study = read_study(StudyFolder(root / "tiny"))
    cells = pl.read_parquet(folder / "cells.parquet")
    assert dict(cells.schema) == FRAME
    assert cells["cell"].to_list() == list(study.cells)
    narrow = {name: kind for name, kind in FRAME.items() if name not in WIDE_COLUMNS}
    times = dict.fromkeys(("started", "finished"), pl.String)
    csv = pl.read_csv(folder / "cells.csv", schema=narrow | times)
    assert (folder / "cells.csv").read_text().splitlines()[0] == ",".join(narrow)
    assert csv["score"].to_list() == cells["score"].to_list()  # to the last digit


def test_the_numbers_are_the_same_in_every_export(root):
    run("tiny", "--root", str(root))
    folder = root / "tiny" / "summary"
    table = summary(root)
    csv = pl.read_csv(folder / "summary.csv")
    assert csv["mean"].to_list() == [row["mean"] for row in table["summary"]]
    gaps = pl.read_csv(folder / "differences.csv")
    assert gaps["mean_low"].to_list() == [row["mean_low"] for row in table["differences"]]
    row = table["summary"][0]
    cells = pl.read_parquet(folder / "cells.parquet")
    some = cells.filter(pl.col("target") == "rte", pl.col("source") == "none")
    assert row["mean"] == some["score"].mean()
    percent = f"{100 * row['mean']:.1f}"
    assert (
        f"| none | 4 | {100 * row['min']:.1f} | {percent} |" in (folder / "summary.md").read_text()
    )
    # a column of a paper has no room for min
    assert f"None & 4 & {percent} &" in (folder / "summary.tex").read_text()


def test_latex_has_as_many_columns_as_it_says_and_no_bare_special_character(tmp_path):
    make_study(tmp_path / "a_b", grid=SMALL, missing=0.3)
    run(str(tmp_path / "a_b"))
    text = (tmp_path / "a_b" / "summary" / "summary.tex").read_text()
    assert r"a\_b: dev scores in percent" in text
    found = re.findall(r"\\begin{tabular}{@{}(\w+)@{}}\n(.*?)\\end{tabular}", text, re.DOTALL)
    assert len(found) == text.count(r"\begin{table")
    for columns, body in found:
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        ands = [line.replace(r"\&", "").count("&") for line in lines if "multicolumn" not in line]
        assert set(ands) == {len(columns) - 1}
    assert not {character for character in text if ord(character) > 127}


@pytest.mark.parametrize("format", ["markdown", "latex", "csv", "json"])
def test_only_the_chosen_format_goes_to_stdout(root, capsys, format):
    assert run("tiny", "--root", str(root), "--format", format) == 0
    shown = capsys.readouterr().out
    folder = root / "tiny" / "summary"
    if format == "markdown":
        assert shown == "## tiny\n\n" + (folder / "summary.md").read_text()
    elif format == "latex":
        assert shown == (folder / "summary.tex").read_text()
    elif format == "csv":
        assert pl.read_csv(shown.encode()).drop("study").equals(pl.read_csv(folder / "summary.csv"))
    else:
        assert json.loads(shown) == [summary(root)]


@pytest.mark.parametrize("format", ["table", "csv"])
def test_a_reader_that_has_enough_costs_no_file_and_no_complaint(root, format):
    reading, writing = os.pipe()
    os.close(reading)
    script = Path(__file__).parents[2] / "analysis" / "summarize.py"
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, script, "tiny", "--root", root, "--no-figures", "--format", format],
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 0
    folder = root / "tiny" / "summary"
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"wrote in {folder}: ")
    assert {path.name for path in folder.iterdir()} == EXPORTS | {"cache"}


def test_csv_of_several_studies_is_one_table(root, capsys):
    make_study(root / "other", grid=TINY, missing=1.0)
    assert run("tiny", "other", "--root", str(root), "--format", "csv") == 0
    frame = pl.read_csv(capsys.readouterr().out.encode())
    assert frame["study"].to_list() == ["tiny"] * 4 + ["other"] * 4


def test_what_is_missing_failed_or_left_out_is_said_with_its_reason(tmp_path, capsys):
    study = make_study(tmp_path / "s", grid=TINY)
    folder = StudyFolder(tmp_path / "s")
    cells = list(study.cells)
    source = study.source_named("hellaswag")
    assert source
    fail_source(folder, study, source)
    folder.result(cells[0]).write_text("")
    folder.result(cells[1]).unlink()
    shutil.copy(folder.result(cells[2]), folder.results / "twice.json")
    assert run(str(folder.path)) == 0
    shown = capsys.readouterr().out
    assert "16 cells: 6 scored, 10 missing." in shown
    assert "hellaswag on rte 4 of 4, none on rte 2 of 4" in shown or (
        "none on rte 2 of 4, hellaswag on rte 4 of 4" in shown
    )
    assert "Source hellaswag failed (" in shown and "8 cells need it." in shown
    assert "Left out: 2 files (1 duplicated, 1 empty)." in shown
    assert f"results/{cells[0]}.json: not a whole line of JSON" in shown
    assert f"results/twice.json: holds cell {cells[2]}, whose own file is" in shown
    table = summary(tmp_path, "s")
    assert table["cells"] == {"missing": 10, "ok": 6}
    assert {row["file"]: row["kind"] for row in table["left_out"]} == {
        f"results/{cells[0]}.json": "empty",
        "results/twice.json": "duplicate",
    }
    assert len(table["not_scored"]) == 10


def test_failed_cells_are_counted_by_class(tmp_path, capsys):
    make_study(tmp_path / "s", grid=TINY, failed=1.0)
    assert run(str(tmp_path / "s")) == 0
    shown = capsys.readouterr().out
    assert "16 cells: 16 failed." in shown
    lines = [line for line in shown.splitlines() if line.startswith("Failed: ")]
    assert sum(int(line.split()[1]) for line in lines) == 16
    assert all(", log logs/" in line for line in lines)


def test_results_of_several_commits_are_pointed_out(tmp_path, capsys):
    study = make_study(tmp_path / "s", grid=TINY)
    folder = StudyFolder(tmp_path / "s")
    path = folder.result(next(iter(study.cells)))
    path.write_text(path.read_text().replace('"code":"cccccccccccc"', '"code":"dddddddddddd"'))
    assert run(str(folder.path)) == 0
    assert "results come from 2 versions of the code: cccccccccccc 15, dddddddddddd 1" in (
        capsys.readouterr().out
    )


def test_cells_and_sources_that_memory_made_smaller_are_named(tmp_path, capsys):
    study = make_study(tmp_path / "s", grid=TINY)
    folder = StudyFolder(tmp_path / "s")
    cells = list(study.cells.values())
    (source, *_) = study.sources
    whole = cells[0].hyperparameters.batch_size
    for path, chunk in (
        (folder.result(cells[0].id), whole // 2),
        (folder.result(cells[1].id), cells[1].hyperparameters.batch_size),
        (folder.source(source) / "result.json", 1),
    ):
        record = json.loads(path.read_text())
        record["training"]["chunk"] = chunk
        path.write_text(json.dumps(record) + "\n")
    assert run(str(folder.path)) == 0
    shown = capsys.readouterr().out
    assert "Smaller passes: 1 of 16 cells, under which memory ran out" in " ".join(shown.split())
    assert f"{cells[0].id} ({whole // 2} of {whole} examples)" in " ".join(shown.split())
    assert f"Smaller passes: 1 of {len(study.sources)} sources" in " ".join(shown.split())
    assert f"{source} (1 of 16 examples)" in " ".join(shown.split())


def test_cells_that_the_grid_pairs_with_nothing_are_pointed_out_and_their_pairs_counted(
    tmp_path, capsys
):
    block = TINY["blocks"][0]
    more = block | {"sources": ["hellaswag"], "targets": ["rte"], "learning_rate": [5e-6]}
    make_study(tmp_path / "s", grid=TINY | {"blocks": [block, more]})
    assert run(str(tmp_path / "s")) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "No pair: hellaswag on rte 2 of 6. The grid has no run of none with their" in shown
    details = (tmp_path / "s" / "summary" / "summary.md").read_text().partition("| pairs |")[2]
    rows = [line.split("|") for line in details.splitlines() if "| hellaswag |" in line]
    assert [row[11].strip() for row in rows[:2]] == ["4 of 6", "4"]


def test_a_study_without_a_result_says_so_and_is_no_mistake(tmp_path, capsys):
    make_study(tmp_path / "s", grid=TINY, missing=1.0, sources=False)
    assert run(str(tmp_path / "s")) == 0
    shown = capsys.readouterr().out
    assert "16 cells: 16 missing.\nNo result yet." in shown
    table = pl.read_csv(tmp_path / "s" / "summary" / "summary.csv")
    assert table.height == 4
    assert table["mean"].null_count() == 4


def test_bytes_of_the_exports_depend_on_the_results_alone(root):
    run("tiny", "--root", str(root))
    folder = root / "tiny" / "summary"
    first = {name: (folder / name).read_bytes() for name in EXPORTS}
    shutil.rmtree(folder)
    run("tiny", "--root", str(root))
    assert {name: (folder / name).read_bytes() for name in EXPORTS} == first


def test_a_narrow_terminal_does_without_some_columns(root, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run("tiny", "--root", str(root)) == 0
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    last = next(n for n, line in enumerate(lines) if "source" in line and "mean" in line)
    heads = " ".join(lines[last - 1 : last + 1])
    assert "Δ mean" in heads and "Δ best" not in heads
    assert all(len(line) <= 80 for line in shown.splitlines() if " none " in line)
    assert "Δ best" in (root / "tiny" / "summary" / "summary.md").read_text()


def test_a_misspelt_study_is_answered_with_the_nearest(root, capsys):
    assert run("tinny", "--root", str(root)) == 2
    assert capsys.readouterr().err == (
        "error: unknown study 'tinny'. Did you mean 'tiny'? Known: tiny. "
        f"Studies are looked for in {root}.\n"
    )


def test_a_folder_that_is_no_study_is_refused(tmp_path, capsys):
    assert run(str(tmp_path)) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}: no study here (study.json is absent).\n"


def test_a_root_without_a_study_is_refused(tmp_path, capsys):
    assert run("--root", str(tmp_path)) == 2
    assert f"error: {tmp_path}: no study here. Begin one with:" in capsys.readouterr().err


def test_a_damaged_study_file_is_named(root, capsys):
    (root / "tiny" / "study.json").write_text("{")
    assert run("tiny", "--root", str(root)) == 2
    assert f"error: {root / 'tiny' / 'study.json'}: cannot be read" in capsys.readouterr().err


def test_an_unknown_flag_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--degenrate", "loss"])
    assert stopped.value.code == 2
    assert "--degenerate" in capsys.readouterr().err


def test_figures_and_report_are_given_what_they_need(root, monkeypatch, capsys):
    seen = {}

    def write_figures(cells: pl.DataFrame, study: Study, folder: Path, frames) -> list[Path]:
        seen.update(cells=cells, study=study, folder=folder, frames=frames)
        return [folder / "violins.png"]

    def write_report(collection, summary, differences, figures, notes, **more) -> Path:
        seen.update(notes=notes, figures=figures, sources=collection.sources, **more)
        return collection.folder.summary / "report.html"

    for name, function in (("figures.pictures", write_figures), ("report.page", write_report)):
        module = types.ModuleType(f"analysis.{name}")
        setattr(module, function.__name__, function)
        monkeypatch.setitem(sys.modules, f"analysis.{name}", module)
    assert run("tiny", "--root", str(root), "--degenerate", "loss", figures=True) == 0
    assert seen["study"].name == "tiny"
    assert seen["folder"] == root / "tiny" / "summary"
    assert {*NARROW, "loss", "degenerate", "threshold"} == set(seen["cells"].columns)
    assert seen["asked"].definition == "loss"
    assert seen["frames"]["variance"].height == 4
    assert [table.name for table in seen["spread"]] == ["variance", "flips", "power"]
    counted, warning = seen["notes"]
    assert "scored" in counted
    assert warning.startswith("Tests that cannot reject on")
    assert seen["sources"]["source"].to_list() == ["hellaswag"]
    err = capsys.readouterr().err
    assert "violins.png" in err and "report.html" in err
    next((root / "tiny" / "results").glob("*.json")).unlink()
    assert run("tiny", "--root", str(root), figures=True) == 0
    count, missing = seen["notes"][:2]
    assert count == "16 cells: 15 scored, 1 missing."
    assert missing.startswith("Missing: ")


@pytest.mark.slow
def test_the_real_figures_and_report_are_written(root):
    assert run("tiny", "--root", str(root), figures=True) == 0
    folder = root / "tiny" / "summary"
    page = (folder / "report.html").read_text()
    assert "Results" in page
    assert "Tests that cannot reject on rte, cola: 2 configurations" in page
    assert (folder / "violins.png").stat().st_size > 1000


def test_a_broken_study_costs_no_other_its_summary(root, capsys):
    (root / "broken").mkdir()
    (root / "broken/study.json").write_text("{")
    assert run("--root", str(root)) == 0
    printed = capsys.readouterr()
    assert "tiny" in printed.out
    assert f"left out: {root / 'broken/study.json'}: cannot be read" in printed.err

"""The paper's tables with a study's numbers beside its own, against hand-computed values."""

import polars as pl
import pytest

from analysis.read.collect import collect
from analysis.stats.differences import differences_against_none
from analysis.stats.summary import summarize_cells
from analysis.summarize import main as summarize
from analysis.tables.latex import as_latex
from analysis.tables.paper import REPORTS, covered, read_paper, report
from analysis.tables.presentation import as_markdown
from stilt.folder import StudyFolder
from stilt.grid import SourceTraining, load_grid
from stilt.study import bind
from tests.support.fake_study import TINY, make_study


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A fake study of the paper's grid ``name``: (study, cells, summary, differences)."""
    found = {}

    def make(name):
        if name not in found:
            path = tmp_path_factory.mktemp(name)
            study = make_study(path, grid=load_grid(name))
            cells = collect(StudyFolder(path), study).cells
            frames = summarize_cells(cells), differences_against_none(cells)
            found[name] = (study, cells, *frames)
        return found[name]

    return make


def rows(table):
    return {(s.title, row[0]): row[1:] for s in table.sections for row in s.rows}


def test_the_papers_numbers_are_those_printed_in_it():
    paper = read_paper()
    assert {name for name in REPORTS if name not in paper.reports} == {"figure2", "figure3"}
    printed = {
        (name, cell.source, cell.target): cell.printed
        for name, table in paper.reports.items()
        for cell in table.cells
    }
    assert printed["table2", "hellaswag", "wic"] == ("70.6", "73.7")
    assert printed["table3", "hella-sh", "mednli"] == ("+1.4 / ±0.0",)
    assert printed["table4", "hellaswag-p", "winogrande-xs"] == ("56.4",)
    assert printed["ablations", "hellaswag", "synthesis-gpt2"] == ("75.3",)
    for table in paper.reports.values():
        assert all(len(cell.printed) == len(table.columns) for cell in table.cells)


@pytest.mark.parametrize("name", REPORTS)
def test_every_place_of_a_report_is_a_cell_of_the_grid_of_the_same_name(name):
    study = bind(load_grid(name), "x")
    there = {(cell.source, cell.target) for cell in study.cells.values()}
    table = read_paper().reports.get(name)
    wanted = {(cell.source, cell.target) for cell in table.cells} if table else set()
    assert wanted <= there


def test_table3_shows_mean_and_best_differences_beside_the_papers(made):
    study, cells, summary, differences = made("table3")
    shown = rows(report("table3", study, cells, summary, differences))
    scores = {
        source: cells.filter(pl.col("source") == source, pl.col("target") == "wic")["score"]
        for source in ("none", "cola")
    }
    mean = 100 * (scores["cola"].mean() - scores["none"].mean())
    best = 100 * (scores["cola"].max() - scores["none"].max())
    ours = f"{mean:+.1f} / {best:+.1f}".replace("-", "−")
    assert shown["WiC", "cola"] == ("+3.9 / −0.3", ours, "36")


def test_table4_shows_evaluations_and_a_dash_where_there_is_none(made):
    study, cells, summary, differences = made("table4")
    without = summary.filter(pl.col("source") != "none")
    shown = rows(report("table4", study, cells, without, differences))
    assert shown["SocialIQA", "none"] == ("35.0", "–", "–")
    score = cells.filter(pl.col("source") == "hellaswag-p", pl.col("target") == "winogrande-xs")[
        "score"
    ][0]
    assert shown["WinoGrande-XS", "hellaswag-p"] == ("56.4", f"{100 * score:.1f}", "1")


def test_a_task_that_stands_in_for_the_papers_is_named(made):
    study, cells, summary, differences = made("table4")
    other = summary.with_columns(pl.col("source").replace("hellaswag-p", "hellaswag-p-cut"))
    table = report("table4", study, cells, other, differences)
    assert rows(table)["SocialIQA", "hellaswag-p"][1] != "–"
    assert "hellaswag-p-cut stands in for hellaswag-p." in table.told()


def grid_of(sources, seeds, target="wic", **more):
    block = {
        "sources": sources, "targets": [target], "learning_rate": [1e-5, 2e-5],
        "batch_size": [8], "warmup_ratio": [0.0], "seed": seeds,
    }  # fmt: skip
    model = {"hub": "org/encoder", "revision": "0" * 40}
    return {"name": "own", "model": model, "blocks": [block], **more}


def shown_of(name, path, grid, **options):
    study = make_study(path, grid=grid, **options)
    cells = collect(StudyFolder(path), study).cells
    summary, differences = summarize_cells(cells), differences_against_none(cells)
    return report(name, study, cells, summary, differences)


def test_a_number_says_on_how_many_trials_it_rests_where_the_study_is_not_done(tmp_path):
    grid = grid_of(["none", "cola", "hella-sh"], [12, 42])
    study = make_study(tmp_path, grid=grid, score=lambda _: 0.8)
    folder = StudyFolder(tmp_path)
    cells = [cell for cell in study.cells.values() if cell.source == "cola"]
    for cell in cells[1:]:
        folder.result(cell.id).unlink()
    found = collect(folder, study).cells
    frames = summarize_cells(found), differences_against_none(found)
    shown = rows(report("table3", study, found, *frames))
    assert shown["WiC", "cola"][1:] == ("±0.0 / ±0.0", "1 of 4 pairs")
    assert shown["WiC", "hella-sh"][1:] == ("±0.0 / ±0.0", "4")
    shown = rows(report("table2", study, found, *frames))
    assert shown["WiC", "none"][2:] == ("80.0", "4")
    assert shown["rte", "none"][2:] == ("–", "–")


def test_a_source_of_another_seed_or_several_has_a_row_for_each(tmp_path):
    sources = ["none", {"task": "hellaswag", "seeds": [12, 42]}]
    sources.append({"task": "hellaswag", "train_size": 2000})
    level = {"none": 0.6, "hellaswag#12": 0.7, "hellaswag#42": 0.8, "hellaswag@2000": 0.9}
    grid = grid_of(sources, [12])
    table = shown_of("table2", tmp_path, grid, score=lambda cell: level[cell.source], dev_rows=100)
    shown = rows(table)
    assert shown["WiC", "hellaswag (seed 12)"] == ("70.6", "73.7", "70.0", "2")
    assert shown["WiC", "hellaswag (seed 42)"] == ("70.6", "73.7", "80.0", "2")
    assert ("WiC", "hellaswag") not in shown
    other = grid_of(["none", "cola"], [12], source={"seeds": [7]})
    table = shown_of("table3", tmp_path / "seven", other)
    assert rows(table)["WiC", "cola (seed 7)"][2] == "2"


def test_a_study_of_several_seeds_of_its_sources_plans_the_papers_tables_too(tmp_path):
    grid = load_grid("table4").model_copy(update={"source": SourceTraining(seeds=(12, 42))})
    study = make_study(tmp_path, grid=grid, missing=1.0)
    assert covered(summarize_cells(collect(StudyFolder(tmp_path), study).cells)) == ("table4",)


def test_table4_shows_the_mean_over_heads_not_the_best_of_them(tmp_path):
    score = {seed: 0.3 + seed / 100 for seed in (1, 2, 3)}
    evaluate = [{"sources": ["none"], "tasks": ["socialiqa"], "seed": seed} for seed in score]
    grid = {**grid_of([], []), "blocks": [], "evaluate": evaluate}
    table = shown_of(
        "table4", tmp_path, grid, score=lambda cell: score[cell.seed], dev_rows=100, degenerate=0
    )
    assert rows(table)["SocialIQA", "none"] == ("35.0", "32.0", "3")
    assert "seeds of the head, is their mean" in table.told()


def test_figure3_tells_the_seeds_of_a_source_apart(tmp_path):
    sources = ["none", {"task": "hellaswag-p", "train_size": 2000, "seeds": [1, 2]}, "hellaswag-p"]
    table = shown_of("figure3", tmp_path, grid_of(sources, [12]))
    assert table.header == ("source", "rows", "seed", "trials", "Δ mean", "Δ best")
    assert [row[1:4] for row in table.sections[0].rows] == [
        ("2,000", "1", "2"), ("2,000", "2", "2"), ("39,905", "42", "2"),
    ]  # fmt: skip


def test_figure3_lists_every_training_size(made):
    study, cells, summary, differences = made("figure3")
    table = report("figure3", study, cells, summary, differences)
    assert [row[1] for row in table.sections[0].rows] == ["2,000", "10,000", "39,905"]


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_can_be_written_as_markdown_and_latex(made, name):
    study, cells, summary, differences = made(name)
    table = report(name, study, cells, summary, differences)
    assert as_markdown(table).count("|") > 10
    text = as_latex(table)
    assert "\\toprule" in text and "\\bottomrule" in text


def test_the_command_prints_and_writes_a_report_by_name(made, tmp_path, capsys):
    study = make_study(tmp_path / "table4", grid=load_grid("table4"))
    arguments = ["table4", "--root", str(tmp_path), "--report", "table4", "--no-figures"]
    assert summarize([*arguments]) == 0
    printed = capsys.readouterr().out
    assert "Table 4: zero-shot accuracy" in printed
    assert "56.4" in printed
    for suffix in ("md", "tex", "csv"):
        assert "56.4" in (tmp_path / study.name / f"summary/table4.{suffix}").read_text()
    assert summarize([*arguments, "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("report,target,source,paper,here,trials\n")


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("paper", ("table2", "table3", "table4", "ablations")),
        ("full", ("table2",)),
        ("table4", ("table4",)),
        ("demo", ()),
    ],
)
def test_a_study_gets_the_papers_tables_that_it_plans_whole(name, tables, tmp_path):
    study = make_study(tmp_path, grid=load_grid(name), missing=1.0)
    summary = summarize_cells(collect(StudyFolder(tmp_path), study).cells)
    assert covered(summary) == tables


def test_the_papers_tables_come_with_a_studys_own_and_stand_in_its_report(tmp_path, capsys):
    study = make_study(tmp_path / "table4", grid=load_grid("table4"))
    assert summarize(["table4", "--root", str(tmp_path), "--all"]) == 0
    printed = capsys.readouterr().out
    assert "sources scored without training on the target" in printed
    assert "Table 4: zero-shot accuracy" in printed
    assert "56.4" in (tmp_path / study.name / "summary/table4.md").read_text()
    page = (tmp_path / study.name / "summary/report.html").read_text()
    assert "Beside the paper" in page
    assert '<td class="n">56.4</td>' in page


@pytest.mark.parametrize(
    ("name", "lacking"),
    [
        ("table2", "cell of a source (none, "),
        ("table4", "and a target (socialiqa, winogrande-xs) without training on it."),
        ("figure3", "source that is trained with several numbers of rows."),
    ],
)
def test_a_table_of_which_a_study_has_nothing_is_refused(tmp_path, capsys, name, lacking):
    block = TINY["blocks"][0] | {"sources": ["none", "cola"], "targets": ["boolq"]}
    make_study(tmp_path / "own", grid=TINY | {"blocks": [block]})
    arguments = ["own", "--root", str(tmp_path), "--report", name, "--no-figures"]
    assert summarize(arguments) == 2
    told = capsys.readouterr()
    assert told.err.startswith(f"error: --report {name}: study 'own' has no ")
    assert lacking in told.err
    assert not told.out


def test_of_all_studies_those_without_a_table_are_left_out_and_one_that_was_named_is_refused(
    tmp_path, capsys
):
    block = TINY["blocks"][0] | {"sources": ["none", "cola"], "targets": ["boolq"]}
    make_study(tmp_path / "own", grid=TINY | {"blocks": [block]})
    make_study(tmp_path / "table2", grid="table2", missing=0.9)
    arguments = ["--root", str(tmp_path), "--report", "table2", "--no-figures"]
    assert summarize(arguments) == 0
    told = capsys.readouterr()
    assert "left out: --report table2: study 'own' has no cell" in told.err
    assert not (tmp_path / "own/summary/summary.md").exists()
    # before anything of the other one is written
    (tmp_path / "table2/summary/table2.md").unlink()
    assert summarize(["table2", "own", *arguments]) == 2
    assert not (tmp_path / "table2/summary/table2.md").exists()


def test_a_study_s_name_may_follow_the_table_s(tmp_path, capsys):
    make_study(tmp_path / "table2", grid="table2", missing=0.9)
    places = ["--root", str(tmp_path), "--no-figures"]
    assert summarize([*places, "--report", "table2", "table2"]) == 0
    assert "Table 2" in capsys.readouterr().out
    both = [*places, "table2", "--report", "table2", "--report", "table4"]
    assert summarize(both) == 2
    assert "--report table4: study 'table2' has no" in capsys.readouterr().err


def test_where_no_study_has_a_table_it_is_refused(tmp_path, capsys):
    block = TINY["blocks"][0] | {"sources": ["none", "cola"], "targets": ["boolq"]}
    for name in ("one", "two"):
        make_study(tmp_path / name, grid=TINY | {"blocks": [block]})
    assert summarize(["--root", str(tmp_path), "--report", "table2"]) == 2
    assert "--report table2: none of 2 studies has its cells." in capsys.readouterr().err


def test_a_table_that_is_asked_for_is_shown_alone_and_all_are_written(tmp_path, capsys):
    make_study(tmp_path / "paper", grid="table2", missing=0.9)
    arguments = ["paper", "--root", str(tmp_path), "--no-figures"]
    assert summarize(arguments) == 0
    names = {path.name for path in (tmp_path / "paper/summary").iterdir()}
    assert {"table2.md", "table2.csv"} <= names
    capsys.readouterr()
    (tmp_path / "paper/summary/table2.md").unlink()
    asked = ["--report", "figure2", "--report", "figure2"]
    assert summarize([*arguments, *asked]) == 0
    said = capsys.readouterr().out
    assert said.count("as annotated in") == 1
    assert "Table 2" not in said
    assert {path.name for path in (tmp_path / "paper/summary").iterdir()} >= {*names, "figure2.md"}

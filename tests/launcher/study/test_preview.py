"""The dry run: what is to run, and that nothing is written."""

import io
import json

from rich.console import Console

from launcher.study.costs.known import Division
from launcher.study.costs.planning import Means
from launcher.study.preview import show_plan
from launcher.study.resolve import ResolvedStudy
from launcher.submit import main as submit
from stilt.folder import StudyFolder, read_study
from stilt.records.results import Result, SourceResult, read_record, write_record
from stilt.system.units import span
from stilt.training.power import assumed, detectable
from tests.support.cell_frame import study_of
from tests.support.fake_study import damage
from tests.support.taken_study import begun, block, make_done


def shown(study, folder, tmp_path, others=(), gpus=1, width=160):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    resolved = ResolvedStudy(study, folder, None, None, tmp_path / "cache")
    means = Means(Division("this machine: made up", 1, 1, gpus))
    show_plan(resolved, others, console, executor="local", bundles=lambda cells: 64, means=means)
    return console.file.getvalue()


def counts(text, target):
    """Rows of a target in the table of cells."""
    lines = text.partition("stages, in order")[0].splitlines()
    return [line for line in lines if line.strip(" │┃|").startswith(f"{target} ")]


def test_a_dry_run_tells_what_is_to_run_and_writes_nothing(empty, tmp_path):
    study, folder = empty
    before = sorted(folder.path.rglob("*"))
    text = shown(study, folder, tmp_path)
    assert "study small: 8 cells, 0 done, 0 held by live jobs, 8 to run." in text.replace(
        f"study {study.name}", "study small"
    )
    target = next(iter(study.cells.values())).target
    (row,) = counts(text, target)
    assert [part for part in row.split() if part.isdigit()] == ["2", "2", "4"]
    assert "cells to run, by target and source" in text
    assert "source hellaswag" in text
    assert ", if a GPU does" in text
    assert sorted(folder.path.rglob("*")) == before


def test_without_a_gpu_no_hours_of_gpus_are_made_up(empty, tmp_path):
    study, folder = empty
    text = " ".join(shown(study, folder, tmp_path, gpus=0).split())
    assert "no estimate of hours: nothing was measured on this processor yet" in text
    assert "GPU-" not in text


def test_more_sources_than_targets_stand_below_each_other_unbroken(tmp_path):
    sizes = [{"task": "hellaswag", "train_size": size} for size in (500, 1000, 1500, 2000)]
    new = begun(tmp_path, grid=block(sources=["none", "hellaswag", *sizes], targets=["rte"]))
    lines = shown(new.study, new.folder, tmp_path, width=60).splitlines()
    table = lines[lines.index("cells to run, by target and source") :]
    assert table[1].split() == ["source", "rte", "all"]
    assert [line.split() for line in table[3:10]] == [
        ["none", "2", "2"],
        ["hellaswag", "2", "2"],
        *([f"hellaswag@{size}", "2", "2"] for size in (500, 1000, 1500, 2000)),
        ["all", "12", "12"],
    ]


def test_a_dry_run_of_a_finished_study_has_nothing_to_run(finished, tmp_path):
    study, folder = finished
    text = shown(study, folder, tmp_path)
    assert "8 done, 0 held by live jobs, 0 to run" in text
    assert "nothing to run." in text


def test_a_dry_run_goes_on_past_a_damaged_or_foreign_result(finished, tmp_path):
    study, folder = finished
    first, second, *rest = study.cells
    damage(folder.result(first))
    result = read_record(Result, folder.result(second))
    foreign = result.model_copy(update={"cell": result.cell.model_copy(update={"target": "gone"})})
    write_record(foreign, folder.results / "ffffffffffff.json")
    text = shown(study, folder, tmp_path)
    assert "7 done, 0 held by live jobs, 1 to run" in text
    assert ", at the finished cells' speed." in text
    for cell in [second, *rest]:
        folder.result(cell).unlink()
    text = shown(study, folder, tmp_path)
    assert "0 done, 0 held by live jobs, 8 to run" in text
    assert ", if a GPU does" in text


def test_a_dry_run_tells_what_is_to_be_taken_over_from_where_and_what_that_saves(tmp_path):
    done = make_done(tmp_path, "elsewhere")
    new = begun(tmp_path, grid=block(batch_size=[8, 16, 32]), like=done)
    records = {cell: read_record(Result, done.result(cell)) for cell in read_study(done).cells}
    here = next(iter(records))
    write_record(records[here], new.folder.result(here))
    before = sorted(tmp_path.rglob("*"))
    text = shown(new.study, new.folder, tmp_path, [done])
    assert "12 cells, 1 done, 0 held by live jobs, 7 to be taken over, 4 to run" in text
    assert "cells by target and source: done here / to be taken over / to run" in text
    (row,) = counts(text, "rte")
    assert [part for part in row.split() if "/" in part] == ["1/1/1", "0/2/1", "1/3/2"]
    lines = [line.split() for line in text.splitlines() if str(done.path) in line]
    assert [line[1:-2] for line in lines] == [
        ["source", "hellaswag", "1"],
        ["cells", "of", "none", "rte", "1"],
        ["cells", "of", "none", "cola", "2"],
        ["cells", "of", "hellaswag", "rte", "2"],
        ["cells", "of", "hellaswag", "cola", "2"],
    ]
    spent = [sum(records[c].timings.model_dump().values()) for c in records if c != here]
    source = read_record(SourceResult, next(done.path.glob("sources/*/result.json")))
    saved = sum(spent) + sum(source.timings.model_dump().values())
    assert f" 8 {span(saved)}" in " ".join(text.split())
    # the source is there for the cells that are to be run
    assert "source hellaswag" not in text.partition("stages, in order")[2]
    assert ", at the finished cells' speed" in text
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_names_what_cannot_be_taken_over(tmp_path):
    done = make_done(tmp_path, "elsewhere")
    new = begun(tmp_path, like=done)
    cell = next(iter(new.study.cells))
    damage(done.result(cell))
    text = shown(new.study, new.folder, tmp_path, [done])
    assert f"not taken over: {done.result(cell)}" in "".join(text.split("\n"))
    assert "7 to be taken over, 1 to run" in text


def power_of(text, target):
    """The words of a target's row in the table of power."""
    lines = text.partition("smallest difference from none")[2].splitlines()
    (row,) = (line.split() for line in lines if line.strip().startswith(f"{target} "))
    return row


def test_a_dry_run_tells_the_smallest_difference_that_the_plan_can_show(tmp_path):
    axes = {"learning_rate": [1e-5, 2e-5, 3e-5], "batch_size": [8, 16], "seed": [12, 42]}
    study = study_of(targets=["rte", "cola"], **axes)
    text = shown(study, StudyFolder(tmp_path / "s"), tmp_path)
    smallest = [
        f"{100 * detectable(6, 12, dev, assumed(metric), alpha):.1f}"
        for metric, dev in (("accuracy", 277), ("mcc", 1043))
        for alpha in (0.05, 0.025)
    ]
    assert power_of(text, "rte") == ["rte", "277", "6", "x", "2", *smallest[:2], "assumed"]
    assert power_of(text, "cola") == ["cola", "1,043", "6", "x", "2", *smallest[2:], "assumed"]
    words = " ".join(text.split())
    assert "with a probability of 80 % at p < 0.05" in words
    assert "assumed: SD of a run's score" in words
    # 2 / 2**6, over two comparisons 1/16
    assert (
        "Tests that cannot reject on rte, cola: 6 configurations can be swapped in 64 ways, so the "
        "p of degenerate runs, of --interval narrow and of interim looks is never below 1/32, and "
        "after Holm's method over the table never below 0.062." in words
    )


def test_a_dry_run_measures_the_spread_by_finished_pairs(tmp_path):
    rates = [1e-5, 2e-5, 3e-5]
    done = make_done(tmp_path, "done", grid=block(learning_rate=rates, batch_size=[8, 16]))
    study = read_study(done)
    done.result(next(cell.id for cell in study.cells.values() if cell.target == "cola")).unlink()
    text = shown(study, done, tmp_path)
    assert power_of(text, "rte")[-2:] == ["6", "pairs"]
    assert power_of(text, "cola")[-1] == "assumed"


def test_a_dry_run_of_a_grid_without_none_compares_nothing(tmp_path):
    text = shown(study_of(["hellaswag"]), StudyFolder(tmp_path / "s"), tmp_path)
    assert "power: no source is compared with none on any target." in text


def own_task(folder, *rows):
    """A task file without a size, and its rows; returns a grid's file."""
    (folder / "pets.toml").write_text(
        'kind = "classification"\ntext_a = "{question}"\nlabels = ["yes", "no"]\n'
        'max_length = 30\nepochs = 2\n[[data]]\ntrain = "train.jsonl"\ndev = "dev.jsonl"\n'
    )
    (folder / "data").mkdir()
    if rows:
        for name in ("train", "dev"):
            lines = [json.dumps(row) for row in rows]
            (folder / "data" / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "own.toml").write_text(
        'sources = ["none", "cola"]\ntargets = ["pets"]\nlearning_rate = [1e-5]\n'
        "batch_size = [8]\nwarmup_ratio = [0.0]\nseed = [1, 2]\n"
        "[source]\nlearning_rate = 1e-5\nbatch_size = 8\nwarmup_ratio = 0.0\n"
        '[model]\nhub = "org/encoder"\nrevision = "0"\n'
    )
    return ["--grid", "own.toml", "--data-dir", "data", "--executor", "local", "--dry-run"]


def test_a_dry_run_counts_the_rows_of_ones_own_task(tmp_path, monkeypatch, capsys):
    rows = [{"question": f"a cat {n}", "label": "yes" if n % 2 else "no"} for n in range(30)]
    command = own_task(tmp_path, *rows)
    monkeypatch.chdir(tmp_path)
    assert submit(command) == 0
    told = capsys.readouterr().out
    (power,) = [line.split() for line in told.splitlines() if line.split()[:2] == ["pets", "30"]]
    assert power[2:5] == ["1", "x", "2"]
    assert "its size is a guess" not in told


def test_a_dry_run_says_that_a_source_wants_more_rows_than_there_are(tmp_path, monkeypatch, capsys):
    rows = [{"question": f"a cat {n}", "label": "yes" if n % 2 else "no"} for n in range(30)]
    command = own_task(tmp_path, *rows)
    grid = tmp_path / "own.toml"
    more = '{task = "pets", train_size = 5000}'
    grid.write_text(grid.read_text().replace('"cola"', more))
    monkeypatch.chdir(tmp_path)
    assert submit(command) == 2
    said = "not as it is: source pets@5000: train_size = 5000, but pets has 30 training rows."
    assert said in capsys.readouterr().out


def test_a_dry_run_refuses_rows_that_the_submit_would_refuse(tmp_path, monkeypatch, capsys):
    command = own_task(tmp_path, {"text": "a cat", "label": "yes"})
    monkeypatch.chdir(tmp_path)
    assert submit(command) == 2
    assert "question" in capsys.readouterr().err


def test_a_dry_run_says_whose_rows_are_not_here(tmp_path, monkeypatch, capsys):
    command = own_task(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert submit(command) == 2
    printed = capsys.readouterr().out
    assert "task pets: its rows are not here, so its size is a guess." in printed
    assert "not as it is: task 'pets': no data found. Tried: " in printed
    assert "Dry run: nothing was written." in printed


def test_a_source_may_take_more_rows_than_its_task_takes_of_them(tmp_path, monkeypatch, capsys):
    rows = [{"question": f"a cat {n}", "label": "yes" if n % 2 else "no"} for n in range(30)]
    command = own_task(tmp_path, *rows)
    grid, task = tmp_path / "own.toml", tmp_path / "pets.toml"
    task.write_text("train_size = 4\n" + task.read_text())
    grid.write_text(grid.read_text().replace('"cola"', '{task = "pets", train_size = 8}'))
    monkeypatch.chdir(tmp_path)
    assert submit(command) == 0
    assert "not as it is" not in capsys.readouterr().out

"""Notes on what was not run for the study itself."""

from dataclasses import replace

from analysis.notes.gaps import describe
from analysis.read.collect import collect
from stilt.data.oddities import Oddity
from stilt.folder import read_study
from stilt.records.pins import keep, new_pin
from stilt.records.results import Result, SourceResult, TakenFrom, read_record, write_record
from tests.support.taken_study import make_done

ELSEWHERE = TakenFrom(study="first", folder="/logs/first", when="2026-11-30T00:00:00+00:00")


def notes(folder):
    return describe(collect(folder, read_study(folder)))


def test_what_was_taken_over_is_counted_by_study(tmp_path):
    folder = make_done(tmp_path)
    study = read_study(folder)
    assert not [line for line in notes(folder) if "Taken over" in line]
    cells = list(study.cells)
    for cell, name in zip(cells, ["first", "first", "second"], strict=False):
        record = read_record(Result, folder.result(cell))
        taken = ELSEWHERE.model_copy(update={"study": name})
        write_record(record.model_copy(update={"taken_from": taken}), folder.result(cell))
    (source,) = study.sources
    path = folder.source(source) / "result.json"
    record = read_record(SourceResult, path)
    write_record(record.model_copy(update={"taken_from": ELSEWHERE}), path)
    assert [line for line in notes(folder) if "Taken over" in line] == [
        "Taken over: 3 of 8 cells, not run anew: 2 from study first, 1 from study second.",
        "Taken over: 1 of 1 sources, not run anew: 1 from study first.",
    ]


def test_cells_that_started_from_different_weights_of_one_source_are_told(tmp_path):
    folder = make_done(tmp_path)
    cells = [cell for cell in read_study(folder).cells.values() if cell.source_id]
    starts = ["a" * 64, "a" * 64, "b" * 64]
    for cell, start in zip(cells, starts, strict=False):
        record = read_record(Result, folder.result(cell.id))
        write_record(record.model_copy(update={"start": start}), folder.result(cell.id))
    (line,) = (line for line in notes(folder) if "sets of weights" in line)
    assert line.startswith("Mixed: cells of hellaswag started from 2 sets of weights")


def test_what_is_odd_in_a_draw_of_a_task_s_rows_is_told_of_that_task_once(tmp_path):
    folder = make_done(tmp_path)
    odd = Oddity(kind="overlap", text="dev: 3 of 9 rows have a text that stands in train, too.")
    other = Oddity(kind="blank", text="train: no text in a in 1 row: 2.")
    # earlier versions put a dash before a number of rows
    kept = {"cola": odd, "cola@500": odd, "hellaswag-p@2000": other, "rte-50": other}
    for name, found in kept.items():
        keep(folder.data_digest(name), name, new_pin("0", 9, [0, 1], "here", (found,)), None)
    study = read_study(folder)
    tasks = study.tasks | dict.fromkeys(("cola", "hellaswag-p", "hellaswag"), study.tasks["rte"])
    known = collect(folder, study)
    lines = describe(replace(known, study=study.model_copy(update={"tasks": tasks})))
    assert [line for line in lines if line.startswith("Data of ")] == [
        f"Data of cola: {odd.text}",
        f"Data of hellaswag-p: {other.text}",
        f"Data of rte: {other.text}",
    ]

"""The dry run: what is to run, and that nothing is written."""

import io

from rich.console import Console

from launcher.study.preview import show_plan
from launcher.study.resolve import ResolvedStudy
from stilt.records.results import Result, read_record, write_record
from tests.support.fake_study import damage


def shown(study, folder, tmp_path):
    console = Console(file=io.StringIO(), width=160, color_system=None)
    resolved = ResolvedStudy(study, folder, None, None, tmp_path / "cache")
    show_plan(resolved, console, executor="local", bundles=None)
    return console.file.getvalue()


def test_a_dry_run_tells_what_is_to_run_and_writes_nothing(empty, tmp_path):
    study, folder = empty
    before = sorted(folder.path.rglob("*"))
    text = shown(study, folder, tmp_path)
    assert "study small: 8 cells, 0 done, 0 held by live jobs, 8 to run." in text.replace(
        f"study {study.name}", "study small"
    )
    target = next(iter(study.cells.values())).target
    (row,) = (line for line in text.splitlines() if line.strip(" │┃|").startswith(f"{target} "))
    assert [part for part in row.split() if part.isdigit()] == ["2", "2", "4"]
    assert "source hellaswag" in text
    assert "GPU-hours, if a GPU does" in text
    assert sorted(folder.path.rglob("*")) == before


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
    assert "worker-hours, at the finished cells' speed." in text
    for cell in [second, *rest]:
        folder.result(cell).unlink()
    text = shown(study, folder, tmp_path)
    assert "0 done, 0 held by live jobs, 8 to run" in text
    assert "GPU-hours, if a GPU does" in text

import errno
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from analysis.read import cache
from analysis.read.collect import collect
from analysis.read.records import read_results
from tests.support.result_files import change, cut_short, first_cell, row


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Files that each call reads."""
    calls: list[list[str]] = []

    def counted(root: Path, files: Iterable[str]) -> Any:
        calls.append(list(files))
        return read_results(root, files)

    monkeypatch.setattr(cache, "read_results", counted)
    return calls


def test_a_second_call_reads_only_new_and_changed_files(tiny, reads):
    folder, study = tiny
    cells = list(study.cells)
    held_back = folder.result(cells[0]).read_bytes()
    folder.result(cells[0]).unlink()
    first = collect(folder, study)
    second = collect(folder, study)
    assert second.cells.equals(first.cells)
    folder.result(cells[0]).write_bytes(held_back)
    change(folder.result(cells[1]), lambda table: table["provenance"].update(host="elsewhere"))
    third = collect(folder, study)
    assert [len(files) for files in reads] == [15, 2]
    assert row(third, cells[0])["status"] == "ok"
    assert row(third, cells[1])["host"] == "elsewhere"


def test_a_result_that_is_taken_away_is_missing_again(tiny):
    folder, study = tiny
    cell = first_cell(study)
    assert row(collect(folder, study), cell)["status"] == "ok"
    folder.result(cell).unlink()
    assert row(collect(folder, study), cell)["status"] == "missing"


def test_a_damaged_cache_is_read_again(tiny, reads):
    folder, study = tiny
    first = collect(folder, study)
    for part in (folder.summary / "cache").glob("*.parquet"):
        part.write_bytes(part.read_bytes()[:100])
    assert collect(folder, study).cells.equals(first.cells)
    assert [len(files) for files in reads] == [16, 16]


def test_many_small_parts_are_joined(tiny, monkeypatch):
    folder, study = tiny
    whole = collect(folder, study)
    shutil.rmtree(folder.summary)
    monkeypatch.setattr(cache, "PARTS", 5)
    with cache.locked(folder):
        lazy, problems = cache.cached_results(folder, batch=2)
        assert lazy.collect().height == 16
    assert problems == []
    assert len(list((folder.summary / "cache").glob("results-*.parquet"))) == 1
    assert collect(folder, study).cells.equals(whole.cells)


def test_what_other_code_cached_is_not_read(tiny, reads, monkeypatch):
    folder, study = tiny
    first = collect(folder, study)
    monkeypatch.setattr(cache, "code_version", lambda *_, text="": "newer")
    assert collect(folder, study).cells.equals(first.cells)
    assert [len(files) for files in reads] == [16, 16]
    names = {path.name for path in (folder.summary / "cache").glob("*.parquet")}
    assert names == {"grid-newer.parquet", "results-newer-000001.parquet"}


def test_calls_at_the_same_time_read_each_file_once(tiny, reads):
    folder, study = tiny
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: collect(folder, study), range(4)))
    assert [len(files) for files in reads] == [16]
    assert all(other.cells.equals(found[0].cells) for other in found)


def test_many_files_are_read_by_several_processes(tiny, monkeypatch):
    folder, study = tiny
    whole = collect(folder, study).cells
    shutil.rmtree(folder.summary)
    spoilt = list(study.cells)[::5]
    for cell in spoilt:
        cut_short(folder.result(cell))
    monkeypatch.setattr(cache, "MANY", 16)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    with cache.locked(folder):
        lazy, problems = cache.cached_results(folder, batch=5)
    assert sorted(problem.file for problem in problems) == sorted(
        f"results/{cell}.json" for cell in spoilt
    )
    assert lazy.collect().height == 16 - len(spoilt)
    read = collect(folder, study).cells.filter(~pl.col("cell").is_in(spoilt))
    assert read.equals(whole.filter(~pl.col("cell").is_in(spoilt)))
    assert len(list((folder.summary / "cache").glob("results-*.parquet"))) == 4


@pytest.mark.parametrize(("free", "kind"), [(0, OSError), (2**30, pl.exceptions.ComputeError)])
def test_a_write_that_finds_no_room_says_so_whatever_polars_calls_it(tiny, monkeypatch, free, kind):
    def refused(*arguments, **options):
        raise pl.exceptions.ComputeError("parquet: File out of specification")

    monkeypatch.setattr(pl.LazyFrame, "sink_parquet", refused)
    monkeypatch.setattr(cache, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, free))
    folder, study = tiny
    with pytest.raises(kind) as refusal:
        collect(folder, study)
    assert getattr(refusal.value, "errno", errno.ENOSPC) == errno.ENOSPC
    assert not list((folder.summary / "cache").glob("*.parquet"))

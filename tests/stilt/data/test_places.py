"""Files of a split: as a task names them, in folders of any capitals, and exports of the Hub."""

import json

import pytest

from stilt.data.load import load_splits
from stilt.data.places import find, find_alike, find_below
from stilt.data.render import Example
from stilt.errors import DataError
from stilt.task import load_task
from tests.support.row_files import row_bytes

HUB_RTE = [
    {"sentence1": "It rained.", "sentence2": "It was wet.", "label": 0, "idx": 0},
    {"sentence1": "It snowed.", "sentence2": "It was hot.", "label": 1, "idx": 1},
]
RTE = [
    Example((("It rained.", "It was wet."),), 0),
    Example((("It snowed.", "It was hot."),), 1),
]


def put(folder, name, rows, form=None):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(row_bytes(rows, form or path.suffix[1:]))


def test_a_plain_file_is_preferred_to_its_gz_and_none_is_told(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert find(path) is None
    (tmp_path / "rows.jsonl.gz").write_bytes(b"")
    assert find(path) == tmp_path / "rows.jsonl.gz"
    path.write_text("")
    assert find(path) == path
    assert find(tmp_path) is None


def test_a_name_that_no_file_can_have_is_not_there(tmp_path):
    assert find(tmp_path / ("x" * 300)) is None
    assert find_below(tmp_path, f"{'x' * 300}/a.jsonl") is None


def test_folders_are_found_in_capitals_too_but_their_own_spelling_comes_first(tmp_path):
    (tmp_path / "RTE").mkdir()
    (tmp_path / "RTE" / "train.jsonl.gz").write_bytes(b"")
    assert find_below(tmp_path, "rte/train.jsonl") == tmp_path / "RTE" / "train.jsonl.gz"
    assert find_below(tmp_path, "rte/val.jsonl") is None
    assert find_below(tmp_path, "wic/train.jsonl") is None
    (tmp_path / "rte").mkdir()
    (tmp_path / "rte" / "train.jsonl").write_bytes(b"")
    assert find_below(tmp_path, "rte/train.jsonl") == tmp_path / "rte" / "train.jsonl"
    assert find_below(tmp_path, str(tmp_path / "RTE/train.jsonl")) == (
        tmp_path / "RTE" / "train.jsonl.gz"
    )


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv", "parquet", "arrow"])
@pytest.mark.parametrize("dev", ["val", "dev", "validation"])
def test_rows_are_found_in_any_format_and_under_each_name_of_the_dev_split(tmp_path, form, dev):
    put(tmp_path, f"rte/train.{form}", HUB_RTE)
    put(tmp_path, f"rte/{dev}.{form}", HUB_RTE[:1])
    splits = load_splits(load_task("rte"), tmp_path)
    assert (splits.train, splits.dev) == (RTE, RTE[:1])
    assert splits.files[1] == str(tmp_path / f"rte/{dev}.{form}")


def test_a_json_file_may_hold_one_object_a_line(tmp_path):
    put(tmp_path, "rte/train.json", HUB_RTE, "jsonl")
    put(tmp_path, "rte/val.json", HUB_RTE, "json")
    assert load_splits(load_task("rte"), tmp_path).train == RTE


@pytest.mark.parametrize(
    "layout",
    [
        "{name}/{split}-0000{i}-of-00002.parquet",
        "glue/{name}/{split}-0000{i}-of-00002.parquet",
        "{name}/{split}/data-0000{i}-of-00002.arrow",
        "{name}/{split}/000{i}.parquet",
    ],
    ids=["clone", "clone of all", "save_to_disk", "converted"],
)
def test_what_the_hub_s_tools_leave_is_read_in_all_its_parts(tmp_path, layout):
    for split in ("train", "validation"):
        for i, row in enumerate(HUB_RTE):
            put(tmp_path, layout.format(name="rte", split=split, i=i), [row])
    splits = load_splits(load_task("rte"), tmp_path)
    assert (splits.train, splits.dev) == (RTE, RTE)


@pytest.mark.parametrize("name", ["", ".", "..", "own/.."])
def test_a_name_of_a_folder_is_no_name_of_rows(tmp_path, name):
    (tmp_path / "own").mkdir()
    (tmp_path / "0001.parquet").touch()
    (tmp_path / "own/0001.parquet").touch()
    assert find_alike(tmp_path, name) == []


def test_brackets_in_a_name_stand_for_themselves(tmp_path):
    put(tmp_path, "train[1]-00000-of-00001.parquet", HUB_RTE)
    put(tmp_path, "train1-00000-of-00001.parquet", HUB_RTE)
    assert find_alike(tmp_path, "train[1].jsonl") == [tmp_path / "train[1]-00000-of-00001.parquet"]


def test_a_split_of_which_a_part_is_missing_is_refused(tmp_path):
    put(tmp_path, "rte/train-00000-of-00003.parquet", HUB_RTE)
    put(tmp_path, "rte/validation.parquet", HUB_RTE)
    with pytest.raises(
        DataError, match=r"rte/train-00000-of-00003\.parquet: of the split's 3 files 1 are there\."
    ):
        load_splits(load_task("rte"), tmp_path)


def test_files_that_the_task_names_win_over_exports(tmp_path):
    (tmp_path / "RTE").mkdir()
    head = "index\tsentence1\tsentence2\tlabel\n"
    (tmp_path / "RTE/train.tsv").write_text(f"{head}0\tA.\tB.\tentailment\n")
    (tmp_path / "RTE/dev.tsv").write_text(f"{head}0\tC.\tD.\tentailment\n")
    put(tmp_path, "RTE/train.parquet", HUB_RTE)
    put(tmp_path, "RTE/val.parquet", HUB_RTE)
    assert load_splits(load_task("rte"), tmp_path).dev == [Example((("C.", "D."),), 0)]


def test_a_task_of_one_s_own_is_found_in_another_format_too(tmp_path):
    put(tmp_path, "mine/train.csv", HUB_RTE)
    put(tmp_path, "mine/dev.csv", HUB_RTE)
    (tmp_path / "mine.toml").write_text(
        'kind = "classification"\ntext_a = "{sentence1}"\ntext_b = "{sentence2}"\n'
        'labels = ["0", "1"]\nmax_length = 20\nepochs = 1\n'
        '[[data]]\ntrain = "mine/train.jsonl"\ndev = "mine/dev.jsonl"\n'
    )
    assert load_splits(load_task("mine", (tmp_path,)), tmp_path).train == RTE


def test_labels_are_read_as_tables_write_truth_values_and_whole_numbers(tmp_path):
    rows = [
        {"word": "go", "sentence1": "I go.", "sentence2": "You go.", "label": "True"},
        {"word": "go", "sentence1": "I go.", "sentence2": "It goes.", "label": "False"},
    ]
    put(tmp_path, "wic/train.csv", rows)
    put(
        tmp_path,
        "wic/validation.parquet",
        [{**row, "label": float(i)} for i, row in enumerate(rows)],
    )
    splits = load_splits(load_task("wic"), tmp_path)
    assert [example.label for example in splits.train] == [1, 0]
    assert [example.label for example in splits.dev] == [0, 1]


def test_socialiqa_s_labels_may_stand_beside_its_rows(tmp_path):
    row = {"context": "a", "question": "b?", "answerA": "c", "answerB": "d", "answerC": "e"}
    for split in ("train", "validation"):
        put(tmp_path, f"siqa/{split}.parquet", [{**row, "label": "2"}])
    assert [e.label for e in load_splits(load_task("socialiqa"), tmp_path).dev] == [1]


def test_hellaswag_s_lists_are_read_from_a_table_of_text(tmp_path):
    row = {"ctx_a": "a", "ctx_b": "b", "endings": json.dumps(list("wxyz")), "label": "3"}
    for split in ("train", "validation"):
        put(tmp_path, f"hellaswag/{split}.csv", [row])
    (example,) = load_splits(load_task("hellaswag"), tmp_path).dev
    assert example.label == 3
    assert example.pairs[3] == ("a", "b z")


def test_each_size_of_winogrande_is_found_by_its_own_name_alone(tmp_path):
    row = {"sentence": "The _ is here.", "option1": "cat", "option2": "dog", "answer": "1"}
    for split in ("train", "validation"):
        put(tmp_path, f"winogrande/winogrande_m/{split}.parquet", [row])
    assert load_splits(load_task("winogrande-m"), tmp_path).train[0].label == 0
    assert find_alike(tmp_path, "winogrande/train_xs.jsonl") == []

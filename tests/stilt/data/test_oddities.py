"""What is odd in rows and may be meant is counted, named and kept; what is usual is not."""

from pathlib import Path

import pytest

from stilt.data.load import load_splits
from stilt.data.oddities import (
    Oddity,
    Tally,
    fewer_rows,
    kept_oddities,
    oddities_of_splits,
)
from stilt.data.render import Example, render
from stilt.data.splits import Splits
from stilt.folder import StudyFolder
from stilt.records.pins import keep, new_pin
from stilt.task import load_task
from tests.support.json_lines import write_jsonl
from tests.support.plain_task import plain_task


def odd(rows, **changes):
    task = plain_task(**changes)
    tally = Tally(task)
    render(task, [{"label": "no"} | row for row in rows], "rows", tally)
    return [(oddity.kind, oddity.text) for oddity in tally.found("train")]


USUAL = [{"a": "one"}, {"a": "two"}]


def test_usual_rows_have_nothing_odd():
    assert odd(USUAL) == []
    assert odd([{"a": "[header] How to <b>bake</b> {it}"}, *USUAL]) == []


@pytest.mark.parametrize(
    ("rows", "kind", "text"),
    [
        (
            [*USUAL, {"a": 1}, {"a": 2.5}, {"a": True}, {"a": 4}],
            "numbers",
            "train: 'a' is a number or a truth value in 4 rows: 3, 4, 5 and 1 more: read as Python "
            "writes it.",
        ),
        ([*USUAL, {"a": "NaN"}], "absent", "train: 'a' is the word 'NaN' in row 3: read as that "
         "word."),
        ([*USUAL, {"a": "null"}], "absent", "train: 'a' is the word 'null' in row 3: read as that "
         "word."),
        (
            [{"a": "['sits.', 'runs.']"}, *USUAL],
            "printed",
            "train: 'a' looks like a printed list or table in row 1: read as it stands; a template "
            "can name its items, as {a[0]}.",
        ),
        (
            [*USUAL, {"a": "a </s> b"}, {"a": "</s></s>"}],
            "special",
            "train: '</s>' stands in 2 rows: 3, 4: read as these characters, not as a token of the "
            "tokenizer's own; its separator is {sep} in a template.",
        ),
        (
            [*USUAL, {"a": "the [SEP] token"}],
            "special",
            "train: '[SEP]' stands in row 3: read as these characters, not as a token of the "
            "tokenizer's own; its separator is {sep} in a template.",
        ),
        ([{"a": ""}, *USUAL, {"a": " \n"}], "blank", "train: no text in a in 2 rows: 1, 4."),
        (
            [{"a": ""}, *USUAL, {"a": " "}, {"a": ""}, {"a": ""}, *USUAL, {"a": ""}],
            "blank",
            "train: no text in a in 5 rows: 1, 4-6, 9.",
        ),
        (
            [*USUAL, {"a": '"She said ""no"""'}],
            "quoted",
            "train: 'a' looks like a quoted cell of CSV in row 3: read as it stands, with its "
            "quote marks.",
        ),
        ([{"a": "same"}] * 3, "constant", "train: every row has the same text."),
    ],
)  # fmt: skip
def test_what_is_odd_is_told_with_its_rows(rows, kind, text):
    assert odd(rows) == [(kind, text)]


def test_a_list_with_more_items_than_the_templates_name_is_told():
    rows = [{"a": ["x", "y"]}, {"a": ["v", "w", "z"]}]
    assert odd(rows, text_a="{a[0]} {a[1]}") == [
        ("items", "train: 'a' has more than 2 items in row 2: the templates name no others.")
    ]


def test_numbers_in_a_list_are_told_too():
    found = odd([{"a": ["x"]}, {"a": [5]}], text_a="{a[0]}")
    assert [kind for kind, _ in found] == ["numbers"]


def test_a_blank_beside_text_and_one_that_a_row_function_makes_are_usual():
    # HellaSwag's WikiHow rows have no ctx_b; a WinoGrande sentence may begin with its blank
    assert odd([{"a": "", "b": "x"}, {"a": "y", "b": ""}], text_a="{a} {b}") == []
    rows = [{"sentence": "_ ran.", "label": "no"}, {"sentence": "Jo saw _.", "label": "no"}]
    assert odd(rows, row="split_at_blank", text_a="{before}", text_b="{after}") == []


def examples(*rows):
    return [Example(((text, None),), label) for text, label in rows]


def of_splits(train, dev, **changes):
    found = oddities_of_splits(plain_task(**changes), examples(*train), examples(*dev))
    return [(oddity.kind, oddity.text) for oddity in found]


BOTH = [("a", 0), ("b", 1), ("c", 0)]


def test_rows_of_dev_that_stand_in_train_are_counted():
    assert of_splits(BOTH, [("d", 0), ("e", 1)]) == []
    assert of_splits(BOTH, [("b", 1), ("a", 1), ("e", 0)]) == [
        ("overlap", "dev: 2 of 3 rows have a text that stands in train, too.")
    ]
    assert of_splits(BOTH, BOTH[::-1]) == [
        ("overlap", "dev has the very rows of train (3): its score tells what was remembered.")
    ]


def test_a_split_of_one_class_and_a_class_of_dev_alone_are_told():
    assert of_splits(BOTH, [("d", 1), ("e", 1)]) == [
        ("classes", "dev: every row has the label 'yes': its score tells nothing.")
    ]
    assert of_splits([("a", 0), ("b", 0)], [("d", 1), ("e", 0)]) == [
        ("classes", "train: every row has the label 'no': nothing can be learnt.")
    ]
    three = [["no"], ["yes"], ["maybe"]]
    assert of_splits(BOTH, [("d", 2), ("e", 2), ("f", 1)], labels=three) == [
        ("classes", "dev has labels that no row of train has: 'maybe' (2 rows).")
    ]


def test_the_place_of_a_gold_option_tells_nothing():
    # SynthesisGPT2's is always the first
    changes = {"kind": "multiple-choice", "text_a": None, "choices": ["{a}", "{b}"]}
    assert of_splits([("a", 0), ("b", 0)], [("c", 0), ("d", 0)], **changes) == []


REAL = {
    "cola": ["dev: 16 of 1043 rows have a text that stands in train, too."],
    "rte": [],
    "wic": [],
    "winogrande-m": [],
    "hellaswag-cut": [],
    "socialiqa-cut": [],
}


@pytest.mark.parametrize("name", REAL)
def test_the_papers_data_have_nothing_odd_but_colas_repeated_sentences(name, data_dir):
    assert [oddity.text for oddity in load_splits(load_task(name), data_dir).odd] == REAL[name]


def pin(folder, name, splits):
    new = new_pin(splits.digest(), len(splits.train), splits.gold, splits.where, splits.odd)
    keep(folder.data_digest(name), name, new, None)


def test_what_is_odd_is_kept_with_the_digest_of_the_rows(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", [{"a": "x", "label": 0}, {"a": "NaN", "label": 1}])
    write_jsonl(tmp_path / "dev.jsonl", [{"a": "x", "label": 0}, {"a": "z", "label": 1}])
    splits = load_splits(plain_task(), tmp_path)
    folder = StudyFolder(tmp_path / "study")
    assert kept_oddities(folder) == {}
    pin(folder, "t", splits)
    assert [oddity.kind for oddity in splits.odd] == ["absent", "overlap"]
    assert kept_oddities(folder) == {"t": splits.odd}
    folder.data_digest("u").write_text("damaged")
    folder.data_digest("v").write_text('{"digest": "0", "odd": 5}')
    assert kept_oddities(folder) == {"t": splits.odd}


def test_a_study_that_an_earlier_version_began_keeps_what_is_odd_from_now_on(tmp_path):
    found = (Oddity(kind="constant", text="train: every row has the same text."),)
    old = Splits(examples(("a", 0)), examples(("b", 0)), "here")
    folder = StudyFolder(tmp_path)
    pin(folder, "t", old)
    path = Path(folder.data_digest("t"))
    path.write_text(path.read_text().replace(', "odd": []', ""))
    assert '"odd"' not in path.read_text()
    pin(folder, "t", old)
    assert kept_oddities(folder) == {}
    pin(folder, "t", Splits(old.train, old.dev, "there", found))
    assert kept_oddities(folder) == {"t": found}


def test_every_blank_row_is_named_up_to_very_many():
    rows = [{"a": "" if i % 2 else "text"} for i in range(200)]
    ((_, text),) = odd(rows)
    assert text.startswith("train: no text in a in 100 rows: 2, 4, 6, ")
    assert text.endswith(", 118, 120 and 40 more places.")


def test_a_split_with_fewer_rows_than_its_task_file_says_is_told():
    rte = load_task("rte")
    (found,) = fewer_rows(rte, "train", 2489)
    assert found.text == "train: 2489 rows, and its task file speaks of 2490: is the file whole?"
    assert [*fewer_rows(rte, "dev", 277), *fewer_rows(rte, "dev", 300)] == []


def test_a_label_that_never_occurs_is_told():
    task = load_task("mednli")
    rows = [Example(((str(i), "b"),), i % 2) for i in range(4)]
    texts = [oddity.text for oddity in oddities_of_splits(task, rows[:2], rows[2:])]
    assert texts == ["no row of train or dev has the label 'neutral'."]


def test_a_regression_whose_labels_are_all_the_same_is_told():
    task = load_task("stsb")
    train = [Example(((str(i), "b"),), float(i)) for i in range(3)]
    dev = [Example(((str(i), "b"),), 2.5) for i in range(3, 5)]
    texts = [oddity.text for oddity in oddities_of_splits(task, train, dev)]
    assert texts == ["dev: every row has the label 2.5: its score tells nothing."]

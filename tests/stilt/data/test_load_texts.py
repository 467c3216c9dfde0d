"""Tasks whose rows come in several texts: which one is read, and what says so."""

import pytest

from launcher.stage import main as stage
from launcher.study.growth import Asked
from launcher.study.known_rows import KnownRows
from launcher.study.resolve import ResolvedStudy, begin, check_data
from stilt.data.load import load_splits
from stilt.errors import DataError
from stilt.folder import StudyFolder
from stilt.grid import Grid
from stilt.records.pins import read_pin
from stilt.study import bind
from stilt.system.files import write_text
from stilt.task import load_task
from tests.support.fake_study import TINY
from tests.support.json_lines import write_jsonl

ORIGINAL = "the original, tokenised distribution, as the paper's authors read it"
DETOKENISED = "SuperGLUE's edition, a detokenised variant of the original distribution"


def write_original(root, sentence="He left ."):
    """WiC as its authors give it out."""
    for split in ("train", "dev"):
        place = root / "WiC_dataset" / split
        place.mkdir(parents=True, exist_ok=True)
        line = f"leave\tV\t1-1\t{sentence}\tShe left ."
        (place / f"{split}.data.txt").write_text(f"{line}\n{line} {split}\n")
        (place / f"{split}.gold.txt").write_text("T\nF\n")


def write_superglue(root):
    """WiC as SuperGLUE gives it out."""
    for split in ("train", "val"):
        row = {"word": "leave", "sentence1": "He left.", "sentence2": "She left."}
        write_jsonl(root / f"wic/{split}.jsonl", [row | {"label": yes} for yes in (True, False)])


def resolved_in(root, *targets, **block):
    """A study of none and WiC, with its data beside it."""
    blocks = [TINY["blocks"][0] | {"sources": ["none"], "targets": list(targets)} | block]
    study = bind(Grid.model_validate(TINY | {"blocks": blocks}), "model", name="s")
    return ResolvedStudy(study, StudyFolder(root / "logs/s"), None, root, root / "cache")


def submit(resolved):
    """What a submit does with the rows, and a run that ends; the first sentence that it reads."""
    found = check_data(resolved)
    begin(resolved, found, lambda claim: False, Asked())
    folder, cell = resolved.folder, next(iter(resolved.study.cells))
    write_text(folder.result(cell), "a result, without which nothing has begun")
    return found["wic"][0].dev[0].pairs[0][1]


def test_wic_is_read_in_the_authors_text_where_it_is_there(tmp_path):
    write_superglue(tmp_path)
    assert load_splits(load_task("wic"), tmp_path).text == DETOKENISED
    write_original(tmp_path)
    splits = load_splits(load_task("wic"), tmp_path)
    assert (splits.text, splits.dev[0].pairs[0][1]) == (ORIGINAL, "She left .")


def test_a_study_keeps_the_text_that_it_was_begun_with(tmp_path):
    write_superglue(tmp_path)
    resolved = resolved_in(tmp_path, "wic")
    assert submit(resolved) == "She left."
    write_original(tmp_path)
    assert submit(resolved) == "She left."
    pin = read_pin(resolved.folder.data_digest("wic"))
    assert pin.text == DETOKENISED
    assert KnownRows(resolved, generated=False).pin("wic", None) == pin
    # so does a smaller draw of it, which the study has not seen yet
    smaller = KnownRows(resolved, generated=False).pin("wic", 1)
    assert (smaller.text, smaller.parts[1]) == (DETOKENISED, pin.parts[1])
    other = ResolvedStudy(resolved.study, StudyFolder(tmp_path / "other"), None, tmp_path, tmp_path)
    assert submit(other) == "She left ."


def test_a_broken_file_of_another_text_does_not_stop_a_study_that_has_begun(tmp_path):
    write_superglue(tmp_path)
    resolved = resolved_in(tmp_path, "wic")
    submit(resolved)
    write_original(tmp_path)
    (tmp_path / "WiC_dataset/dev/dev.gold.txt").write_text("T\n")
    assert submit(resolved) == "She left."
    with pytest.raises(DataError, match="1 labels for 2 rows"):
        load_splits(load_task("wic"), tmp_path)


def test_a_study_whose_text_is_gone_is_refused(tmp_path):
    write_original(tmp_path)
    resolved = resolved_in(tmp_path, "wic")
    submit(resolved)
    write_original(tmp_path, "He went .")
    write_superglue(tmp_path)
    with pytest.raises(DataError, match="task 'wic' has other rows"):
        submit(resolved)


def test_rte_says_which_text_its_rows_are(tmp_path):
    row = {"premise": "It rains.", "hypothesis": "It is wet.", "label": "entailment"}
    for split in ("train", "val"):
        write_jsonl(tmp_path / f"rte/{split}.jsonl", [row])
    assert load_splits(load_task("rte"), tmp_path).text == (
        "SuperGLUE's edition: GLUE's rows, 76 of them without their quotation marks"
    )
    # an export of GLUE's under the name of SuperGLUE's is told by its columns
    row = {"sentence1": "It rains.", "sentence2": "It is wet.", "label": 1}
    for split in ("train", "val"):
        write_jsonl(tmp_path / f"rte/{split}.jsonl", [row])
    assert load_splits(load_task("rte"), tmp_path).text.startswith("GLUE's edition")


@pytest.mark.parametrize("write", [write_original, write_superglue])
def test_show_says_which_text_the_rows_are(tmp_path, monkeypatch, capsys, write):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    assert stage(["--show", "wic", "--data-dir", "."]) == 0
    wanted = ORIGINAL if write is write_original else DETOKENISED
    assert f"\ntext: {wanted}\n" in capsys.readouterr().out

"""What is staged for a study, and what a person is told to fetch."""

import pytest

from stilt.data.staged import advice, needed
from stilt.task import load_task
from tests.support.fake_study import make_study
from tests.support.plain_task import plain_task


def test_mednli_is_told_with_its_files_and_its_owners():
    said = advice(load_task("mednli"), None)
    assert "mednli/mli_train_v1.jsonl and mednli/mli_dev_v1.jsonl" in said
    assert "STILT_DATA_DIR" in said
    assert "Romanov and Shivade 2018" in said


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("rte", "rte/train.jsonl and rte/val.jsonl"),
        ("multirc", "multirc/train.parquet and multirc/validation.parquet"),
    ],
)
def test_of_a_task_of_the_hub_the_local_files_are_told_that_would_do(name, files, tmp_path):
    assert advice(load_task(name), tmp_path).startswith(f"Put {files} below {tmp_path}; source: ")


def test_a_task_without_a_reference_has_no_source(tmp_path):
    said = advice(plain_task(), tmp_path)
    assert said == f"Put train.jsonl and dev.jsonl below {tmp_path}."


def test_of_a_task_of_a_wheel_nothing_is_told():
    assert advice(load_task("sst2-demo"), None) == ""


def test_every_split_that_some_run_reads_is_staged_once(tmp_path):
    study = make_study(tmp_path / "s", dev_rows=20, points=4)
    assert sorted(needed(study), key=str) == sorted(
        [
            ("rte", None),
            ("cola", None),
            ("winogrande-m", None),
            ("socialiqa", None),
            ("hellaswag", None),
            ("hellaswag-p", 1000),
        ],
        key=str,
    )

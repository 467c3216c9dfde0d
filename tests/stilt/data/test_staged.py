"""What is staged for a study, and what a person is told to fetch."""

from stilt.data.staged import advice, needed
from stilt.task import load_task
from tests.support.fake_study import make_study


def test_mednli_is_told_with_its_files_and_its_owners():
    said = advice(load_task("mednli"), None)
    assert "mednli/mli_train_v1.jsonl and mednli/mli_dev_v1.jsonl" in said
    assert "STILT_DATA_DIR" in said
    assert "Romanov and Shivade 2018" in said


def test_a_task_of_the_hub_needs_no_advice():
    assert advice(load_task("rte"), None) == ""


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

"""What ``stage --show`` tells of a task."""

import json

import pytest

from jobs import staging
from jobs.settings import StagingRequest
from launcher.stage import main as stage
from stilt.data.load import load_splits
from stilt.task import load_task
from tests.support.json_lines import write_jsonl

TASK = """
title = "Pairs"
kind = "classification"
metric = "f1"
text_a = "{a}{sep}{b}"
text_b = "{c}"
labels = ["no", "yes", ]
max_length = 12
epochs = 2
size = {train = 40, dev = 4, tokens = 9}
[[data]]
train = "pairs/train.jsonl"
dev = "pairs/dev.jsonl"
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "pairs.toml").write_text(TASK)
    rows = [
        {"a": f"first {i}", "b": "w", "c": "x " * (i % 16), "label": "yes" if i % 4 else "no"}
        for i in range(32)
    ]
    rows[5] |= {"a": " ", "b": "", "c": ""}
    rows[6] |= {"a": "", "b": "", "c": ""}
    rows[9] |= {"c": '"He said ""no"" twice"'}
    write_jsonl(tmp_path / "data/pairs/train.jsonl", rows)
    write_jsonl(tmp_path / "data/pairs/dev.jsonl", rows[:4])
    return tmp_path


@pytest.mark.parametrize("name", ["pairs", "pairs.toml"])
def test_a_task_is_shown_by_name_or_file_without_a_model(own, capsys, name):
    assert stage(["--show", name, "--data-dir", "data"]) == 0
    said = capsys.readouterr().out
    assert "Pairs (pairs): classification" in said
    assert "train, example 1  label no\n    A  first 0 {sep} w\n    B  \n" in said
    assert "train, example 2  label yes\n    A  first 1 {sep} w\n    B  x \n" in said
    assert "guessed from words: --model tells" in said
    assert "no       8 (25.0%)   1 (25.0%)" in said
    # 3 of 4 rows of dev are of the class; a guess finds half of them
    assert "f1 × 100 on dev: 85.7 for the best constant answer, 60.0 for a random guess" in said
    assert "one cell: 2 epochs of 32 rows, 4 updates of 16, " in said
    assert not (own / "logs").exists()


def test_what_is_odd_in_its_rows_is_told(own, capsys):
    stage(["--show", "pairs", "--data-dir", "data"])
    said = capsys.readouterr().out
    assert "train: no text in a and b in 2 rows: 6-7." in said
    assert "train: 'c' looks like a quoted cell of CSV in row 10" in said
    assert "train: 32 rows, and its task file speaks of 40: is the file whole?" in said
    assert "dev: 4 of 4 rows have a text that stands in train, too." in said


def test_lengths_are_those_of_a_model_s_tokenizer(own, roberta, capsys, monkeypatch):
    def run(request, console, *, online):
        sent = StagingRequest.model_validate_json(request.model_dump_json())
        return list(staging.stage_all(sent, lambda doing: None))

    monkeypatch.setattr("launcher.stage.run", run)
    assert stage(["--show", "pairs", "--data-dir", "data", "--model", str(roberta)]) == 0
    said = capsys.readouterr().out
    (line,) = (line.split() for line in said.splitlines() if line.startswith("train   "))
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(roberta)
    splits = load_splits(load_task("pairs", (own,)), own / "data")
    counts = [
        len(tokenizer([a.replace("\x1f", "</s>")], [b])["input_ids"][0])
        for example in splits.train
        for a, b in example.pairs
    ]
    assert line[1] == "32"
    assert line[2] == f"{sum(min(n, 12) for n in counts) / 32:.1f}"
    assert line[-2] == str(max(counts))
    assert line[-1] == f"{100 * sum(n > 12 for n in counts) / 32:.1f}%"
    assert "a GPU does 2e+13 FLOP/s (assumed)" in said


def test_options_are_shown_under_what_they_share_and_the_gold_one_is_marked(own, capsys):
    row = {"premise": "It fell.", "choice1": "It broke.", "choice2": "It flew."}
    row |= {"question": "effect", "label": 1}
    for split in ("train", "val"):
        write_jsonl(own / f"data/COPA/{split}.jsonl", [row])
    assert stage(["--show", "copa", "--data-dir", "data"]) == 0
    said = capsys.readouterr().out
    assert (
        "    A  It fell. {sep} What was the effect?\n    1  It broke.\n  → 2  It flew.\n"
    ) in said


def test_numbers_are_shown_by_their_spread(own, capsys):
    for split in ("train", "dev"):
        place = own / f"data/stsb/{split}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"sentence1": "a", "sentence2": str(i), "label": i} for i in range(6)]
        place.write_text(json.dumps(rows))
    assert stage(["--show", "stsb", "--data-dir", "data"]) == 0
    said = capsys.readouterr().out
    assert "label 0\n" in said
    assert "train      6       0    2.5      5     1.71" in said


def test_what_is_missing_is_told(own, capsys):
    assert stage(["--show", "pears", "--data-dir", "data"]) == 2
    assert "unknown task 'pears'. Did you mean 'pairs'?" in capsys.readouterr().err
    assert stage(["--show", "stsb", "--data-dir", "data"]) == 2
    assert "task 'stsb': no data found." in capsys.readouterr().err
    assert stage([]) == 2
    said = capsys.readouterr().err
    assert "--grid NAME (what is to be staged), --list tasks, --show TASK or --fields task" in said


def test_what_to_put_where_is_said_of_files_that_are_not_there_alone(own, capsys):
    place = own / "data/pairs/dev.jsonl"
    write_jsonl(place, [{"a": "a", "b": "b", "c": "c", "label": "perhaps"}])
    assert stage(["--show", "pairs", "--data-dir", "data"]) == 2
    said = capsys.readouterr().err
    assert "perhaps" in said
    assert "Put " not in said
    place.unlink()
    assert stage(["--show", "pairs", "--data-dir", "data"]) == 2
    assert "Put pairs/train.jsonl and pairs/dev.jsonl below" in capsys.readouterr().err

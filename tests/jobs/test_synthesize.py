"""SynthesisGPT2 as a stage: its files, and how it goes on after an interruption."""

import hashlib
import json

import pytest
import torch
from transformers import GPT2LMHeadModel

from jobs import sampler
from jobs import synthesize as synthesize_module
from stilt.data.load import load_splits
from stilt.errors import DataError, ResultError
from stilt.synthesis.datasheet import Datasheet, markdown
from stilt.task import load_task
from tests.support.small_synthesis import made, make_text, spec
from tests.support.tiny_generator import prose, save_tiny_gpt2


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_text(tmp_path_factory.mktemp("study"))


def rows_of(content):
    return [json.loads(line) for line in content.decode().splitlines()]


@pytest.fixture(scope="module")
def whole(study, tmp_path_factory):
    """An uninterrupted run: its folder and files."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, made(study, folder, batch=4)


def test_rows_are_the_ones_that_the_task_reads(whole):
    folder, files = whole
    train = rows_of(files["train.jsonl"])
    assert len(train) == 20
    for row in train:
        assert list(row) == ["ctx", "label", "endings"]
        assert row["label"] == 0
        assert len(row["endings"]) == 4
    splits = load_splits(load_task("synthesis-gpt2"), None, folder)
    assert (len(splits.train), len(splits.dev)) == (20, 4)
    assert splits.train[0].pairs[0] == (train[0]["ctx"], train[0]["endings"][0])


def test_each_premise_goes_on_with_its_own_real_ending(study, whole):
    text = {p["text"] for p in json.loads((study / "text.json").read_text())}
    everything = " ".join(" ".join(text).split())
    for row in rows_of(whole[1]["train.jsonl"]) + rows_of(whole[1]["dev.jsonl"]):
        assert f"{row['ctx']} {row['endings'][0]} " in everything


def test_dev_shares_no_document_with_train(whole):
    def documents(name):
        # sentence number -> document, four in each; the number is the first word
        return {int(row["ctx"].split()[0][1:]) // 4 for row in rows_of(whole[1][name])}

    assert not documents("train.jsonl") & documents("dev.jsonl")


def test_the_same_text_model_and_seed_give_the_same_files(study, whole, tmp_path):
    assert made(study, tmp_path, batch=4) == whole[1]


def test_another_seed_gives_other_files(study, whole, tmp_path):
    other = made(study, tmp_path, changes={"seed": 7})
    assert other["train.jsonl"] != whole[1]["train.jsonl"]


def test_the_batch_size_changes_nothing(study, whole, tmp_path):
    assert made(study, tmp_path / "one", batch=1) == whole[1]
    assert made(study, tmp_path / "all", batch=100) == whole[1]


class StopError(Exception):
    pass


def stop_after(rows):
    def progress(done, total):
        if done >= rows:
            raise StopError

    return progress


@pytest.mark.parametrize("rows", [1, 10, 21, 24])
def test_an_interrupted_run_goes_on_and_ends_with_the_same_files(
    study, whole, tmp_path, monkeypatch, rows
):
    with pytest.raises(StopError):
        made(study, tmp_path, batch=4, progress=stop_after(rows))
    assert not (tmp_path / "dev.jsonl").exists()
    kept = len(list(tmp_path.glob("parts/*/*.jsonl")))
    real, drawn_again = sampler.generate.continuations, []

    def counted(lm, batch, *rest):
        drawn_again.append(len(batch))
        return real(lm, batch, *rest)

    monkeypatch.setattr(sampler.generate, "continuations", counted)
    assert made(study, tmp_path, batch=4) == whole[1]
    assert kept >= 1
    assert sum(drawn_again) <= 24 - kept
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("moment", range(1, 9))
def test_a_run_killed_before_or_after_any_file_goes_on_to_the_same_files(
    study, whole, tmp_path, monkeypatch, moment, late
):
    # three batches of train, one of dev, two datasheets, two files of rows
    real, calls = synthesize_module.write_text, []

    def write_text(path, text):
        calls.append(path.name)
        if len(calls) == moment and not late:
            raise StopError
        real(path, text)
        if len(calls) == moment:
            raise StopError

    for module in (synthesize_module, sampler):
        monkeypatch.setattr(module, "write_text", write_text)
    with pytest.raises(StopError):
        made(study, tmp_path, batch=8)
    assert made(study, tmp_path, batch=8) == whole[1]
    batches = [name for name in calls if name.startswith(("train-", "dev-"))]
    assert len(batches) == 4 + (moment <= 4 and not late), "no batch is drawn twice"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "datasheet.json", "datasheet.md", "dev.jsonl", "train.jsonl",
    ]  # fmt: skip


@pytest.mark.parametrize("damage", ["", '{"ctx": 1}\n', "\ufffd\n"])
def test_a_damaged_batch_is_drawn_again(study, whole, tmp_path, damage):
    with pytest.raises(StopError):
        made(study, tmp_path, batch=4, progress=stop_after(10))
    for path in tmp_path.glob("parts/*/*.jsonl"):
        path.write_text(damage)
    assert made(study, tmp_path, batch=4) == whole[1]


@pytest.mark.parametrize("name", ["train.jsonl", "dev.jsonl"])
def test_rows_that_were_not_generated_here_are_not_written_over(study, tmp_path, name):
    (tmp_path / name).write_text("mine\n")
    message = rf"{name}: is there, and no datasheet\.json says that it was generated"
    with pytest.raises(ResultError, match=message):
        made(study, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine\n"


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"rows": 3}'])
def test_a_damaged_datasheet_is_told_by_its_name(study, tmp_path, content):
    (tmp_path / "datasheet.json").write_bytes(content)
    with pytest.raises(ResultError, match=r"datasheet\.json: ") as caught:
        made(study, tmp_path)
    assert "\n" not in str(caught.value)


def test_progress_counts_up_to_all_rows(study, tmp_path):
    told = []
    made(study, tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (24, 24)
    made(study, tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (24, 24)


def test_what_is_there_is_not_made_again_and_nothing_else_is_put_over_it(
    study, whole, tmp_path, monkeypatch
):
    made(study, tmp_path, batch=4)
    monkeypatch.setattr("jobs.synthesize.generate.load", None)
    made(study, tmp_path)
    with pytest.raises(ResultError, match=r"holds rows generated with seed 42, not 7\."):
        made(study, tmp_path, changes={"seed": 7})
    (tmp_path / "train.jsonl").write_text("{}\n")
    with pytest.raises(ResultError, match=r"train\.jsonl: not the file that datasheet\.json"):
        made(study, tmp_path)


def test_the_datasheet_says_what_was_made_from_what(study, whole):
    folder, files = whole
    sheet = Datasheet.model_validate_json((folder / "datasheet.json").read_text())
    assert sheet.spec == spec(study)
    assert (sheet.text.documents, sheet.text.sentences) == (30, 120)
    assert sheet.generator.startswith("sha256:")
    assert sheet.train.sha256 == hashlib.sha256(files["train.jsonl"]).hexdigest()
    assert sum(sheet.train.tokens["fakes"].histogram.values()) == 60
    assert sheet.train.tokens["fakes"].most <= sheet.train.tokens["gold"].most
    page = (folder / "datasheet.md").read_text()
    assert page == markdown(sheet)
    assert "| rows | 20 | 4 |" in page


@pytest.mark.parametrize("top_p", [0.2, 0.9])
def test_the_datasheet_counts_what_stands_in_the_files(study, tmp_path, top_p):
    files = made(study, tmp_path, changes={"top_p": top_p})
    sheet = Datasheet.model_validate_json((tmp_path / "datasheet.json").read_text())
    for found, name in ((sheet.train, "train.jsonl"), (sheet.dev, "dev.jsonl")):
        rows = [(r["endings"][0], r["endings"][1:]) for r in rows_of(files[name])]
        fakes = [fake for _, own in rows for fake in own]
        assert found.rows == len(rows)
        assert found.sha256 == hashlib.sha256(files[name]).hexdigest()
        assert found.empty == fakes.count("")
        assert found.repeated == sum(len(own) - len(set(own)) for _, own in rows)
        assert found.gold_identical == sum(own.count(gold) for gold, own in rows)
        assert found.flawed_rows == sum(len({gold, *own, ""}) < 5 for gold, own in rows)
        shares = {
            found.fakes_with_sentence_end: ". ",
            found.fakes_with_line_break: "\n",
            found.fakes_with_broken_character: "\ufffd",
        }
        for share, mark in shares.items():
            assert share == pytest.approx(sum(mark in x for x in fakes) / len(fakes), abs=1e-4)
        words = [len(fake.split()) for fake in fakes]
        assert (found.words["fakes"].least, found.words["fakes"].most) == (min(words), max(words))
    assert sheet.train.flawed_rows > 0 or top_p == 0.9


@pytest.fixture(scope="module")
def silent(study):
    """A generator that ends every text at once."""
    folder = save_tiny_gpt2(study / "silent")
    model = GPT2LMHeadModel.from_pretrained(folder)
    end = model.transformer.wte.weight[model.config.eos_token_id]
    with torch.no_grad():
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.copy_(end * 50)
    model.save_pretrained(folder)
    return {"generator": {"path": str(folder)}}


def test_empty_endings_are_kept_counted_and_can_be_read(study, silent, tmp_path):
    files = made(study, tmp_path, changes=silent)
    assert {tuple(row["endings"][1:]) for row in rows_of(files["train.jsonl"])} == {("", "", "")}
    sheet = Datasheet.model_validate_json((tmp_path / "datasheet.json").read_text())
    assert (sheet.train.empty, sheet.train.repeated, sheet.train.flawed_rows) == (60, 40, 20)
    assert (sheet.train.fakes_cut_by_length, sheet.train.fakes_shorter) == (0.0, 1.0)
    assert sheet.train.tokens["fakes"].histogram == {0: 60}
    splits = load_splits(load_task("synthesis-gpt2"), None, tmp_path)
    assert splits.train[0].pairs[1][1] == ""


def test_a_filter_that_leaves_nothing_says_so_and_writes_no_rows(study, silent, tmp_path):
    with pytest.raises(
        DataError, match=r"give 0 rows for train, 20 are asked for: the filter dropped"
    ):
        made(study, tmp_path, changes=silent | {"filter": True})
    assert not (tmp_path / "train.jsonl").exists()


def test_rows_of_any_unicode_text_are_written_and_read_again(study, tmp_path):
    odd = "Zoë’s 北京 “naïve” 🙂\u200d\u00ad e\u0301 ﷽ \u202eabc \u0000 \x1f \u2028 \ufeff"
    texts = [{"text": f"S{n} {odd} {odd} x \ud83d \u00a0y z"} for n in range(12)]
    save_tiny_gpt2(tmp_path / "gpt2", positions=512)
    (tmp_path / "text.json").write_text(json.dumps(texts))
    changes = {"text": str(tmp_path / "text.json"), "sentences": 6, "dev_sentences": 2}
    changes["generator"] = {"path": str(tmp_path / "gpt2")}
    files = made(study, tmp_path / "one", changes=changes)
    assert made(study, tmp_path / "two", changes=changes, batch=1) == files
    (train, _) = (rows_of(files[name]) for name in ("train.jsonl", "dev.jsonl"))
    assert "北京 “naïve” 🙂\u200d\u00ad e\u0301 ﷽" in train[0]["ctx"]
    assert "\ufffd" in train[0]["endings"][0]
    splits = load_splits(load_task("synthesis-gpt2"), None, tmp_path / "one")
    assert [e.pairs[0] for e in splits.train] == [(r["ctx"], r["endings"][0]) for r in train]


def test_flawed_rows_stay_by_default_and_go_by_filter(study, tmp_path):
    # a nucleus of one token: all three fakes are the same
    flawed = {"top_p": 1e-9, "sentences": 4, "dev_sentences": 2}
    made(study, tmp_path / "kept", changes=flawed)
    sheet = Datasheet.model_validate_json((tmp_path / "kept" / "datasheet.json").read_text())
    assert (sheet.train.repeated, sheet.train.flawed_rows, sheet.train.rows) == (8, 4, 4)
    with pytest.raises(
        DataError, match=r"give 0 rows for train, 4 are asked for: the filter dropped"
    ):
        made(study, tmp_path / "dropped", changes=flawed | {"filter": True})


def test_a_filtered_row_is_replaced_by_the_next_sentence(study, tmp_path):
    changes = {"top_p": 0.1, "sentences": 12, "dev_sentences": 1}
    plain = rows_of(made(study, tmp_path / "plain", changes=changes)["train.jsonl"])
    files = made(study, tmp_path / "filtered", changes=changes | {"filter": True})
    filtered = rows_of(files["train.jsonl"])
    sheet = Datasheet.model_validate_json((tmp_path / "filtered" / "datasheet.json").read_text())
    assert len(filtered) == 12
    assert sheet.train.dropped > 0
    assert sheet.train.flawed_rows == 0
    good = [row for row in plain if len({*row["endings"], ""}) == 5]
    assert filtered[: len(good)] == good


def test_a_sentence_that_the_generator_cannot_hold_is_passed_over(tmp_path):
    rows = [{"text": prose(3, start=3 * n)} for n in range(10)]
    rows[2]["text"] = " ".join(["harbour" * 12] * 24)
    (tmp_path / "text.json").write_text(json.dumps(rows))
    save_tiny_gpt2(tmp_path / "gpt2")
    made(tmp_path, tmp_path / "out", changes={"sentences": 24, "dev_sentences": 3})
    sheet = Datasheet.model_validate_json((tmp_path / "out" / "datasheet.json").read_text())
    assert sheet.train.too_long + sheet.dev.too_long == 1
    assert sheet.train.rows == 24

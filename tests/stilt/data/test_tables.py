"""Every format of data file, and what is said of a bad one."""

import gzip
import json
import random
import subprocess
import sys

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilt.data.places import find
from stilt.data.tables import FORMATS, read_lines, read_rows
from stilt.errors import DataError
from tests.support.row_files import table_bytes

ROWS = [{"id": "1", "text": "it's “a” test"}, {"id": "2", "text": "naïve, yes; 日本"}]
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


def write_arrow_stream(path):
    table = pa.Table.from_pylist(ROWS)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)


def write_arrow_file(path):
    table = pa.Table.from_pylist(ROWS)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)


def write_text(text):
    return lambda path: path.write_bytes(text.encode())


TSV = "id\ttext\n" + "".join(f"{row['id']}\t{row['text']}\n" for row in ROWS)
WRITERS = {
    "rows.jsonl": write_text("".join(json.dumps(row) + "\n" for row in ROWS)),
    "rows.json": write_text(json.dumps(ROWS)),
    "under-data.json": write_text(json.dumps({"version": 1, "data": ROWS})),
    "lines.json": write_text("".join(json.dumps(row) + "\n" for row in ROWS)),
    "array.jsonl": write_text(json.dumps(ROWS, indent=1)),
    "rows.csv": write_text('id,text\n1,it\'s “a” test\n2,"naïve, yes; 日本"\n'),
    "rows.tsv": write_text(TSV),
    "rows.txt": write_text(TSV),
    "rows.lst": write_text(TSV),
    "rows.parquet": lambda path: pa.parquet.write_table(pa.Table.from_pylist(ROWS), path),
    "stream.arrow": write_arrow_stream,
    "file.arrow": write_arrow_file,
}


def test_every_known_format_is_tried_here():
    assert {f".{name.split('.')[1]}" for name in WRITERS} == set(FORMATS)


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_rows_also_zipped(tmp_path, name, zipped):
    path = tmp_path / name
    WRITERS[name](path)
    if zipped:
        path.with_name(f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    found = find(path)
    assert found is not None
    assert read_rows(found) == ROWS


def test_a_headerless_tab_file_keeps_lone_quotes_and_empty_cells(tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text('gj04\t1\t\tHe said "go.\nks08\t0\t*\t"Who" \'left\' "\n')
    assert read_rows(path, ("source", "label", "mark", "sentence")) == [
        {"source": "gj04", "label": "1", "mark": "", "sentence": 'He said "go.'},
        {"source": "ks08", "label": "0", "mark": "*", "sentence": '"Who" \'left\' "'},
    ]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.tsv", "rows.csv"])
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_rows(path) == ROWS


def test_a_last_line_without_an_end_and_blank_lines_are_no_rows(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n  \n{"a": 2}')
    assert read_rows(path) == [{"a": 1}, {"a": 2}]
    path = tmp_path / "a.tsv"
    path.write_text("a\tb\n\n1\t2")
    assert read_rows(path) == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_odd_line_separators_inside_a_row_do_not_split_it(tmp_path, odd):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"a": f"x{odd}y"}, ensure_ascii=False) + "\n")
    expected = {"a": f"x{odd}y"}
    assert read_rows(path) == [expected]
    path = tmp_path / "a.tsv"
    path.write_text(f"a\tb\nx{odd}y\t1\n", newline="")
    assert read_rows(path) == [expected | {"b": "1"}]


@settings(max_examples=40)
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_any_text_survives_json_lines(tmp_path_factory, texts):
    path = tmp_path_factory.getbasetemp() / "any-text.jsonl"
    lines = [json.dumps({"a": text}, ensure_ascii=False) for text in texts]
    path.write_bytes("".join(line + "\n" for line in lines).encode())
    assert read_rows(path) == [{"a": text} for text in texts]


BAD = {
    "a.jsonl": ('{"a": 1}\n{"a": \n', r"a\.jsonl, line 2: not JSON \(Expecting value"),
    "blank.jsonl": ("\n\nnope\n", r"blank\.jsonl, line 3: not JSON \(Expecting value"),
    "list.jsonl": ("[1, 2]\n", r"list\.jsonl, line 1: an object is expected, not '\[1, 2\]'\."),
    "a.json": ("{", r"a\.json: not JSON \(Expecting property name"),
    "object.json": ('{"a": 1}', r"object\.json: a list of objects is expected \(or one under"),
    "numbers.json": ("[1]", r"numbers\.json: a list of objects is expected"),
    "a.tsv": (
        "a\tb\n1\t2\n1\t2\t3\n",
        r"a\.tsv, line 3: 3 columns, expected 2 \(a, b\)\.",
    ),
    "short.csv": ("a,b\n1\n", r"short\.csv, line 2: 1 columns, expected 2 \(a, b\)\."),
    "twice.csv": ("a,b,a\n1,2,3\n", r"twice\.csv, line 1: the header names column 'a' twice\."),
    "twice.tsv": ("a\tb\ta\n", r"twice\.tsv, line 1: the header names column 'a' twice\."),
    "twice.jsonl": ('{"a": 1, "a": 2}\n', r"twice\.jsonl, line 1: .*key 'a' stands twice"),
    "twice.json": ('[{"a": 1, "a": 2}]', r"twice\.json: .*key 'a' stands twice"),
    "semicolons.csv": (
        "text;label\na,b;1\n",
        r"semicolons\.csv, line 1: 'text;label' is one column: semicolons \(';'\) separate its "
        r"parts, where commas \(','\) are expected\.",
    ),
    "quoted.csv": (
        '"text";"label"\n"a, b";"1"\n',
        r"quoted\.csv, line 1: '\"text\";\"label\"' is one column: semicolons \(';'\) separate",
    ),
    "open.csv": ('"text" x;label\n', r"open\.csv, line 1: .* semicolons"),
    "mixed.csv": ('"text"x,"a;b"\n', r"mixed\.csv, line 1: cannot be read \(',' expected"),
    "deep.jsonl": ("[" * 100_000, r"deep\.jsonl, line 1: not JSON \("),
    "deep.json": ("[" * 100_000, r"deep\.json: not JSON \("),
    "digits.jsonl": ('{"a": 1}\n{"a": ' + "9" * 5_000 + "}\n", r"digits\.jsonl, line 2: not JSON"),
    "endless.jsonl": ("x" * 100_000, r"endless\.jsonl, line 1: not JSON \(Expecting value"),
    "half.json": ('{"a": 1}\n{"a": \n', r"half\.json, line 2: not JSON \(Expecting value"),
    "array.jsonl": ('[{"a": 1},\n {"a": ]', r"array\.jsonl, line 1: not JSON \(Expecting"),
    "a.xlsx": ("", r"a\.xlsx: format '\.xlsx' is not known; known: \.jsonl, \.json, \.csv, "),
    "a": ("", r"a: format '' is not known; known: "),
    "a.parquet": ("not parquet", r"a\.parquet: cannot be read \("),
    "empty.parquet": ("", r"empty\.parquet: cannot be read \("),
    "a.arrow": ("not arrow at all", r"a\.arrow: cannot be read \("),
    "half.arrow": ("ARROW1\0\0 and no more", r"half\.arrow: cannot be read \("),
    "a.jsonl.gz": ("not zipped", r"a\.jsonl\.gz: cannot be read \(Not a gzipped file"),
    "long.tsv": (
        "a\n" + "x" * 200_000 + "\n",
        r"long\.tsv, line 2: cannot be read \(field larger than",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_its_name_and_line(tmp_path, name):
    text, message = BAD[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_rows(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path))
    assert len(str(caught.value)) < 500


def test_bytes_that_are_no_utf8_are_refused_with_their_line(tmp_path):
    content = '{"a": "e"}\n{"a": "é"}\n'.encode("latin-1")
    for name in ("a.jsonl", "a.tsv", "a.json", "a.csv.gz"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        for read in (read_rows, read_lines):
            with pytest.raises(
                DataError, match=rf"{name}, line 2: not UTF-8 \(byte 0xe9, column 8"
            ):
                read(path)


def test_a_byte_order_mark_is_no_text_and_utf16_is_told_as_such(tmp_path):
    text = "text\tlabel\na\t1\n"
    for name in ("a.tsv", "a.tsv.gz"):
        path = tmp_path / name
        for encoding in ("utf-8-sig", "utf-16"):
            content = text.encode(encoding)
            path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
            if encoding == "utf-8-sig":
                assert read_rows(path) == [{"text": "a", "label": "1"}]
                continue
            with pytest.raises(DataError, match=rf"{name}: its text is in UTF-16: save it as"):
                read_rows(path)


def test_a_bad_byte_in_a_zip_that_is_cut_off_is_one_line_too(tmp_path):
    content = gzip.compress(b'{"a": "\xe9"}\n' + random.Random(0).randbytes(100_000))
    (tmp_path / "a.jsonl.gz").write_bytes(content[:60_000])
    with pytest.raises(DataError, match=r"a\.jsonl\.gz: cannot be read \("):
        read_rows(tmp_path / "a.jsonl.gz")


DAMAGE = """
import random, sys
from pathlib import Path
from stilt.data.tables import read_rows
from stilt.errors import DataError
path = Path(sys.argv[1])
whole, told = path.read_bytes(), 0
for seed in range(300):
    chance = random.Random(seed)
    content = bytearray(whole)
    place = chance.randrange(len(content))
    if seed % 3 == 0:
        content[place] ^= 1 << chance.randrange(8)
    elif seed % 3 == 1:
        content[place : place + 8] = chance.randbytes(8)
    else:
        del content[place:]
    path.write_bytes(content)
    try:
        read_rows(path)
    except DataError as error:
        told += str(error).startswith(f"{path}: cannot be read (") and str(error).isprintable()
    else:
        told += seed % 3 < 2
print(told)
"""


@pytest.mark.parametrize("write", [write_arrow_stream, write_arrow_file], ids=["stream", "file"])
def test_no_damage_of_an_arrow_file_ends_the_process(tmp_path, write):
    path = tmp_path / "a.arrow"
    write(path)
    run = subprocess.run(
        [sys.executable, "-c", DAMAGE, str(path)], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "300\n", "")


@pytest.mark.parametrize(
    ("kind", "form"),
    [(pa.duration("s"), "parquet"), (pa.duration("s"), "arrow"), (pa.timestamp("s"), "arrow")],
)
def test_times_that_no_clock_has_are_refused_with_the_files_name(tmp_path, kind, form):
    path = tmp_path / f"rows.{form}"
    path.write_bytes(table_bytes(pa.table({"a": pa.array([2**60], kind)}), form))
    with pytest.raises(DataError, match=rf"rows\.{form}: cannot be read \("):
        read_rows(path)


def test_offsets_beyond_the_text_of_an_arrow_file_are_refused(tmp_path):
    path = tmp_path / "a.arrow"
    table = pa.Table.from_pylist([{"a": "x" * 0x1234}])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    before, end, after = path.read_bytes().partition(b"\x00\x00\x00\x00\x34\x12\x00\x00")
    path.write_bytes(before + end[:4] + b"\x00\x00\x00\x40" + after)
    with pytest.raises(DataError, match=r"a\.arrow: cannot be read \("):
        read_rows(path)


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_gz_is_refused_with_the_files_name(tmp_path, damage):
    content = gzip.compress(b'{"a": "some text that is long enough to be damaged"}\n' * 50)
    middle = len(content) // 2
    broken = {
        "cut": content[:middle],
        "flipped": content[:15] + bytes(255 - x for x in content[15:40]) + content[40:],
    }[damage]
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(broken)
    with pytest.raises(DataError, match=r"a\.jsonl\.gz: cannot be read"):
        read_rows(path)
    with pytest.raises(DataError, match=r"a\.jsonl\.gz: cannot be read"):
        read_lines(path)


def test_an_absent_file_is_refused_with_its_name(tmp_path):
    for name in ("a.jsonl", "a.parquet", "a.arrow"):
        with pytest.raises(DataError, match=rf"{name}: cannot be read"):
            read_rows(tmp_path / name)


@pytest.mark.parametrize("name", ["a.jsonl", "a.tsv", "a.csv"])
def test_an_empty_file_has_no_rows(tmp_path, name):
    (tmp_path / name).write_text("")
    assert read_rows(tmp_path / name) == []


def test_lines_are_stripped_and_blank_ones_left_out(tmp_path):
    (tmp_path / "labels.lst").write_bytes(b"\xef\xbb\xbf1\r\n 2 \n\n3")
    assert read_lines(tmp_path / "labels.lst") == ["1", "2", "3"]

"""Cells of comma- and tab-separated files: whose quote marks are text, and whose header it is."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilt.data.tables import Table, read_rows, read_table
from stilt.errors import DataError

TRICKY = ['He said "no".', 'a\ttab and a "mark"', "two\nlines", '"Who?"', "plain", ""]
TAKEN_OFF = "quote marks around {} cells are CSV quoting, and were taken off"


def written(rows, quoting, end="\n"):
    """A tab file as pandas or the csv module writes it."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter="\t", quoting=quoting, lineterminator=end)
    writer.writerows(rows)
    return file.getvalue()


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize(
    ("quoting", "quoted"), [(csv.QUOTE_MINIMAL, 4), (csv.QUOTE_ALL, 14)], ids=["minimal", "all"]
)
def test_a_tab_file_that_pandas_quoted_gives_the_text_that_was_written(
    tmp_path, quoting, quoted, end
):
    path = tmp_path / "a.tsv"
    table = [["text", "label"], *([text, "0"] for text in TRICKY)]
    path.write_bytes(written(table, quoting, end).encode())
    assert read_table(path) == Table(
        [{"text": text, "label": "0"} for text in TRICKY], TAKEN_OFF.format(quoted)
    )


@settings(max_examples=60)
@given(
    texts=st.lists(st.text('ab" \t\n', max_size=8), min_size=1, max_size=5),
    header=st.booleans(),
)
def test_whatever_a_writer_quotes_for_a_mark_within_is_read_back(tmp_path_factory, texts, header):
    path = tmp_path_factory.getbasetemp() / "quoted.tsv"
    texts = [*texts, 'surely "quoted"']
    table = [["text", "n"]] * header + [[text, "1"] for text in texts]
    path.write_bytes(written(table, csv.QUOTE_MINIMAL).encode())
    found = read_rows(path, None if header else ("text", "n"))
    assert [row["text"] for row in found] == texts


PLAIN = [
    ['He said "no.', "1"],
    ['"Who" \'left\' "', "0"],
    ['"All of it."', "0"],
    ['5" pipe', "1"],
    ['"', "1"],
]


def test_glues_own_tab_files_keep_every_quote_mark(tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text("text\tlabel\n" + "".join("\t".join(row) + "\n" for row in PLAIN))
    assert read_table(path) == Table([{"text": a, "label": b} for a, b in PLAIN])


@pytest.mark.parametrize(("name", "marks"), [("in_domain_train.tsv", True), ("dev.tsv", False)])
def test_colas_real_files_are_read_byte_for_byte(data_dir, name, marks):
    path = data_dir / "cola" / name
    columns = ("source", "label", "mark", "sentence")
    found, said = read_table(path, columns)
    lines = path.read_text(encoding="utf-8").split("\n")
    assert ["\t".join(row.values()) for row in found] == [line for line in lines if line]
    assert any('"' in line for line in lines) == marks
    assert said == ""


def test_marks_around_whole_cells_alone_prove_nothing_and_it_is_said_how_they_are_read(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('text\tlabel\n"Who?"\t0\nplain\t1\n')
    assert read_table(path) == Table(
        [{"text": '"Who?"', "label": "0"}, {"text": "plain", "label": "1"}],
        "quote marks are text, also those around 1 whole cells",
    )


def test_one_lone_mark_makes_all_of_them_text_and_it_is_said(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('text\tlabel\n"a ""b"" c"\t0\nlone " here\t1\n')
    rows, said = read_table(path)
    assert [row["text"] for row in rows] == ['"a ""b"" c"', 'lone " here']
    assert said == "quote marks are text: 1 cells look like CSV quoting, others do not"


COLUMNS = ("source", "label", "mark", "sentence")


def test_a_header_in_a_file_that_should_have_none_is_seen(tmp_path):
    path = tmp_path / "cola.tsv"
    path.write_text("source\tlabel\tmark\tsentence\ngj04\t1\t\tA b.\n")
    wanted = {"source": "gj04", "label": "1", "mark": "", "sentence": "A b."}
    assert read_rows(path, COLUMNS) == [wanted]
    path.write_text("sentence\tlabel\tidx\nA b.\t1\t0\n")
    assert read_rows(path, COLUMNS) == [{"sentence": "A b.", "label": "1", "idx": "0"}]
    # one word alone may be a sentence
    path.write_text("gj04\t1\t\tlabel\n")
    assert read_rows(path, COLUMNS) == [wanted | {"sentence": "label"}]


BAD = {
    "semicolons.csv": (
        "text;label\na;1\n",
        r"line 1: 'text;label' is one column: semicolons \(';'\) separate its parts, where commas "
        r"\(','\) are expected\.",
    ),
    "tabs.csv": ("text\tlabel\na\t1\n", r"line 1: 'text\\tlabel' is one column: tabs \('\\t'\)"),
    "commas.tsv": ("text,label\na,1\n", r"line 1: 'text,label' is one column: commas \(','\)"),
    "open.csv": ('text,label\n"a,1\nb,2\n', r"line 2: cannot be read \(unexpected end of data\)"),
    "behind.csv": ('text,label\nb,1\n"a" b,1\n', r"line 3: cannot be read \(',' expected after"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_would_be_run_together_is_refused_with_its_line(tmp_path, name):
    text, message = BAD[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=rf"{name}, {message}"):
        read_rows(tmp_path / name)


def test_a_file_of_one_column_may_have_any_mark_in_it(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("One, two; three.\n")
    assert read_rows(path, ("sentence",)) == [{"sentence": "One, two; three."}]

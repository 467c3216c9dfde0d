"""TOML read strictly: every wrong field is named, with its value and what is allowed."""

import pytest

from stilt.config import Count, Frozen, parse, read_json, read_toml
from stilt.errors import ConfigError


class Inner(Frozen):
    size: int


class Outer(Frozen):
    name: str
    ratio: float = 0.0
    inner: Inner | None = None
    parts: tuple[Inner, ...] = ()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "here: field 'name' is missing."),
        (
            {"nmae": "y", "ratio": "x"},
            "here: unknown field 'nmae'. Did you mean 'name'? Known: inner, name, parts, ratio. "
            "Field 'name' is missing. Field 'ratio' = 'x': Input should be a valid number, unable "
            "to parse string as a number.",
        ),
        (
            {"name": "x", "nmae": "y"},
            "here: unknown field 'nmae'. Did you mean 'name'? Known: inner, name, parts, ratio.",
        ),
        (
            {"name": "x", "inner": {"size": 1, "sise": 2}},
            "here: field 'inner': unknown field 'sise'. Did you mean 'size'? Known: size.",
        ),
        (
            {"name": "x", "parts": [{"size": 1}, {"size": "big"}]},
            "here: field 'parts[1].size' = 'big': Input should be a valid integer, unable to parse "
            "string as an integer.",
        ),
        (
            {"name": "x", "inner": 5},
            "here: field 'inner' = 5: a table is expected, with some of size.",
        ),
        (
            {"name": "x", "parts": {"size": 1}},
            "here: field 'parts': tables are expected, each under [[parts]].",
        ),
        ({"name": "x", "parts": 5}, "here: field 'parts' = 5: a list is expected."),
        ({"name": 5}, "here: field 'name' = 5: a string is expected."),
        (
            {"name": "x", "ratio": float("nan")},
            "here: field 'ratio' = nan: Input should be a finite number.",
        ),
        (
            {"ratio": "x", "inner": {}},
            "here: fields 'name', 'inner.size' are missing. Field 'ratio' = 'x': Input should be a "
            "valid number, unable to parse string as a number.",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_every_wrong_field_is_named_with_its_value_and_what_is_allowed(table, message):
    with pytest.raises(ConfigError) as caught:
        parse(Outer, table, "here")
    assert str(caught.value) == message


def test_endless_and_unprintable_values_and_names_are_cut_and_escaped():
    table = {"name": ["y\x1b" * 50_000], "z\x1b" * 50_000: 1, "ratio": "\x07", "inner": {"\n": 1}}
    with pytest.raises(ConfigError) as caught:
        parse(Outer, table, "here")
    said = str(caught.value)
    assert r"Field 'name' = ['y\x1by\x1b" in said
    assert r"Field 'ratio' = '\x07': " in said
    assert r"field 'inner': unknown field '\n'. Known: size." in said
    assert said.isprintable()
    assert len(said) < 1_000


@pytest.mark.parametrize("number", [2**31, 10**5_000], ids=["2^31", "5000 digits"])
def test_a_count_that_no_machine_counts_to_is_refused(number):
    class Counting(Frozen):
        count: Count

    with pytest.raises(ConfigError, match=r"field 'count' = .*should be less than 2147483648"):
        parse(Counting, {"count": number}, "here")


def test_a_record_cannot_be_changed():
    outer = parse(Outer, {"name": "x"}, "here")
    with pytest.raises(ValueError, match="frozen"):
        outer.name = "y"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = [", r"a\.toml: not valid TOML: .*\(at end of document\)\."),
        (b"a = 1\na = 2\n", r"a\.toml: not valid TOML: .*\(at line 2, column 6\)\."),
        (b"a = " + b"9" * 5_000, r"a\.toml: not valid TOML: Exceeds the limit"),
        (b"a = '\xff'", r"a\.toml: cannot be read \('utf-8' codec"),
        ("a = 1".encode("utf-16"), r"a\.toml: its text is in UTF-16: save it as UTF-8\."),
    ],
)
def test_a_file_that_is_no_toml_is_refused_with_its_name_and_line(tmp_path, content, message):
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_toml(tmp_path / "a.toml")


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert read_toml(tmp_path / "a.toml") == {"a": 1}


def test_an_absent_file_or_a_folder_is_refused_with_its_name(tmp_path):
    with pytest.raises(ConfigError, match=r"a\.toml: no such file\."):
        read_toml(tmp_path / "a.toml")
    (tmp_path / "b.toml").mkdir()
    with pytest.raises(ConfigError, match=r"b\.toml: cannot be read \("):
        read_toml(tmp_path / "b.toml")


def test_of_many_wrong_fields_five_are_told_and_the_others_counted():
    class Many(Frozen):
        numbers: tuple[int, ...]

    with pytest.raises(ConfigError) as caught:
        parse(Many, {"numbers": ["x"] * 300}, "a.toml")
    message = str(caught.value)
    assert message.startswith("a.toml: field 'numbers[0]' = 'x': ")
    assert message.endswith(" And 295 more.")
    assert message.lower().count("field ") == 5


def test_a_json_file_in_another_encoding_is_told_by_its_name(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert read_json(path) == {}
    path.write_bytes("{}".encode("utf-16"))
    with pytest.raises(ConfigError, match=r"a\.json: cannot be read \('utf-8' codec"):
        read_json(path)


def test_a_key_that_stands_twice_in_a_json_file_is_told(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": {"b": 1, "c": 2, "b": 3}}')
    with pytest.raises(ConfigError, match=r"a\.json: cannot be read \('b' stands twice in one tab"):
        read_json(path)

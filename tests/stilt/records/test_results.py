"""Records: whole, finite, of the cell and study they claim, and the same after a round trip."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilt.cell import Cell, Hyperparameters, Source
from stilt.errors import ResultError
from stilt.records import results
from stilt.records.results import (
    CurvePoint,
    Failure,
    Provenance,
    RecordError,
    Result,
    Score,
    SourceResult,
    Timings,
    Tokens,
    Training,
    read_record,
    write_record,
)

STUDY = "0123456789ab"
POINT = Hyperparameters(learning_rate=1e-5, batch_size=8, warmup_ratio=0.2, seed=12)
CELL = Cell(
    id="aaaaaaaaaaaa", source="none", source_id=None, target="rte", hyperparameters=POINT, seed=12
)
SOURCE = Source(id="bbbbbbbbbbbb", task="cola", train_size=None, name="cola", hyperparameters=POINT)
SCORE = Score(score=0.5, accuracy=0.5, mcc=0.0, loss=0.7, predictions="0011", gold="0101", ties=0)
TRAINING = Training(
    updates=5,
    warmup_updates=1,
    final_loss=0.6,
    lowest_loss=0.5,
    loss=((1, 0.7), (5, None)),
    gradient_norm=((1, 2.5),),
    tokens=Tokens(real=100, computed=120),
    carried=("roberta",),
    fresh=("classifier",),
)
PROVENANCE = Provenance(
    started="2026-11-20T08:00:00+00:00",
    finished="2026-11-20T09:00:00+00:00",
    host="node",
    job=None,
    attempt=1,
    device="cpu",
    threads=2,
    peak_memory=1,
    versions={"torch": "2"},
    commit=None,
    code="c",
    command="python",
)
SHARED = {
    "study": STUDY,
    "status": "ok",
    "metric": "accuracy",
    "score": 0.5,
    "dev": SCORE,
    "majority": 0.5,
    "chance": 0.5,
    "classes": 2,
    "train_rows": 10,
    "dev_rows": 4,
    "data": "d",
    "training": TRAINING,
    "timings": Timings(load=0, encode=0, train=1, evaluate=1),
    "provenance": PROVENANCE,
}
RESULT = Result(cell=CELL, **SHARED)
TRAINED = SourceResult(source=SOURCE, checkpoint="e" * 64, **SHARED)
FAILURE = Failure(
    study=STUDY,
    cell=CELL,
    kind="oom",
    message="out of memory",
    attempts=2,
    host="node",
    job="1_2",
    finished="2026-11-20T09:00:00+00:00",
)


@pytest.mark.parametrize(
    ("model", "record"), [(Result, RESULT), (SourceResult, TRAINED), (Failure, FAILURE)]
)
def test_a_record_is_one_line_and_the_same_when_read_again(tmp_path, model, record):
    path = tmp_path / "new/x.json"
    assert read_record(model, path) is None
    write_record(record, path)
    assert path.read_text().count("\n") == 1
    assert read_record(model, path) == record
    assert [found.name for found in path.parent.iterdir()] == ["x.json"]


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=30)
@given(
    score=st.floats(-1, 1),
    loss=st.lists(st.tuples(st.integers(0, 10**9), st.none() | FINITE), max_size=5),
    message=st.text(max_size=40),
    predictions=st.text("0123", max_size=20),
)
def test_any_finite_numbers_and_any_text_survive_a_round_trip(
    tmp_path_factory, score, loss, message, predictions
):
    path = tmp_path_factory.getbasetemp() / "round-trip.json"
    result = RESULT.model_copy(
        update={
            "score": score,
            "dev": SCORE.model_copy(update={"score": score, "predictions": predictions}),
            "training": TRAINING.model_copy(update={"loss": tuple(loss)}),
            "curve": (CurvePoint(epoch=1, score=None),),
        }
    )
    write_record(result, path)
    assert read_record(Result, path) == result
    failure = FAILURE.model_copy(update={"message": message})
    write_record(failure, path)
    assert read_record(Failure, path) == failure
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_cannot_be_built_written_or_read(tmp_path, value):
    with pytest.raises(ValueError, match="finite"):
        Result(cell=CELL, **SHARED | {"score": value})
    path = tmp_path / "x.json"
    # past the model's checks, the writer still refuses
    unchecked = RESULT.model_copy(update={"score": value})
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        write_record(unchecked, path)
    assert not any(tmp_path.iterdir())
    write_record(RESULT, path)
    text = path.read_text().replace('"score":0.5', f'"score":{json.dumps(value)}', 1)
    path.write_text(text)
    with pytest.raises(ResultError, match=r"x\.json: field 'score' = -?(nan|inf): .* finite"):
        read_record(Result, path)


def test_a_failed_write_leaves_the_old_record(tmp_path):
    path = tmp_path / "x.json"
    write_record(RESULT, path)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_record(RESULT.model_copy(update={"majority": math.nan}), path)
    assert read_record(Result, path) == RESULT


def line(record=RESULT):
    return json.dumps(record.model_dump(mode="json"))


DAMAGED = {
    "nothing": ("", r"x\.json: not a whole line of JSON \(Expecting value"),
    "half a line": (line()[:200], r"x\.json: not a whole line of JSON \("),
    "two lines": (line() + "\n" + line(), r"x\.json: not a whole line of JSON \(Extra data"),
    "zeros": ("\0" * 300, r"x\.json: not a whole line of JSON \("),
    "a list": ("[1, 2]", r"x\.json: .*"),
    "a number": ("5", r"x\.json: .*"),
    "null": ("null", r"x\.json: .*"),
    "another kind of record": (line(FAILURE), r"x\.json: unknown field 'source'\. Known: .*status"),
    "a foreign file": (
        '{"eval_acc": 0.5}',
        r"x\.json: unknown field 'eval_acc'.* Fields 'study', .* are missing",
    ),
    "a newer schema": (
        json.dumps(RESULT.model_dump(mode="json") | {"schema_version": 2, "extra": {}}),
        r"x\.json: schema_version 2; this version reads 1\.",
    ),
    "a schema that is no number": (
        json.dumps(RESULT.model_dump(mode="json") | {"schema_version": "x"}),
        r"x\.json: schema_version 'x'; this version reads 1\.",
    ),
    "an unknown field": (
        json.dumps(RESULT.model_dump(mode="json") | {"mcc": 0.5}),
        r"x\.json: unknown field 'mcc'\.",
    ),
    "an unknown status": (
        json.dumps(RESULT.model_dump(mode="json") | {"status": "fine"}),
        r"x\.json: field 'status' = 'fine': Input should be 'ok' or 'diverged'\.",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_or_foreign_file_is_refused_with_its_name(tmp_path, case):
    text, message = DAMAGED[case]
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ResultError, match=message) as caught:
        read_record(Result, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_and_a_folder_are_refused_with_their_name(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b"\xff\xfe" * 20)
    with pytest.raises(ResultError, match=r"x\.json: not a whole line of JSON \('utf-8'"):
        read_record(Result, path)
    (tmp_path / "y.json").mkdir()
    with pytest.raises(ResultError, match=r"y\.json: no file to be read \(Is a directory\)"):
        read_record(Result, tmp_path / "y.json")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "empty"),
        ("\n ", "empty"),
        (line()[:200], "truncated"),
        ("hello", "foreign"),
        ("[1, 2]", "foreign"),
        ('{"eval_acc": 0.5}', "foreign"),
        (line().replace('"schema_version": 1', '"schema_version": 2'), "newer"),
        (line().replace('"schema_version": 1', '"schema_version": 0'), "schema"),
        (line().replace('"schema_version": 1', '"schema_version": [1]'), "schema"),
        (line().replace('"classes": 2', '"classes": null'), "schema"),
        (line().replace('"classes": 2', f'"classes": {"9" * 5000}'), "foreign"),
        (line().replace('"data": "d"', f'"data": {"[" * 300}{"]" * 300}'), "schema"),
        ('{"a":' * 100_000, "foreign"),
        ("[" * 100_000, "foreign"),
        (line().replace('"majority": 0.5', '"majority": 1e999'), "schema"),
    ],
)
def test_an_error_says_what_is_wrong_with_the_file(tmp_path, text, kind):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(RecordError) as caught:
        read_record(Result, path)
    assert caught.value.kind == kind
    assert str(caught.value) == f"{path}: {caught.value.reason}"


def test_what_the_json_module_takes_and_pydantic_does_not_is_still_read(tmp_path):
    path = tmp_path / "x.json"
    # a byte of a command line that is no UTF-8 becomes such a text
    odd = PROVENANCE.model_copy(update={"command": "python \udcff"})
    path.write_text(line(RESULT).replace('"python"', '"python \\udcff"'))
    assert read_record(Result, path) == RESULT.model_copy(update={"provenance": odd})
    path.write_text(line().replace('"status": ', '"status": "fine", "status": '))
    assert read_record(Result, path) == RESULT


def test_a_file_says_first_what_it_is_of(tmp_path):
    path = tmp_path / "x.json"
    for record, name in ((RESULT, "cell"), (TRAINED, "source")):
        write_record(record, path)
        assert list(json.loads(path.read_text()))[:4] == ["schema_version", "study", name, "status"]
        assert record.item == getattr(record, name)


def test_fields_may_come_in_any_order(tmp_path):
    path = tmp_path / "x.json"
    table = TRAINED.model_dump(mode="json")
    path.write_text(json.dumps(dict(reversed(table.items()))))
    assert read_record(SourceResult, path) == TRAINED


@pytest.mark.parametrize("cut", range(0, len(line()), 97))
def test_a_record_cut_off_anywhere_is_refused(tmp_path, cut):
    path = tmp_path / "x.json"
    path.write_text(line()[:cut])
    with pytest.raises(ResultError, match=r"x\.json: not a whole line of JSON"):
        read_record(Result, path)


def test_a_file_that_may_not_be_read_is_no_damaged_one(tmp_path, monkeypatch):
    def closed(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(results, "FileIO", closed)
    with pytest.raises(RecordError, match=r"x\.json: permission denied\. Ask its owner") as caught:
        read_record(Result, tmp_path / "x.json")
    assert caught.value.kind == "unreadable"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("score", 1.5),
        ("dev.score", -1.01),
        ("dev.accuracy", -0.1),
        ("dev.mcc", 2),
        ("dev.loss", -0.5),
        ("dev.ties", -1),
        ("dev_rows", 0),
        ("train_rows", -3),
        ("classes", 0),
        ("timings.train", -1.0),
        ("training.updates", -1),
        ("training.tokens.real", -1),
    ],
)
def test_a_number_out_of_its_range_is_refused_with_its_field(tmp_path, place, value):
    path = tmp_path / "x.json"
    table = RESULT.model_dump(mode="json")
    *outer, field = place.split(".")
    inner = table
    for name in outer:
        inner = inner[name]
    inner[field] = value
    path.write_text(json.dumps(table))
    with pytest.raises(RecordError, match=rf"x\.json: field '{place}' = {value}: ") as caught:
        read_record(Result, path)
    assert caught.value.kind == "schema"

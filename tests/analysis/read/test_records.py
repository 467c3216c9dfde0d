import json
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from analysis.read.records import COLUMNS, frame_of, read_results, result_row
from stilt.folder import StudyFolder
from stilt.records.results import RecordError, Result, read_record
from stilt.records.validity import contradiction
from tests.support.result_files import first_cell


def places(table: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key and index of a JSON value."""
    found = []
    steps = table.items() if isinstance(table, dict) else enumerate(table)
    for step, value in steps:
        found.append((*path, step))
        if isinstance(value, dict | list):
            found += places(value, (*path, step))
    return found


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-2, 2),
    st.sampled_from(["", "x", "ok", "1", "null", '"loss":[[', 'a"b":', "]]"]),
    st.sampled_from([[], {}, [[1, 2.0]], [[1.5, 2.0]], [[1, None], [2]], {"epoch": 1}]),
    st.sampled_from([10**30, float("nan"), float("inf"), "\ud800", [[10**30, 1.0]]]),
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_changed_result_is_read_as_the_json_module_reads_it_or_named(
    template, tmp_path_factory, data
):
    source, study = template
    text = StudyFolder(source).result(first_cell(study)).read_text()
    table = json.loads(text)
    place = data.draw(st.sampled_from(places(table)))
    owner = table
    for step in place[:-1]:
        owner = owner[step]
    if data.draw(st.booleans()) and isinstance(owner, dict):
        value = owner.pop(place[-1])
        if data.draw(st.booleans()):
            owner[data.draw(st.sampled_from(["scores", "score", "id", "x"]))] = value
    else:
        owner[place[-1]] = data.draw(VALUES)
    folder = tmp_path_factory.mktemp("changed")
    changed = json.dumps(table, separators=(",", ":")) + "\n"
    (folder / "changed.json").write_text(changed)
    (folder / "untouched.json").write_text(text)
    try:
        expected = Result.model_validate(json.loads(changed))
    except ValidationError:
        expected = None
    try:
        found = read_record(Result, folder / "changed.json")
    except RecordError:
        found = None
    assert found == expected
    frame, problems = read_results(folder, ["untouched.json", "changed.json"])
    assert frame.height == 2 - len(problems)
    assert frame["file"][0] == "untouched.json"
    if found is None or contradiction(found):
        assert [problem.file for problem in problems] == ["changed.json"]
    elif not problems:
        read = frame.row(by_predicate=pl.col("file") == "changed.json", named=True)
        assert read["score"] == found.score
        assert read["study_id"] == found.study
        assert read["host"] == found.provenance.host.encode(errors="backslashreplace").decode()
        curve = found.training.loss if found.training else ()
        assert [(point["step"], point["value"]) for point in read["loss"] or []] == list(curve)
    else:
        assert problems[0].message == "a whole number has over 63 bits"


@pytest.mark.parametrize(
    ("changes", "sound"),
    [
        ({}, True),
        ({"score": 1.0}, False),
        ({"score": None}, False),
        ({"status": "diverged"}, False),
        ({"dev_rows": 3}, False),
        ({"dev": None}, False),
        ({"dev.score": 0.125}, False),
        ({"dev.accuracy": 0.125}, False),
        ({"score": 0.125, "dev.score": 0.125}, False),
        ({"score": 0.125, "dev.score": 0.125, "dev.accuracy": 0.125}, False),
        ({"score": 0.125, "dev.score": 0.125, "dev.accuracy": 0.125, "dev.ties": 1}, True),
        ({"dev.predictions": "0"}, False),
        ({"dev.predictions": "\ud800"}, False),
        ({"dev.predictions": "", "dev.gold": ""}, False),
        ({"status": "diverged", "score": None, "dev": None}, True),
    ],
)
def test_a_result_that_contradicts_itself_is_named(template, tmp_path, changes, sound):
    source, study = template
    table = json.loads(StudyFolder(source).result(first_cell(study)).read_text())
    for place, value in changes.items():
        *outer, field = place.split(".")
        (table[outer[0]] if outer else table)[field] = value
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(table, separators=(",", ":")) + "\n")
    result = read_record(Result, path)
    assert result is not None
    said = contradiction(result)
    assert (said is None) == sound
    frame, problems = read_results(tmp_path, ["changed.json"])
    assert frame.height == sound
    assert [problem.message for problem in problems] == [said] * (not sound)


def test_curves_of_every_kind_come_back(template):
    source, study = template
    result = read_record(Result, StudyFolder(source).result(first_cell(study)))
    assert result is not None and result.training is not None
    curves = [((1, 0.5), (2, None)), (), ((3, -1.5),), None]
    rows = []
    for curve in curves:
        training = None if curve is None else result.training.model_copy(update={"loss": curve})
        rows.append(result_row("x", result.model_copy(update={"training": training})))
    frame = frame_of(rows, COLUMNS)
    assert dict(frame.schema) == COLUMNS
    assert frame["loss"].to_list() == [
        [{"step": 1, "value": 0.5}, {"step": 2, "value": None}],
        None,
        [{"step": 3, "value": -1.5}],
        None,
    ]


def test_no_rows_make_a_frame_with_every_column():
    assert dict(frame_of([], COLUMNS).schema) == COLUMNS

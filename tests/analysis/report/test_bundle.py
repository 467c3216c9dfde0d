"""A study for others: what is in its zip file, what is not, and the tables made again from it."""

import json
import shutil
import zipfile

import pytest

from analysis.summarize import main
from stilt.folder import StudyFolder
from stilt.records.pins import Pin
from stilt.records.results import Failure, Result, read_record
from tests.support.fake_study import TINY, fail_source, make_study

TABLES = (".csv", ".md", ".tex", ".json")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study of RTE and MedNLI that is done: (folder of studies, study, its folder)."""
    root = tmp_path_factory.mktemp("logs")
    blocks = [TINY["blocks"][0] | {"targets": ["rte", "mednli"], "seed": [1, 2, 3]}]
    pin = Pin(digest="d" * 12, train=2490, dev=6, gold="010101", where="here", text="GLUE's text")
    closed = Pin(digest="d" * 12, train=11232, dev=6, gold="012012", where="there")
    study = make_study(
        root / "s",
        grid=TINY | {"blocks": blocks},
        pins={"rte": pin, "mednli": closed},
        degenerate=0.3,
    )
    folder = StudyFolder(root / "s")
    for name, one in (("rte", pin), ("mednli", closed)):
        folder.data_digest(name).parent.mkdir(exist_ok=True)
        folder.data_digest(name).write_text(one.model_dump_json() + "\n")
    return root, study, folder


@pytest.fixture(scope="module")
def bundle(made):
    root, _, _ = made
    path = root.parent / "s.zip"
    assert main(["s", "--root", str(root), "--no-figures", "--bundle", str(path)]) == 0
    return path


@pytest.fixture
def unpacked(bundle, tmp_path):
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path / "bundle")
    return StudyFolder(tmp_path / "bundle")


def tables(folder):
    return {p.name: p.read_bytes() for p in folder.summary.iterdir() if p.suffix in TABLES}


def test_the_tables_are_made_again_byte_for_byte_without_training(unpacked, monkeypatch):
    before = tables(unpacked)
    assert {"summary.csv", "summary.md", "summary.tex", "cells.csv", "flips.csv"} <= before.keys()
    shutil.rmtree(unpacked.summary)
    monkeypatch.chdir(unpacked.path.parent)
    (said,) = [x for x in read(unpacked, "CHECKLIST.md").splitlines() if x.startswith("    python")]
    command = said.split()
    assert command[1] == "analysis/summarize.py"
    assert main(command[2:]) == 0
    assert tables(unpacked) == before


def read(folder, name):
    return (folder.path / name).read_text(encoding="utf-8")


def test_the_same_records_give_the_same_bytes(made, bundle, tmp_path):
    root, _, _ = made
    again = tmp_path / "again.zip"
    assert main(["s", "--root", str(root), "--no-figures", "--bundle", str(again)]) == 0
    assert again.read_bytes() == bundle.read_bytes()


def test_weights_rows_and_caches_stay_behind(bundle, made):
    _, study, _ = made
    with zipfile.ZipFile(bundle) as archive:
        names = set(archive.namelist())
    assert {f"results/{cell}.json" for cell in study.cells} <= names
    assert {f"sources/{source}/result.json" for source in study.sources} <= names
    assert {"study.json", "environment.json", "commands.txt", "data/rte.json"} <= names
    assert not [name for name in names if name.endswith((".safetensors", ".parquet", ".jsonl"))]
    assert not [name for name in names if "cache" in name]


def test_nothing_of_credentialed_data_is_copied(unpacked, made):
    _, study, folder = made
    for cell in study.cells.values():
        mine, theirs = (read_record(Result, f.result(cell.id)) for f in (folder, unpacked))
        if cell.target == "mednli":
            assert (theirs.dev.predictions, theirs.dev.gold, theirs.dev.withheld) == ("", "", True)
            assert theirs.dev.constant == (len(set(mine.dev.predictions)) == 1)
            assert theirs.score == mine.score
        else:
            assert theirs == mine
    assert '"012012"' not in read(unpacked, "data/mednli.json")
    assert '"010101"' in read(unpacked, "data/rte.json")
    sheet = read(unpacked, "CHECKLIST.md")
    assert "- Predictions, labels and messages of MedNLI: data for persons with a cred" in sheet
    # its runs are in the tables all the same, and degenerate ones are counted alike
    own = (folder.summary / "summary.csv").read_text().splitlines()
    assert read(unpacked, "summary/summary.csv").splitlines() == own
    assert "Dev examples are held fixed on mednli" in read(unpacked, "summary/summary.md")


def test_messages_of_failures_on_credentialed_data_and_left_runs_stay_behind(tmp_path):
    blocks = [TINY["blocks"][0] | {"targets": ["rte", "mednli"]}]
    study = make_study(tmp_path / "s", grid=TINY | {"blocks": blocks}, failed=0.4)
    folder = StudyFolder(tmp_path / "s")
    (source,) = study.sources.values()
    fail_source(folder, study, source)
    # of a grid that the study had before
    (folder.results / "0123456789ab.json").write_text('{"dev": "012012"}')
    path = tmp_path / "s.zip"
    assert main(["s", "--root", str(tmp_path), "--no-figures", "--bundle", str(path)]) == 0
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "bundle")
    failures = [read_record(Failure, p) for p in (tmp_path / "bundle/failures").iterdir()]
    closed = [f for f in failures if f.cell and f.cell.target == "mednli"]
    assert closed
    assert {f.traceback for f in closed} == {""}
    assert {f.message for f in closed} == {
        "withheld: the task's data are for persons with a credential"
    }
    assert all(f.traceback for f in failures if f not in closed)
    assert not (tmp_path / "bundle/results/0123456789ab.json").exists()


def test_the_crate_has_what_ro_crate_asks_for(bundle, unpacked):
    table = json.loads(read(unpacked, "ro-crate-metadata.json"))
    assert table["@context"][0] == "https://w3id.org/ro/crate/1.2/context"
    entities = {entity["@id"]: entity for entity in table["@graph"]}
    assert len(entities) == len(table["@graph"])
    descriptor, root = entities["ro-crate-metadata.json"], entities["./"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.2"}
    assert descriptor["about"] == {"@id": "./"}
    assert root["@type"] == "Dataset"
    assert {"name", "description", "datePublished", "license"} <= root.keys()
    assert root["datePublished"] == "2026-11-20"
    assert root["license"]["@id"] in entities
    held = [part["@id"] for part in root["hasPart"]]
    with zipfile.ZipFile(bundle) as archive:
        names = {n for n in archive.namelist() if n != "ro-crate-metadata.json"}
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    folders = tuple(one for one in held if one.endswith("/"))
    assert {n for n in names if not n.startswith(folders)} | set(folders) == set(held)
    for one in held:
        entity = entities[one]
        assert entity["@type"] == ("Dataset" if one in folders else "File")
        assert one in folders or entity["contentSize"] == str(sizes[one])
    assert entities["#runs"]["instrument"]["@id"] in entities


def test_each_answer_names_a_file_of_the_bundle(unpacked):
    sheet = read(unpacked, "CHECKLIST.md")
    answers = [line for line in sheet.splitlines() if line.startswith("- **")]
    assert len(answers) > 30
    for line in answers:
        assert (unpacked.path / line.rpartition("(`")[2].removesuffix("`)")).exists(), line
    for letter in ("B2", "B6", "C1", "C2", "C3", "C4"):
        assert f"\n## {letter}. " in sheet
    rows = (
        "- **RTE**: 2,490 training rows, 6 development rows, which every score is of; GLUE's text"
    )
    assert f"{rows} (`data/rte.json`)" in sheet
    assert "- **Runs**: 24 cells and 1 source have ended (`results/`)" in sheet


@pytest.mark.parametrize(
    ("more", "error"),
    [
        (["s", "--bundle", "x.tar"], "--bundle x.tar: a name that ends with .zip is expected."),
        (["s", "--bundle", "no/x.zip"], "--bundle no/x.zip: no is no folder."),
        (["--bundle", "x.zip"], "--bundle x.zip: name one study, without --pool and --compare."),
        (["s", "t", "--bundle", "x.zip"], "--bundle x.zip: name one study, without --pool and"),
    ],
)
def test_a_mistake_is_told_before_anything_is_read(more, error, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(more) == 2
    assert error in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_study_of_which_nothing_has_ended_makes_no_bundle(tmp_path, capsys):
    make_study(tmp_path / "s", grid=TINY, missing=1.0, sources=False)
    path = tmp_path / "s.zip"
    assert main(["s", "--root", str(tmp_path), "--no-figures", "--bundle", str(path)]) == 2
    assert f"--bundle {path}: no run of study s has ended yet." in capsys.readouterr().err
    assert not path.exists()

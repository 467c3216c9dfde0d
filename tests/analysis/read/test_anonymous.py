"""A bundle that does not tell who ran the study; its tables are the same."""

import json
import zipfile
from pathlib import Path

import pytest

from analysis.summarize import main
from stilt.folder import StudyFolder, read_study, write_study
from stilt.records.pins import Pin
from stilt.records.results import Failure, Result, read_record, write_record
from stilt.study import Revision
from tests.support.fake_study import TINY, make_study

HOME = "/home/jane doe/lab"
NAMES = ("jane", "cluster.example.edu", "gpu7", "nlp-lab", "/home", "/scratch")


def named_study(root: Path) -> StudyFolder:
    """A study whose files name a person, her machines, her account and her folders."""
    pin = Pin(digest="d" * 12, train=2490, dev=40, where=HOME, parts=((f"{HOME}/rte/t.tsv", "a"),))
    model = TINY["model"] | {"hub": None, "revision": None, "path": f"{HOME}/models/roberta"}
    make_study(root / "s", grid=TINY | {"model": model}, dev_rows=40, failed=0.2)
    folder = StudyFolder(root / "s")
    study = read_study(folder)
    command = f"submit.py --grid '{HOME}/g.toml' --account nlp-lab --data-dir=/scratch/jane/d -n"
    revision = Revision(number=1, when="2026", command=command, digest="d", cells=len(study.cells))
    write_study(study.model_copy(update={"revisions": (revision,)}), folder)
    for number, file in enumerate(sorted(folder.results.glob("*.json"))):
        result = read_record(Result, file)
        host = ("gpu7.cluster.example.edu", "gpu7")[number % 2]
        made = result.provenance.model_copy(update={"host": host, "command": command})
        write_record(result.model_copy(update={"provenance": made}), file)
    for file in folder.failures.glob("*.json"):
        failure = read_record(Failure, file)
        trace = 'File "/home/jane/lab/stilt/x.py", line 3, in /scratch/jane/tmp'
        message = "gpu7: out of memory; see https://example.org/a/b"
        told = {"host": "gpu7", "traceback": trace, "message": message}
        write_record(failure.model_copy(update=told), file)
    folder.data_digest("rte").parent.mkdir(exist_ok=True)
    folder.data_digest("rte").write_text(pin.model_dump_json() + "\n")
    return folder


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What the bundle of a study holds, and what its anonymous one does, with its report."""
    root = tmp_path_factory.mktemp("logs")
    named_study(root)
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("getpass.getuser", lambda: "jane")
        for more in (["--no-figures"], ["--anonymous"]):
            path = root / f"{len(made)}.zip"
            assert main(["s", "--root", str(root), "--bundle", str(path), *more]) == 0
            made.append(contents(path))
    return made


def test_no_file_of_it_has_a_name(both):
    named, anonymous = both
    whole = b"".join(named.values()).decode(errors="replace")
    assert all(name in whole for name in NAMES)
    assert named.keys() < anonymous.keys() and "summary/report.html" in anonymous
    for name, content in anonymous.items():
        found = [one for one in NAMES if one in content.decode(errors="replace")]
        assert not found, (name, found)


def test_what_is_not_a_name_stays(both):
    named, anonymous = both
    for name in ("summary/summary.csv", "summary/differences.csv", "summary/flips.csv"):
        assert anonymous[name] == named[name]
    results = [json.loads(anonymous[n]) for n in anonymous if n.startswith("results/")]
    assert {one["provenance"]["host"] for one in results} == {"host1", "host2"}
    assert {one["provenance"]["command"] for one in results} == {
        "submit.py --grid g.toml --account withheld --data-dir=d -n"
    }
    failed = [json.loads(anonymous[n]) for n in anonymous if n.startswith("failures/")]
    assert failed and {one["message"] for one in failed} == {
        "host1: out of memory; see https://example.org/a/b"
    }
    assert {one["traceback"] for one in failed} == {'File "x.py", line 3, in tmp'}
    assert json.loads(anonymous["study.json"])["grid"]["model"]["path"] == "roberta"
    sheet = anonymous["CHECKLIST.md"].decode()
    assert "Names of hosts, users, accounts and folders were replaced." in sheet


def test_what_ids_are_made_of_stays_and_is_told(tmp_path, capsys):
    blocks = [TINY["blocks"][0] | {"sources": ["none", "synthesis-gpt2"]}]
    table = {"text": "/scratch/jane/text.txt", "generator": {"path": "/scratch/jane/gpt2"}}
    make_study(tmp_path / "s", grid=TINY | {"blocks": blocks, "synthesis": table})
    path = tmp_path / "s.zip"
    asked = ["s", "--root", str(tmp_path), "--no-figures", "--bundle", str(path), "--anonymous"]
    assert main(asked) == 0
    told = capsys.readouterr().err
    assert (
        "not made anonymous: study.json, field 'grid.synthesis.text' = '/scratch/jane/tex" in told
    )
    assert json.loads(contents(path)["study.json"])["grid"]["synthesis"]["text"] == table["text"]


def test_it_goes_with_a_bundle(capsys):
    assert main(["s", "--anonymous"]) == 2
    assert "--anonymous: goes with --bundle." in capsys.readouterr().err

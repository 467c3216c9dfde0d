"""Staging: everything a job will read is fetched and tokenised, or a person is told what to do."""

import json
import socket
import subprocess
import sys

import numpy as np
import pytest

from jobs import staging
from jobs.settings import Settings
from jobs.worker import Worker
from launcher.checks.hub import hub_answers
from launcher.stage import as_request, short
from launcher.stage import main as stage
from launcher.study.resolve import Places, resolve_study
from stilt.data.staged import Request, advice, needed
from stilt.folder import StudyFolder
from stilt.task import load_task
from tests.support.fake_study import make_study
from tests.support.own_study import write_jsonl


def arguments(own, roberta, *more):
    """A user's own grid, with her data and a model folder."""
    return [
        *("--grid", str(own / "own.toml"), "--root", str(own / "logs")),
        *("--data-dir", str(own / "data"), "--model", str(roberta), *more),
    ]


@pytest.fixture
def request_of(own_study):
    """Makes the request that the command line would make for a user's own study."""

    def made(model):
        resolved = resolve_study(
            str(own_study / "own.toml"),
            Places(own_study / "logs", own_study / "data", str(model)),
        )
        return as_request(resolved, generate=False, device="cpu")

    return made


@pytest.fixture
def in_process(monkeypatch):
    """Stages without a process of its own, which would load torch once more for each test."""

    def run(request, console, *, online):
        sent = Request.model_validate_json(request.model_dump_json())
        return list(staging.stage(sent, lambda doing: None))

    monkeypatch.setattr("launcher.stage.run", run)
    monkeypatch.setenv("COLUMNS", "140")


@pytest.mark.slow
def test_staging_runs_in_a_process_of_its_own(own_study, roberta, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "140")
    assert stage(arguments(own_study, roberta)) == 0
    said = capsys.readouterr().out
    rows = {line.split()[1]: line.split() for line in said.splitlines() if "✓" in line}
    assert set(rows) == {"model", "pairs", "endings"}
    assert rows["pairs"][2:4] == ["24", "12"]
    assert f"Next: python launcher/submit.py --grid {own_study / 'own.toml'}" in said
    assert not (own_study / "logs").exists(), "nothing but the cache is written"


def test_what_breaks_a_staging_process_is_told(own_study, roberta, monkeypatch, capsys):
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert stage(arguments(own_study, roberta)) == 2
    assert "staging broke down" in capsys.readouterr().err


def test_every_task_is_rendered_tokenised_and_cached(request_of, roberta):
    request = request_of(roberta)
    found = {item.name: item for item in staging.stage(request, lambda doing: None)}
    assert [item.problem for item in found.values()] == [None] * 3
    assert (found["endings"].train, found["endings"].dev) == (24, 12)
    with np.load(request.cache / "encoded" / found["pairs"].file) as arrays:
        lengths = np.diff(arrays["offsets"])
    assert found["pairs"].tokens == pytest.approx(lengths.mean())
    assert found["pairs"].full == pytest.approx((lengths >= 40).mean())


def test_a_job_finds_what_was_staged_and_tokenises_nothing_again(request_of, roberta, monkeypatch):
    request = request_of(roberta)
    list(staging.stage(request, lambda doing: None))
    settings = Settings(
        submission="s", data_dir=request.data_dir, cache=request.cache, model=request.model
    )
    worker = Worker(request.study, StudyFolder(request.synthesis.parent), settings)
    monkeypatch.setattr("stilt.data.encode.encode", lambda *found: pytest.fail("tokenised again"))
    for cell in request.study.cells.values():
        assert len(worker.encoded(cell.target)[0]) == 24
    for source in request.study.sources.values():
        assert len(worker.encoded(source.task, source.train_size)[1]) == 12


def test_all_problems_are_listed_at_once_and_end_with_2(own_study, roberta, in_process, capsys):
    (own_study / "data/pairs/dev.jsonl").unlink()
    write_jsonl(own_study / "data/endings/train.jsonl", [{"ctx": "a", "label": 0}])
    code = stage(arguments(own_study, roberta))
    said = capsys.readouterr()
    assert code == 2
    assert "2 problems" in said.err
    assert "pairs/dev.jsonl (no such file)" in said.err
    assert "field 'endings' is missing" in said.err
    assert "✓ model" in said.out
    assert "✗ pairs" in said.out


def test_a_task_that_cannot_be_had_says_what_to_put_where(own_study, roberta, in_process, capsys):
    (own_study / "data/pairs/dev.jsonl").unlink()
    stage(arguments(own_study, roberta))
    [line] = capsys.readouterr().err.splitlines()
    assert f"Put pairs/train.jsonl and pairs/dev.jsonl below {own_study / 'data'}" in line


def test_a_model_that_is_none_is_a_problem_and_data_are_checked_all_the_same(
    own_study, roberta, tmp_path, in_process, capsys
):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text((roberta / "config.json").read_text())
    code = stage(arguments(own_study, broken))
    said = capsys.readouterr()
    assert code == 2
    assert "cannot be loaded" in said.err
    assert "✓ pairs" in said.out


def test_mednli_is_told_with_its_files_and_its_owners():
    said = advice(load_task("mednli"), None)
    assert "mednli/mli_train_v1.jsonl and mednli/mli_dev_v1.jsonl" in said
    assert "STILT_DATA_DIR" in said
    assert "Romanov and Shivade 2018" in said


def test_a_task_of_the_hub_needs_no_advice():
    assert advice(load_task("rte"), None) == ""


def test_every_split_that_some_run_reads_is_staged_once(tmp_path):
    study = make_study(tmp_path / "s", dev_rows=20, points=4)
    assert sorted(needed(study), key=str) == sorted(
        [
            ("rte", None),
            ("cola", None),
            ("winogrande-m", None),
            ("socialiqa", None),
            ("hellaswag", None),
            ("hellaswag-p", 1000),
        ],
        key=str,
    )


def test_the_hub_is_not_looked_for_where_it_is_switched_off(monkeypatch):
    def never(*arguments, **options):
        raise AssertionError

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("socket.create_connection", never)
    assert not hub_answers()


def test_a_mirror_that_listens_is_found_and_one_that_does_not_is_not(monkeypatch):
    for name in ("HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        assert hub_answers()
    assert not hub_answers()


def test_stage_itself_never_loads_torch():
    code = "import sys, launcher.stage; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", f"import json; {code}"], capture_output=True, text=True, check=True
    )
    assert not {"torch", "transformers", "datasets"} & set(json.loads(run.stdout))


@pytest.mark.parametrize(
    ("where", "shown"), [("short", "short"), ("/a/very/long/path/of/data", "…/path/of/data")]
)
def test_long_places_keep_their_end(where, shown):
    assert short(where, 14) == shown

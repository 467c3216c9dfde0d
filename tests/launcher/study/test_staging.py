"""A submit tries the model once, in a process of its own, and refuses what is of no use."""

import json
import shutil

import pytest

from jobs import staging
from jobs.settings import StagingRequest
from launcher.flags import Places
from launcher.study.resolve import check_data, resolve_study
from launcher.study.staging import as_request, require_tried
from launcher.submit import main as submit
from stilt.errors import DataError, ModelError
from stilt.system.console import Output
from tests.support.json_lines import write_jsonl


@pytest.fixture
def trials(monkeypatch):
    """Tries in this process, which has torch; the tasks of each trial are kept."""
    tried = []

    def run(request, console, *, online):
        assert not online
        tried.append(request.trial)
        sent = StagingRequest.model_validate_json(request.model_dump_json())
        return list(staging.stage_all(sent, lambda doing: None))

    monkeypatch.setattr("launcher.study.staging.run", run)
    return tried


def tried(own, model):
    """What a submit does between looking at the data and writing a study."""
    resolved = resolve_study(
        str(own / "own.toml"), Places(own / "logs", own / "data", model=str(model))
    )
    found = {name: splits for name, (splits, _) in check_data(resolved).items()}
    require_tried(resolved, found, Output())
    return resolved


def test_a_model_is_tried_once_on_each_task_and_again_on_other_rows(own_study, roberta, trials):
    tried(own_study, roberta)
    tried(own_study, roberta)
    assert trials == [("endings", "pairs")]
    rows = [{"a": "a cat", "b": "a dog", "label": str(i % 2)} for i in range(9)]
    write_jsonl(own_study / "data/pairs/dev.jsonl", rows)
    tried(own_study, roberta)
    assert trials[1:] == [("pairs",)]


def test_what_was_staged_is_not_tried_again(own_study, roberta, trials):
    resolved = resolve_study(
        str(own_study / "own.toml"), Places(own_study / "logs", own_study / "data", str(roberta))
    )
    request = as_request(resolved, generate=False, device="cpu")
    assert not any(item.problem for item in staging.stage_all(request, lambda doing: None))
    tried(own_study, roberta)
    assert trials == []


def test_another_model_is_tried_anew(own_study, roberta, tmp_path, trials):
    tried(own_study, roberta)
    other = shutil.copytree(roberta, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-6}))
    tried(own_study, other)
    assert len(trials) == 2


def test_every_kind_of_head_is_tried_and_a_refusal_is_not_remembered(
    own_study, roberta, trials, monkeypatch
):
    real, heads = staging.load_start, []

    def load_start(labels, place):
        heads.append(labels)
        if labels == 2:
            raise ModelError("no.")
        return real(labels, place)

    monkeypatch.setattr(staging, "load_start", load_start)
    with pytest.raises(ModelError, match=r"^no\. Wanted for: pairs\.$"):
        tried(own_study, roberta)
    assert heads == [None, 2]
    monkeypatch.setattr(staging, "load_start", real)
    tried(own_study, roberta)
    assert len(trials) == 2


def test_rows_that_the_tokenizer_does_not_know_are_refused(own_study, roberta, trials, monkeypatch):
    def unknown(texts, sequences, tokenizer, name):
        raise ModelError(f"task {name!r}: its tokenizer knows none of it")

    monkeypatch.setattr(staging, "require_telling", unknown)
    with pytest.raises(ModelError) as refused:
        tried(own_study, roberta)
    assert "task 'endings'" in str(refused.value)
    assert "task 'pairs'" in str(refused.value)


def test_where_it_cannot_be_tried_the_jobs_do(own_study, roberta, monkeypatch, capsys):
    def broken(request, console, *, online):
        raise DataError("staging broke down: Killed")

    monkeypatch.setattr("launcher.study.staging.run", broken)
    tried(own_study, roberta)
    said = " ".join(capsys.readouterr().out.split())
    assert "could not be tried here (staging broke down: Killed): the first job will tell" in said


@pytest.mark.slow
@pytest.mark.tries_model
def test_a_submit_of_weights_that_do_not_fit_sends_and_writes_nothing(
    own_study, roberta, tmp_path, capsys
):
    other = shutil.copytree(roberta, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    places = ["--root", str(own_study / "logs"), "--data-dir", str(own_study / "data")]
    grid = ["--grid", str(own_study / "own.toml"), "--executor", "local"]
    assert submit([*grid, *places, "--model", str(other)]) == 2
    said = capsys.readouterr().err
    assert "its weights do not fit its config.json (roberta)" in said
    assert "Traceback" not in said
    assert not (own_study / "logs").exists()

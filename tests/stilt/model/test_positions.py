"""A sequence that is longer than the model can read is refused before anything is written."""

import json

import pytest

from jobs import staging
from launcher.stage import as_request
from launcher.study.resolve import Places, resolve_study
from launcher.submit import main as submit
from stilt.errors import ConfigError
from stilt.model.build import ModelShelf
from stilt.model.place import ModelPlace
from stilt.model.positions import positions, read_config


def longer(own, length):
    """The user's own grid, with one task of longer sequences."""
    path = own / "pairs.toml"
    path.write_text(path.read_text().replace("max_length = 40", f"max_length = {length}"))
    return str(own / "own.toml")


@pytest.mark.parametrize(
    ("config", "known"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512, "pad_token_id": 0}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 2}, 511),
        ({"model_type": "mpnet", "max_position_embeddings": 514, "pad_token_id": 0}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": None}, None),
        ({"model_type": "deberta-v2", "max_position_embeddings": 512}, None),
        ({"model_type": "modernbert", "max_position_embeddings": 8192}, None),
        ({"model_type": "bert", "max_position_embeddings": "512"}, None),
        (
            {
                "model_type": "bert",
                "max_position_embeddings": 512,
                "position_embedding_type": "relative_key",
            },
            None,
        ),
        ({}, None),
    ],
)
def test_positions_are_known_only_where_the_type_of_model_leaves_no_doubt(config, known):
    assert positions(config) == known


def test_a_submit_refuses_too_long_a_task_and_writes_nothing(own_study, roberta, capsys):
    code = submit(
        [
            *("--grid", longer(own_study, 129), "--root", str(own_study / "logs")),
            *("--data-dir", str(own_study / "data"), "--model", str(roberta)),
            *("--executor", "local"),
        ]
    )
    assert code == 2
    said = capsys.readouterr().err
    assert "task 'pairs', field 'max_length' = 129: the model has 128 positions." in said
    assert not (own_study / "logs").exists()


def test_the_longest_sequence_that_the_model_can_read_is_taken(own_study, roberta):
    resolved = resolve_study(longer(own_study, 128), Places(own_study / "logs", model=str(roberta)))
    assert resolved.study.tasks["pairs"].max_length == 128


def test_a_model_of_the_hub_is_asked_when_it_is_staged(own_study, roberta):
    resolved = resolve_study(
        str(own_study / "own.toml"), Places(own_study / "logs", model=str(roberta))
    )
    request = as_request(resolved, generate=False, device="cpu")
    tasks = {
        name: task.model_copy(update={"max_length": 129})
        for name, task in request.study.tasks.items()
    }
    study = request.study.model_copy(update={"tasks": tasks})
    model, *_ = staging.stage(request.model_copy(update={"study": study}), lambda doing: None)
    assert model.problem == (
        "task 'endings', field 'max_length' = 129; task 'pairs', field 'max_length' = 129: the "
        "model has 128 positions."
    )


def test_a_worker_refuses_too_long_a_task_before_it_trains(own_study, roberta):
    study = resolve_study(
        str(own_study / "own.toml"), Places(own_study / "logs", model=str(roberta))
    ).study
    task = study.tasks["pairs"].model_copy(update={"max_length": 200})
    with pytest.raises(ConfigError, match="the model has 128 positions"):
        ModelShelf(ModelPlace(str(roberta))).start(task, None, "keep")


@pytest.mark.parametrize(
    "text", ["{", json.dumps([1]), pytest.param("[" * 100_000, id="deep nesting")]
)
def test_a_config_that_is_no_object_is_named(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError, match=r"config\.json: "):
        read_config(tmp_path)

"""How many tokens a model can read, by its configuration."""

import json

import pytest

from stilt.errors import ConfigError
from stilt.model.positions import longest_sequence, read_config


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
    assert longest_sequence(config) == known


@pytest.mark.parametrize(
    "text", ["{", json.dumps([1]), pytest.param("[" * 100_000, id="deep nesting")]
)
def test_a_config_that_is_no_object_is_named(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError, match=r"config\.json: "):
        read_config(tmp_path)

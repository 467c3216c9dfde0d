"""How many tokens a model can read, by its configuration."""

import json

import pytest

from stilt.errors import ModelError
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


def refusal(folder, content):
    """The one line that a config.json of some bytes is refused with, and what stands after it."""
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ModelError) as refused:
        read_config(folder)
    (line,) = str(refused.value).splitlines()
    begin = f"model: {folder / 'config.json'}: "
    assert line.startswith(begin)
    return line.removeprefix(begin)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[1]", b"null", b"\xff\xfe{}", b'{"model_type": "b\xe9rt"}'),
        b'{"vocab_size": ' + b"9" * 5000 + b"}",
        pytest.param(b"[" * 100_000, id="deep nesting"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="deep objects"),
        pytest.param(b" " * 10_000_001 + b"{}", id="huge"),
    ],
)
def test_a_config_that_is_no_object_is_named_in_one_line(tmp_path, content):
    assert len(refusal(tmp_path, content)) < 250


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("model_type", ["bert"], "field 'model_type' = ['bert']: the name of a type of model"),
        ("model_type", 5, "field 'model_type' = 5: the name"),
        ("vocab_size", "30522", "field 'vocab_size' = '30522': a whole number from 1 to"),
        ("vocab_size", 10**12, "field 'vocab_size' = 1000000000000: a whole number"),
        ("num_hidden_layers", 10**6, "field 'num_hidden_layers' = 1000000: a whole number"),
        ("num_hidden_layers", 2.0, "field 'num_hidden_layers' = 2.0: a whole number"),
        ("hidden_size", 0, "field 'hidden_size' = 0: a whole number from 1 to 100000"),
        ("hidden_size", [1] * 99, "field 'hidden_size' = [1, 1, 1"),
        ("max_position_embeddings", True, "field 'max_position_embeddings' = True: a whole"),
    ],
)
def test_a_field_that_decides_the_models_size_is_of_its_type(tmp_path, field, value, said):
    table = json.dumps({"model_type": "bert", field: value})
    assert refusal(tmp_path, table.encode()).startswith(said)


def test_a_config_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"config\.json: no such file"):
        read_config(tmp_path)

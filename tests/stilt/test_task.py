"""Every built-in task against the paper and the released code, written out by hand."""

import pytest

from stilt.data.load import SEPARATOR, render
from stilt.errors import ConfigError
from stilt.grid import grid_names, load_grid
from stilt.study import bind
from stilt.task import BUILT_IN, Task, load_task

BUILT_IN_TASKS = sorted(path.stem for path in BUILT_IN.glob("*.toml"))

# name: (kind, metric, max_length, epochs, classes, micro_batch, train rows, dev rows)
# Source: paper, appendix A and table 1; the released code's run.py, train_*.sh and processors.
PAPER = {
    "hellaswag": ("multiple-choice", "accuracy", 120, 3, 4, None, 39_905, 10_042),
    "hellaswag-p": ("multiple-choice", "accuracy", 50, 3, 4, None, 39_905, 10_042),
    "synthesis-gpt2": ("multiple-choice", "accuracy", 60, 2, 4, None, 30_000, None),
    "cola": ("classification", "mcc", 50, 5, 2, None, 8_551, 1_043),
    "rte": ("classification", "accuracy", 100, 5, 2, None, 2_490, 277),
    "wic": ("classification", "accuracy", 70, 5, 2, None, 5_428, 638),
    "mednli": ("classification", "accuracy", 80, 5, 3, None, 11_232, 1_395),
    "socialiqa": ("multiple-choice", "accuracy", 70, 3, 3, 4, 33_410, 1_954),
    "winogrande-xs": ("multiple-choice", "accuracy", 50, 10, 2, None, 160, 1_267),
    "winogrande-m": ("multiple-choice", "accuracy", 50, 5, 2, None, 2_558, 1_267),
    "winogrande-l": ("multiple-choice", "accuracy", 50, 4, 2, None, 10_234, 1_267),
}


@pytest.mark.parametrize("name", BUILT_IN_TASKS)
def test_every_built_in_task_file_loads(name):
    task = load_task(name)
    assert task.name == name
    assert task.title != name, "a built-in task has a title of its own"
    assert task.size is not None


@pytest.mark.parametrize("name", PAPER)
def test_task_is_set_up_as_in_the_paper(name):
    kind, metric, max_length, epochs, classes, micro_batch, train, dev = PAPER[name]
    task = load_task(name)
    assert (task.kind, task.metric, task.max_length, task.epochs) == (
        kind,
        metric,
        max_length,
        epochs,
    )
    assert (len(task.labels), task.micro_batch, task.size.train) == (classes, micro_batch, train)
    assert dev is None or task.size.dev == dev
    assert task.train_size is None
    assert task.dev_size is None


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("hella-sh", "hellaswag"),
        ("hella-sh-cut", "hellaswag"),
        ("hellaswag-cut", "hellaswag"),
        ("hellaswag-p-cut", "hellaswag-p"),
        ("rte-cut", "rte"),
        ("socialiqa-cut", "socialiqa"),
        ("winogrande-cut", "winogrande-xs"),
        ("winogrande-m", "winogrande-xs"),
        ("winogrande-l", "winogrande-xs"),
    ],
)
def test_a_variant_of_a_task_is_encoded_and_scored_like_its_original(name, original):
    fields = ("kind", "metric", "text_a", "text_b", "choices", "labels", "max_length")
    for field in fields:
        assert getattr(load_task(name), field) == getattr(load_task(original), field), field


@pytest.mark.parametrize(
    ("name", "chance"),
    [("cola", 0.0), ("rte", 1 / 2), ("mednli", 1 / 3), ("socialiqa", 1 / 3), ("hellaswag", 1 / 4)],
)
def test_chance_is_one_over_k_and_zero_for_the_matthews_correlation(name, chance):
    assert load_task(name).chance == chance


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
    original = name
    for ending in ("-cut", "-demo"):
        original = original.removesuffix(ending)
    known = {task for task, *_ in ROWS.values()} | {"hella-sh", "winogrande"}
    assert original.removesuffix("-cut") in known or name in known


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


OWN = """
kind = "classification"
text_a = "{text}"
labels = ["no", "yes"]
max_length = 30
epochs = 2
[[data]]
train = "a.jsonl"
dev = "b.jsonl"
"""


def own(tmp_path, text, name="own"):
    (tmp_path / f"{name}.toml").write_text(text)
    return load_task(name, [tmp_path])


def test_a_users_task_in_her_folder_is_found_and_titled_by_its_name(tmp_path):
    task = own(tmp_path, OWN)
    assert (task.name, task.title, task.kind, task.sequences) == ("own", "own", "classification", 1)


def test_a_users_task_wins_over_a_built_in_one_and_may_extend_it(tmp_path):
    task = own(tmp_path, 'extends = "rte"\nmax_length = 200\n', "rte")
    assert task.max_length == 200
    assert task.text_a == "{premise}"
    assert load_task("rte").max_length == 100


def test_a_task_that_extends_another_does_not_bear_its_title(tmp_path):
    assert own(tmp_path, 'extends = "rte"\nepochs = 1\n', "rte-h").title == "rte-h"
    assert own(tmp_path, 'extends = "rte"\ntitle = "RTE, again"\n', "rte-a").title == "RTE, again"
    assert own(tmp_path, 'extends = "rte"\nepochs = 1\n', "rte").title == "RTE"


def test_no_two_tasks_of_one_built_in_grid_share_a_title():
    for name in grid_names():
        tasks = bind(load_grid(name), "model").tasks.values()
        assert len({task.title for task in tasks}) == len(tasks), name


def test_task_folders_of_the_environment_come_after_the_grids_and_before_ours(
    tmp_path, monkeypatch
):
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far.mkdir()
    (far / "rte.toml").write_text('extends = "rte"\nepochs = 7\n')
    monkeypatch.setenv("STILT_TASKS", f"{tmp_path / 'none'}:{far}")
    assert load_task("rte").epochs == 7
    (near / "rte.toml").write_text('extends = "rte"\nmax_length = 30\n')
    task = load_task("rte", [near])
    assert (task.max_length, task.epochs) == (30, 7)


def test_a_grid_that_has_a_tasks_name_does_not_stand_in_its_way(tmp_path):
    (tmp_path / "rte.toml").write_text('sources = ["none"]\ntargets = ["rte"]\n')
    assert load_task("rte", [tmp_path]).max_length == 100


def test_without_drops_a_field_of_the_extended_task():
    assert load_task("hellaswag").text_a == "{ctx_a}"
    assert load_task("hellaswag-p").text_a is None


BAD = {
    "an unknown field": (
        OWN.replace("epochs", "epoch"),
        "field 'epochs' is missing. unknown field 'epoch'. Did you mean 'epochs'? Known: choices, "
        "data, dev_size, epochs, kind, label, labels, max_length, metric, micro_batch, name, "
        "reference, row, size, synthesis, text_a, text_b, title, train_size.",
    ),
    "an unknown field of the data": (
        OWN + 'colums = ["x"]\n',
        "field 'data.0': unknown field 'colums'. Did you mean 'columns'? Known: columns, config,",
    ),
    "a name inside the file": (
        'name = "x"\n' + OWN,
        "field 'name' is not allowed: the file's name is the task's name.",
    ),
    "a wrong kind": (
        OWN.replace('"classification"', '"regression"'),
        "field 'kind' = 'regression': Input should be 'classification' or 'multiple-choice'.",
    ),
    "an unknown row function": (
        'row = "split"\n' + OWN,
        "field 'row' = 'split': Input should be 'split_at_blank' or 'shuffle_fakes'.",
    ),
    "one class": (
        OWN.replace('"no", "yes"', '"no"'),
        "field 'labels' = (('no',),): at least 2 expected, 1 given.",
    ),
    "labels that are numbers": (
        OWN.replace('"no", "yes"', "0, 1"),
        "field 'labels' = [0, 1]: each class is a string, or a list of its spellings.",
    ),
    "a spelling of two classes": (
        OWN.replace('"no", "yes"', '["no", "x"], ["x"]'),
        "each class has a spelling, and no two spellings are the same.",
    ),
    "a class without a spelling": (
        OWN.replace('"no", "yes"', '[], ["x"]'),
        "each class has a spelling, and no two spellings are the same.",
    ),
    "an open brace": (
        OWN.replace("{text}", "{text"),
        "field 'text_a' = '{text': expected '}' before end of string.",
    ),
    "a nameless column": (
        OWN.replace("{text}", "{0} {}"),
        "field 'text_a' = '{0} {}': template '{0} {}': each {} names a column.",
    ),
    "a width": (
        OWN.replace("{text}", "{text:>99999999}"),
        "template '{text:>99999999}': {text} is expected, without ':' or '!'.",
    ),
    "a conversion": (
        OWN.replace("{text}", "{text!r}"),
        "template '{text!r}': {text} is expected, without ':' or '!'.",
    ),
    "choices in a classification task": (
        OWN.replace("labels", 'choices = ["{a}"]\nlabels', 1),
        "a classification task has 'text_a' (and 'text_b'), no 'choices'.",
    ),
    "fewer choices than labels": (
        OWN.replace('"classification"', '"multiple-choice"\nchoices = ["{a}"]'),
        "a multiple-choice task has one template in 'choices' per label.",
    ),
    "Matthews correlation of options": (
        OWN.replace(
            '"classification"', '"multiple-choice"\nmetric = "mcc"\nchoices = ["{a}", "{b}"]'
        ),
        "metric 'mcc' is for classification tasks.",
    ),
    "neither data nor synthesis": (
        OWN.split("[[data]]")[0],
        "a task has 'data', or 'synthesis = true', not both.",
    ),
    "no cut of one file": (
        OWN.replace("b.jsonl", "a.jsonl"),
        "field 'data.0': 'cut_by' is needed where 'train' and 'dev' are the same, and only there.",
    ),
    "a Hub id without a revision": (
        OWN + 'hub = "a/b"\n',
        "field 'data.0': 'hub' needs 'revision', so that the rows cannot change.",
    ),
    "extends that is no name": (
        "extends = 5\n",
        "field 'extends' = 5: the name of a task is expected.",
    ),
    "extends of an unknown task": (
        'extends = "rtee"\n',
        "field 'extends': unknown task 'rtee'. Did you mean 'rte'? Known: cola, ",
    ),
    "without that is a string": (
        'extends = "rte"\nwithout = "text_b"\n',
        "field 'without' = 'text_b': a list of fields is expected.",
    ),
    "without of an unknown field": (
        'extends = "rte"\nwithout = ["text_c"]\n',
        "field 'without': unknown field 'text_c'. Did you mean 'text_b'? Known: data, epochs,",
    ),
    "without alone": (
        'without = ["title"]\n' + OWN,
        "field 'without' is of use with 'extends' only.",
    ),
    "no TOML": ("labels = [\n", "not valid TOML: Invalid value (at end of document)."),
    "a truth value for a number": (
        OWN.replace("epochs = 2", "epochs = true"),
        "field 'epochs' = True: a whole number is expected.",
    ),
    "a number in quotes": (
        OWN.replace("max_length = 30", 'max_length = "100"'),
        "field 'max_length' = '100': a whole number is expected.",
    ),
    "a truth value for a size": (
        OWN.replace("epochs = 2", "epochs = 2\ntrain_size = true"),
        "field 'train_size' = True: a whole number is expected.",
    ),
    "a word for a truth value": (
        OWN.replace("epochs = 2", 'epochs = 2\nsynthesis = "yes"'),
        "field 'synthesis' = 'yes': true or false is expected.",
    ),
    "an empty length": (
        OWN.replace("max_length = 30", "max_length = 0"),
        "field 'max_length' = 0: Input should be greater than or equal to 4.",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_task_file_is_refused_in_one_line_that_names_file_and_field(tmp_path, case):
    text, message = BAD[case]
    with pytest.raises(ConfigError) as caught:
        own(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'own.toml'}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_task_name_with_capitals_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"field 'name' = 'Own': String should match pattern"):
        own(tmp_path, OWN, "Own")


def test_an_unknown_task_is_told_with_what_was_meant_and_where_it_was_looked_for(tmp_path):
    (tmp_path / "mine.toml").write_text(OWN)
    (tmp_path / "a-grid.toml").write_text("targets = []")
    with pytest.raises(ConfigError) as caught:
        load_task("helaswag", [tmp_path])
    text = str(caught.value)
    assert text.startswith("unknown task 'helaswag'. Did you mean 'hellaswag'? Known: cola, ")
    assert ", mine, " in text
    assert "a-grid" not in text
    assert text.endswith(f"Task files are looked for in {tmp_path}, {BUILT_IN}.")


def test_tasks_that_extend_each_other_are_refused(tmp_path):
    (tmp_path / "b.toml").write_text('extends = "a"\n')
    with pytest.raises(ConfigError, match=r"b\.toml: field 'extends' = 'a' leads back"):
        own(tmp_path, 'extends = "b"\n', "a")


def test_a_template_that_extends_an_endless_chain_of_one_name_ends(tmp_path):
    with pytest.raises(ConfigError, match=r"own\.toml: field 'extends' = 'own' leads back"):
        own(tmp_path, 'extends = "own"\n')


BASE = {
    "name": "t",
    "title": "T",
    "kind": "classification",
    "text_a": "{a}",
    "labels": ["0", "1"],
    "max_length": 30,
    "epochs": 2,
    "data": [{"train": "a", "dev": "b"}],
}


@pytest.mark.parametrize(
    "change",
    [
        {"title": "U"},
        {"reference": "R"},
        {"size": {"train": 1, "dev": 1, "tokens": 1}},
        {"data": [{"train": "c", "dev": "d"}, {"hub": "a/b", "revision": "0", **BASE["data"][0]}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_cannot_change_a_score_is_not_in_a_tasks_identity(change):
    assert Task(**BASE | change).identity() == Task(**BASE).identity()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "u"},
        {"text_a": "{b}"},
        {"text_b": "{b}"},
        {"max_length": 31},
        {"epochs": 3},
        {"metric": "mcc"},
        {"labels": ["1", "0"]},
        {"label": "y"},
        {"micro_batch": 4},
        {"train_size": 10},
        {"dev_size": 10},
        {"row": "split_at_blank"},
        {"data": [{"train": "a", "dev": "a", "cut_by": "g"}]},
        {"data": [{"train": "a", "dev": "a", "cut_by": "g", "cut_dev": 0.3}]},
    ],
    ids=str,
)
def test_what_can_change_a_score_is_in_a_tasks_identity(change):
    assert Task(**BASE | change).identity() != Task(**BASE).identity()

"""Every way to get a task file wrong, told in one line."""

import pytest

from stilt.errors import ConfigError
from stilt.task import TASK_FOLDER, load_task
from tests.support.plain_task import plain_task
from tests.support.toml_files import TASK_TEXT, write_toml


def own(tmp_path, text, name="own"):
    write_toml(tmp_path, text, name)
    return load_task(name, [tmp_path])


BAD = {
    "an unknown field": (
        TASK_TEXT.replace("epochs", "epoch"),
        "unknown field 'epoch'. Did you mean 'epochs'? Known: choices, credentialed, data, "
        "dev_size, epochs, extends, kind, label, labels, licence, max_length, metric, micro_batch, "
        "reference, row, size, synthesis, text_a, text_b, title, train_size, without. Field "
        "'epochs' is missing.",
    ),
    "an unknown field of the data": (
        TASK_TEXT + 'colums = ["x"]\n',
        "field 'data[0]': unknown field 'colums'. Did you mean 'columns'? Known: columns, config,",
    ),
    "a name inside the file": (
        'name = "x"\n' + TASK_TEXT,
        "field 'name' is not allowed: the file's name is the task's name.",
    ),
    "a wrong kind": (
        TASK_TEXT.replace('"classification"', '"ranking"'),
        "field 'kind' = 'ranking': Input should be 'classification', 'multiple-choice' or "
        "'regression'.",
    ),
    "an unknown row function": (
        'row = "split"\n' + TASK_TEXT,
        "field 'row' = 'split': Input should be 'split_at_blank', 'shuffle_fakes' or "
        "'mark_pronoun'.",
    ),
    "one class": (
        TASK_TEXT.replace('"no", "yes"', '"no"'),
        "field 'labels' = ['no']: at least 2 expected, 1 given.",
    ),
    "labels that are numbers": (
        TASK_TEXT.replace('"no", "yes"', "0, 1"),
        "field 'labels' = [0, 1]: each class is a string, or a list of its spellings.",
    ),
    "a spelling of two classes": (
        TASK_TEXT.replace('"no", "yes"', '["no", "x"], ["x"]'),
        "no two spellings are the same, and 'x' is given twice.",
    ),
    "a class's number twice": (
        TASK_TEXT.replace('"no", "yes"', '["no", "0"], ["yes", "0"]'),
        "no two spellings are the same, and '0' is given twice.",
    ),
    "a class without a spelling": (
        TASK_TEXT.replace('"no", "yes"', '[], ["x"]'),
        "each class has a spelling.",
    ),
    "an open brace": (
        TASK_TEXT.replace("{text}", "{text"),
        "field 'text_a' = '{text': expected '}' before end of string.",
    ),
    "a nameless column": (
        TASK_TEXT.replace("{text}", "{0} {}"),
        "field 'text_a' = '{0} {}': each {} names a column, or an item of one as {endings[0]}.",
    ),
    "an attribute": (
        TASK_TEXT.replace("{text}", "{text.__class__}"),
        "field 'text_a' = '{text.__class__}': each {} names a column, or an item of one as "
        "{endings[0]}.",
    ),
    "a place from the end": (
        TASK_TEXT.replace("{text}", "{text[-1]}"),
        "field 'text_a' = '{text[-1]}': each {} names a column, or an item of one as {endings[0]}.",
    ),
    "a column in a column": (
        TASK_TEXT.replace("{text}", "{text[{label}]}"),
        "each {} names a column, or an item of one as {endings[0]}.",
    ),
    "a label in braces": (
        'label = "{answer}"\n' + TASK_TEXT,
        "field 'label' = '{answer}': the name of a column is expected, without braces.",
    ),
    "a text without its letter": (
        TASK_TEXT.replace("text_a", "text"),
        "unknown field 'text'. Did you mean 'text_a'? Known: choices,",
    ),
    "data in single brackets": (
        TASK_TEXT.replace("[[data]]", "[data]"),
        "field 'data': tables are expected, each under [[data]].",
    ),
    "a field of grids": (
        "learning_rate = 1e-5\n" + TASK_TEXT,
        "field 'learning_rate' belongs to a grid: set it in the grid's file.",
    ),
    "the label in a text": (
        TASK_TEXT.replace("{text}", "{text} {label}"),
        "field 'text_a' = '{text} {label}': {label} is the label: it would tell the answer.",
    ),
    "an item of the label in an option": (
        TASK_TEXT.replace(
            '"classification"',
            '"multiple-choice"\nlabel = "gold"\nchoices = ["{a}", "{gold[0]}"]',
        ),
        "field 'choices[1]' = '{gold[0]}': {gold} is the label: it would tell the answer.",
    ),
    "no column": (
        TASK_TEXT.replace("{text}", "text {sep}"),
        "no template names a column, as {sentence} does.",
    ),
    "two options alike": (
        TASK_TEXT.replace(
            '"classification"', '"multiple-choice"\nchoices = ["{a} {b}", "{a} {b}"]'
        ),
        "field 'choices': two options are the same template.",
    ),
    "a separator of one tokenizer": (
        TASK_TEXT.replace("{text}", "{a}</s>{b}"),
        "field 'text_a' = '{a}</s>{b}': '</s>' would be read as these characters; the tokenizer's "
        "separator is {sep}.",
    ),
    "two columns of one name": (
        TASK_TEXT + 'rename = {a = "text", b = "text"}\n',
        "field 'data[0].rename': two columns would have one name.",
    ),
    "a name that no file can have": (
        TASK_TEXT.replace("a.jsonl", "x" * 300),
        f"field 'data[0].train' = '{'x' * 78}…: names of files have at most 255 bytes, none of "
        "them 0.",
    ),
    "a name with a zero byte": (
        TASK_TEXT.replace("a.jsonl", "a\\u0000"),
        r"field 'data[0].train' = 'a\x00': names of files have at most 255 bytes, none of them 0.",
    ),
    "extends with a name that no file can have": (
        f"extends = '{'x' * 300}'\n",
        f"field 'extends': unknown task '{'x' * 78}…. Known: boolq, cb, cola, ",
    ),
    "a number of 5000 digits": (
        TASK_TEXT.replace("max_length = 30", "max_length = 1" + "0" * 5_000),
        "not valid TOML: Exceeds the limit (4300 digits) for integer string conversion",
    ),
    "a number of 5000 digits in hexadecimal": (
        TASK_TEXT.replace("max_length = 30", "max_length = 0x1" + "0" * 5_000),
        "field 'max_length' = a number of thousands of digits: Input should be less than "
        "2147483648.",
    ),
    "an endless value": (
        TASK_TEXT.replace('"classification"', f"'{'x' * 100_000}'"),
        f"field 'kind' = '{'x' * 78}…: Input should be 'classification', 'multiple-choice' or "
        "'regression'.",
    ),
    "an unprintable value": (
        TASK_TEXT.replace('"classification"', r'"\u001b[2J"'),
        r"field 'kind' = '\x1b[2J': Input should be",
    ),
    "an unprintable field": (
        TASK_TEXT.replace("epochs = 2", 'epochs = 2\n"\\u001b[2J" = 1'),
        r"unknown field '\x1b[2J'. Known: ",
    ),
    "a width": (
        TASK_TEXT.replace("{text}", "{text:>99999999}"),
        "field 'text_a' = '{text:>99999999}': {text} is expected, without ':' or '!'.",
    ),
    "a conversion": (
        TASK_TEXT.replace("{text}", "{text!r}"),
        "field 'text_a' = '{text!r}': {text} is expected, without ':' or '!'.",
    ),
    "choices in a classification task": (
        TASK_TEXT.replace("labels", 'choices = ["{a}"]\nlabels', 1),
        "a classification task has 'text_a' (and 'text_b'), no 'choices'.",
    ),
    "fewer choices than labels": (
        TASK_TEXT.replace('"classification"', '"multiple-choice"\nchoices = ["{a}"]'),
        "a multiple-choice task has one template in 'choices' per label.",
    ),
    "Matthews correlation of options": (
        TASK_TEXT.replace(
            '"classification"', '"multiple-choice"\nmetric = "mcc"\nchoices = ["{a}", "{b}"]'
        ),
        "metric 'mcc' is not for multiple-choice tasks; allowed: accuracy.",
    ),
    "neither data nor synthesis": (
        TASK_TEXT.split("[[data]]")[0],
        "a task has 'data', or 'synthesis = true', not both.",
    ),
    "no cut of one file": (
        TASK_TEXT.replace("b.jsonl", "a.jsonl"),
        "field 'data[0]': 'cut_by' is needed where 'train' and 'dev' are the same, and only there.",
    ),
    "a Hub id without a revision": (
        TASK_TEXT + 'hub = "a/b"\n',
        "field 'data[0]': 'hub' needs 'revision', so that the rows cannot change.",
    ),
    "extends that is no name": (
        "extends = 5\n",
        "field 'extends' = 5: a string is expected.",
    ),
    "extends of an unknown task": (
        'extends = "rtee"\n',
        "field 'extends': unknown task 'rtee'. Did you mean 'rte'? Known: boolq, cb, cola, ",
    ),
    "without that is a string": (
        'extends = "rte"\nwithout = "text_b"\n',
        "field 'without' = 'text_b': a list is expected.",
    ),
    "without of an unknown field": (
        'extends = "rte"\nwithout = ["text_c"]\n',
        "field 'without': unknown field 'text_c'. Did you mean 'text_b'? Known: data, epochs,",
    ),
    "without alone": (
        'without = ["title"]\n' + TASK_TEXT,
        "field 'without' is of use with 'extends' only.",
    ),
    "no TOML": ("labels = [\n", "not valid TOML: Invalid value (at end of document)."),
    "a truth value for a number": (
        TASK_TEXT.replace("epochs = 2", "epochs = true"),
        "field 'epochs' = True: a whole number is expected.",
    ),
    "a number in quotes": (
        TASK_TEXT.replace("max_length = 30", 'max_length = "100"'),
        "field 'max_length' = '100': a whole number is expected.",
    ),
    "a truth value for a size": (
        TASK_TEXT.replace("epochs = 2", "epochs = 2\ntrain_size = true"),
        "field 'train_size' = True: a whole number is expected.",
    ),
    "a word for a truth value": (
        TASK_TEXT.replace("epochs = 2", 'epochs = 2\nsynthesis = "yes"'),
        "field 'synthesis' = 'yes': true or false is expected.",
    ),
    "an empty length": (
        TASK_TEXT.replace("max_length = 30", "max_length = 0"),
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
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("name", ["Own", "own task", "-own", "o" * 201])
def test_a_file_whose_name_no_task_may_have_is_refused_as_the_name_of_a_file(tmp_path, name):
    with pytest.raises(ConfigError) as caught:
        own(tmp_path, TASK_TEXT, name)
    assert str(caught.value) == (
        f"{tmp_path / name}.toml: the file's name is the task's name. It may have lower-case "
        "letters, digits, '.', '_' and '-' only, begins with a letter or a digit, and has at most "
        "200 characters."
    )


def test_an_unknown_task_is_told_with_what_was_meant_and_where_it_was_looked_for(tmp_path):
    (tmp_path / "mine.toml").write_text(TASK_TEXT)
    (tmp_path / "a-grid.toml").write_text("targets = []")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    (tmp_path / "broken.toml").write_text("kind = ")
    with pytest.raises(ConfigError) as caught:
        load_task("helaswag", [tmp_path])
    text = str(caught.value)
    assert text.startswith(
        "unknown task 'helaswag'. Did you mean 'hellaswag'? Known: boolq, cb, cola, "
    )
    assert ", mine, " in text
    assert not any(name in text for name in ("a-grid", "pyproject", "broken"))
    assert text.endswith(f"Task files are looked for in {tmp_path}, {TASK_FOLDER}.")


def test_tasks_that_extend_each_other_are_refused(tmp_path):
    (tmp_path / "b.toml").write_text('extends = "a"\n')
    with pytest.raises(ConfigError, match=r"b\.toml: field 'extends' = 'a' leads back"):
        own(tmp_path, 'extends = "b"\n', "a")


def test_a_template_that_extends_an_endless_chain_of_one_name_ends(tmp_path):
    with pytest.raises(ConfigError, match=r"own\.toml: field 'extends' = 'own' leads back"):
        own(tmp_path, 'extends = "own"\n')


WRONG = ["5", "true", "1.5", "1979-05-27", '"x"', '["x"]', "[[1]]", "{x = 1}", "[{x = 1}]"]
FIELDS = [
    *("title", "reference", "kind", "metric", "row", "text_a", "text_b", "choices", "label"),
    *("labels", "max_length", "epochs", "micro_batch", "train_size", "dev_size", "size", "data"),
    *("synthesis", "extends", "without"),
]
ORIGIN = [
    *("hub", "config", "revision", "wheel", "train", "dev", "train_labels", "dev_labels"),
    *("columns", "rename", "cut_by", "cut_dev"),
]


@pytest.mark.parametrize("value", WRONG)
def test_no_value_of_a_wrong_type_is_more_than_one_line(tmp_path, value):
    head, origin = TASK_TEXT.split("[[data]]")
    for field in FIELDS:
        lines = [line for line in head.splitlines() if not line.startswith(f"{field} ")]
        said(tmp_path, "\n".join([*lines, f"{field} = {value}"]) + f"\n[[data]]{origin}")
    for field in ORIGIN:
        lines = [line for line in origin.splitlines() if not line.startswith(f"{field} ")]
        said(tmp_path, head + "[[data]]\n" + "\n".join([*lines, f"{field} = {value}"]))


def said(folder, text):
    """What is said of a file, if it is not taken."""
    path = folder / "own.toml"
    path.write_text(text)
    try:
        load_task("own", [folder])
    except ConfigError as error:
        assert str(error).startswith(f"{path}: ")
        assert str(error).isprintable()


def test_a_study_that_was_begun_with_such_templates_stays_readable():
    # refused where a file is read, not where a study's own task is
    for text in ("{a} {label}", "no column", "{a}</s>{b}"):
        assert plain_task(text_a=text).text_a == text

"""Every way to get a grid wrong, told in one line."""

import pytest

from stilt.errors import ConfigError
from stilt.grid import GRID_FOLDER, Grid, load_grid
from stilt.study import bind
from tests.support.toml_files import GRID_TEXT, write_toml

BUILT_IN_GRIDS = sorted(path.stem for path in GRID_FOLDER.glob("*.toml"))


def cells(name, **options):
    return bind(load_grid(name), "model", **options).cells


BAD = {
    "a typo in an axis": (
        GRID_TEXT.replace("learning_rate", "learning_rates"),
        "unknown field 'learning_rates'. Did you mean 'learning_rate'? Known: batch_size, blocks, "
        "chunk, curve, evaluate, head, include, init_seed, learning_rate, model, name, order_seed, "
        "processes, recipe, seed, source, sources, synthesis, targets, title, warmup_ratio.",
    ),
    "a typo in a table": (
        GRID_TEXT.replace("revision", "revison"),
        "field 'model': unknown field 'revison'. Did you mean 'revision'? "
        "Known: hub, parameters, path, revision, wheel.",
    ),
    "a missing axis": (GRID_TEXT.replace("seed = [12]\n", ""), "field 'seed' is missing."),
    "a missing model": (GRID_TEXT.split("[model]")[0], "field 'model' is missing."),
    "nothing to run": (
        "[model]\n" + GRID_TEXT.split("[model]")[1],
        "a grid needs 'sources', 'targets' and axes, or 'evaluate'.",
    ),
    "text for a number": (
        GRID_TEXT.replace("[8]", '[8, "16"]'),
        "field 'batch_size[1]' = '16': a whole number is expected.",
    ),
    "a truth value for a number": (
        GRID_TEXT.replace("[8]", "[true]"),
        "field 'batch_size[0]' = True: a whole number is expected.",
    ),
    "a rate in quotes": (
        GRID_TEXT.replace("1e-5, 2e-5", '"1e-5"'),
        "field 'learning_rate[0]' = '1e-5': a number is expected.",
    ),
    "a fraction for a whole number": (
        GRID_TEXT.replace("[12]", "[12.5]"),
        "field 'seed[0]' = 12.5: a whole number is expected.",
    ),
    "a seed of more than 63 bits": (
        GRID_TEXT.replace("[12]", f"[{2**63}]"),
        f"field 'seed[0]' = {2**63}: Input should be less than {2**63}.",
    ),
    "a drawn seed of more than 63 bits": (
        GRID_TEXT.replace("seed = [12]", f"seed = [12]\ninit_seed = [{2**63}]"),
        f"field 'init_seed[0]' = {2**63}: Input should be less than {2**63}.",
    ),
    "a source's seed of more than 63 bits": (
        GRID_TEXT + f"[source]\nseeds = [{10**23}]\n",
        f"field 'source.seeds[0]' = {10**23}: ",
    ),
    "a source's seed twice": (
        GRID_TEXT + "[source]\nseeds = [1, 2, 1]\n",
        "field 'source.seeds' = [1, 2, 1]: 1 is given twice.",
    ),
    "one source's own seed twice": (
        GRID_TEXT.replace('"hellaswag"]', '{task = "hellaswag", seeds = [1, 1]}]'),
        "field 'sources[1].seeds' = [1, 1]: 1 is given twice.",
    ),
    "a truth value for a size": (
        GRID_TEXT.replace('"hellaswag"]', '{task = "hellaswag", train_size = true}]'),
        "field 'sources[1].train_size' = True: a whole number is expected.",
    ),
    "a size in quotes": (
        GRID_TEXT.replace('"hellaswag"]', '{task = "hellaswag", train_size = "32"}]'),
        "field 'sources[1].train_size' = '32': a whole number is expected.",
    ),
    "a word for a truth value": (
        'curve = "yes"\n' + GRID_TEXT,
        "field 'curve' = 'yes': true or false is expected.",
    ),
    "a number for a truth value": (
        "curve = 1\n" + GRID_TEXT,
        "field 'curve' = 1: true or false is expected.",
    ),
    "one value without a list": (
        GRID_TEXT.replace("[8]", "8"),
        "field 'batch_size' = 8: a list is expected.",
    ),
    "one source without a list": (
        GRID_TEXT.replace('["none", "hellaswag"]', '"none"'),
        "field 'sources' = 'none': a list is expected.",
    ),
    "an empty axis": (
        GRID_TEXT.replace("[8]", "[]"),
        "field 'batch_size' = []: at least 1 expected, 0 given.",
    ),
    "no targets": (
        GRID_TEXT.replace('["rte", "cola"]', "[]"),
        "field 'targets' = []: at least 1 expected, 0 given.",
    ),
    "a repeated value": (
        GRID_TEXT.replace("[8]", "[8, 16, 8]"),
        "axis 'batch_size' names 8 twice.",
    ),
    "one value written in two ways": (
        GRID_TEXT.replace("2e-5", "0.00001"),
        "axis 'learning_rate' names 1e-05 twice.",
    ),
    "a repeated target": (
        GRID_TEXT.replace('"cola"', '"rte"'),
        "axis 'targets' names 'rte' twice.",
    ),
    "a repeated source": (
        GRID_TEXT.replace('"none"', '"hellaswag"'),
        "axis 'sources' names 'hellaswag' twice.",
    ),
    "a negative rate": (
        GRID_TEXT.replace("2e-5", "-2e-5"),
        "field 'learning_rate[1]' = -2e-05: Input should be greater than 0.",
    ),
    "an infinite rate": (
        GRID_TEXT.replace("2e-5", "inf"),
        "field 'learning_rate[1]' = inf: Input should be a finite number.",
    ),
    "warmup to the end": (
        GRID_TEXT.replace("0.2", "1.0"),
        "field 'warmup_ratio[1]' = 1.0: Input should be less than 1.",
    ),
    "a negative seed": (
        GRID_TEXT.replace("[12]", "[-1]"),
        "field 'seed[0]' = -1: Input should be greater than or equal to 0.",
    ),
    "a size of none": (
        GRID_TEXT.replace('"none"', '{task = "none", train_size = 5}'),
        "field 'sources[0]': source 'none' is not trained: it has no 'train_size' or 'seeds'.",
    ),
    "a source without seeds": (
        GRID_TEXT.replace('"none"', '{task = "rte", seeds = []}'),
        "field 'sources[0].seeds' = []: at least 1 expected, 0 given.",
    ),
    "a typo in a source": (
        GRID_TEXT.replace('"none"', '{task = "rte", size = 5}'),
        "field 'sources[0]': unknown field 'size'. Known: seeds, task, train_size.",
    ),
    "a head that is not there": (
        'head = "drop"\n' + GRID_TEXT,
        "field 'head' = 'drop': Input should be 'keep' or 'reset'.",
    ),
    "a model that is a string": (
        'model = "org/encoder"\n' + GRID_TEXT.split("[model]")[0],
        "field 'model' = 'org/encoder': a table is expected, with some of hub, revision, path, "
        "wheel, parameters.",
    ),
    "a model in two places": (
        GRID_TEXT + 'path = "here"\n',
        "field 'model': a model is 'hub' (with 'revision'), 'path', or 'wheel' with 'path'.",
    ),
    "a name with a slash": (
        'name = "a/b"\n' + GRID_TEXT,
        "field 'name' = 'a/b': String should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$'.",
    ),
    "a name of dots": (
        'name = ".."\n' + GRID_TEXT,
        "field 'name' = '..': String should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$'.",
    ),
    "blocks that are a number": (
        "blocks = 5\n" + GRID_TEXT,
        "field 'blocks': tables are expected, each under [[blocks]].",
    ),
    "blocks in single brackets": (
        GRID_TEXT + "[blocks]\nseed = [1]\n",
        "field 'blocks': tables are expected, each under [[blocks]].",
    ),
    "evaluate that is a number": (
        "evaluate = 3\n" + GRID_TEXT,
        "field 'evaluate': tables are expected, each under [[evaluate]].",
    ),
    "an include that is no list": (
        'include = "full"\n' + GRID_TEXT,
        "field 'include' = 'full': a list is expected.",
    ),
    "an include of nothing": (
        'include = ["fulll"]\n' + GRID_TEXT,
        "field 'include': unknown grid 'fulll'. Did you mean 'full'? Known: ablations, demo, ",
    ),
    "an include of itself": ('include = ["own"]\n', "field 'include' leads back to this file."),
    "axes beside blocks that do not use them": (
        GRID_TEXT.replace('sources = ["none", "hellaswag"]\ntargets = ["rte", "cola"]\n', "")
        + '[[evaluate]]\nsources = ["none"]\ntasks = ["rte"]\n',
        "field 'learning_rate' is used by no block: it stands beside 'sources' and 'targets', or "
        "within each [[blocks]].",
    ),
    "axes alone": (
        GRID_TEXT.replace('sources = ["none", "hellaswag"]\ntargets = ["rte", "cola"]\n', ""),
        "fields 'sources', 'targets' are missing.",
    ),
    "all that a grid needs is missing": (
        'sources = ["none"]\n',
        "fields 'targets', 'learning_rate', 'batch_size', 'warmup_ratio', 'seed' are missing. "
        "Field 'model' is missing.",
    ),
    "nothing at all": (
        "",
        "a grid needs 'sources', 'targets' and axes, or 'evaluate'. Field 'model' is missing.",
    ),
    "a typo beside what is missing": (
        "title = 5\n" + GRID_TEXT.split("[model]")[0],
        "field 'model' is missing. Field 'title' = 5: a string is expected.",
    ),
    "a field of tasks": (
        "epochs = 3\n" + GRID_TEXT,
        "field 'epochs' belongs to a task: set it in the task's file.",
    ),
    "a field of tasks in a source": (
        GRID_TEXT.replace('"none"', '{task = "rte", epochs = 5}'),
        "field 'sources[0]': field 'epochs' belongs to a task: set it in the task's file.",
    ),
    "no TOML": ("sources = [\n", "not valid TOML: Invalid value (at end of document)."),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_grid_is_refused_in_one_line_that_names_file_field_and_value(tmp_path, case):
    text, message = BAD[case]
    path = write_toml(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_grid(path)
    found = str(caught.value)
    assert found.startswith(f"{path}: ")
    assert message in found
    assert "\n" not in found
    assert found.count("field ") <= 2, "one mistake, one complaint"


def test_a_mistake_in_one_of_several_blocks_is_named_with_its_number(tmp_path):
    axes = GRID_TEXT.split("[model]")[0]
    text = f"{GRID_TEXT}\n[[blocks]]\n{axes}\n[[blocks]]\n{axes.replace('[8]', '[0]')}"
    path = write_toml(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_grid(path)
    assert str(caught.value) == (
        f"{path}, [[blocks]] 2: field 'batch_size[0]' = 0: "
        "Input should be greater than or equal to 1."
    )


def test_mistakes_in_blocks_and_beside_them_are_told_at_once(tmp_path):
    axes = GRID_TEXT.split("[model]")[0]
    path = write_toml(tmp_path, f"hed = 1\n[[blocks]]\n{axes.replace('seed = [12]', '')}")
    with pytest.raises(ConfigError) as caught:
        load_grid(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: unknown field 'hed'. Did you mean 'head'?")
    assert said.endswith(
        f"Field 'model' is missing. {path}, [[blocks]] 1: field 'seed' is missing."
    )


def test_a_mistake_in_an_included_grid_is_told_of_that_file(tmp_path):
    write_toml(tmp_path, GRID_TEXT.replace("[8]", "[0]"), "inner")
    outer = write_toml(tmp_path, 'include = ["inner"]\n' + GRID_TEXT, "outer")
    with pytest.raises(ConfigError, match=r"inner\.toml: field 'batch_size\[0\]' = 0"):
        load_grid(outer)


@pytest.mark.parametrize("way", ["a", "../grids/a", "./a"])
def test_grids_that_include_each_other_are_refused(tmp_path, way):
    write_toml(tmp_path / "grids", f'include = ["{way}"]\n', "b")
    first = write_toml(tmp_path / "grids", 'include = ["b"]\n', "a")
    with pytest.raises(ConfigError, match=r"a\.toml: field 'include' leads back to this file\."):
        load_grid(first)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "ful",
            "unknown grid 'ful'. Did you mean 'full'? Known: {known}. "
            "A path to a .toml file works too.",
        ),
        ("here/own.toml", "here/own.toml: no such grid file."),
        ("../full", "../full: no such grid file."),
    ],
)
def test_an_unknown_grid_is_told_with_what_was_meant(name, message):
    with pytest.raises(ConfigError) as caught:
        load_grid(name)
    assert str(caught.value) == message.format(known=", ".join(BUILT_IN_GRIDS))


def test_files_that_are_no_grids_are_not_offered(tmp_path, monkeypatch):
    write_toml(tmp_path, GRID_TEXT, "mine")
    write_toml(tmp_path, "[project]\nname = 'x'\n", "pyproject")
    write_toml(tmp_path, "sources = ", "broken")
    monkeypatch.setenv("STILT_GRIDS", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        load_grid("nothere")
    known = ", ".join(sorted([*BUILT_IN_GRIDS, "mine"]))
    assert f"Known: {known}. " in str(caught.value)


def test_a_file_whose_name_no_grid_may_have_needs_a_name_in_it(tmp_path):
    path = write_toml(tmp_path, GRID_TEXT, "my grid")
    with pytest.raises(ConfigError) as caught:
        load_grid(path)
    assert str(caught.value) == (
        f"{path}: the file's name is the grid's name where no 'name' is given. It may have "
        "letters, digits, '.', '_' and '-' only, and begins with a letter or a digit."
    )
    assert load_grid(write_toml(tmp_path, 'name = "mine"\n' + GRID_TEXT, "my grid")).name == "mine"


def test_a_grid_made_in_python_keeps_the_same_rules():
    with pytest.raises(ValueError, match="axis 'seed' names 1 twice"):
        Grid.model_validate(
            {
                "name": "x",
                "model": {"path": "p"},
                "blocks": [
                    {
                        "sources": ["none"],
                        "targets": ["rte"],
                        "learning_rate": [1e-5],
                        "batch_size": [8],
                        "warmup_ratio": [0],
                        "seed": [1, 1],
                    }
                ],
            }
        )

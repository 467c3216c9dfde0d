"""The axes of a study: the paper's grid counted out, includes, and every way to get one wrong."""

import itertools

import pytest

from stilt.errors import ConfigError
from stilt.grid import BUILT_IN, Block, Grid, grid_names, grid_path, load_grid
from stilt.study import bind

BUILT_IN_GRIDS = sorted(path.stem for path in BUILT_IN.glob("*.toml"))

OWN = """
sources = ["none", "hellaswag"]
targets = ["rte", "cola"]
learning_rate = [1e-5, 2e-5]
batch_size = [8]
warmup_ratio = [0.0, 0.2]
seed = [12]
[model]
hub = "org/encoder"
revision = "0123"
"""


def write(folder, text, name="own"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(text)
    return str(folder / f"{name}.toml")


def cells(name, **options):
    return bind(load_grid(name), "model", **options).cells


@pytest.mark.parametrize("name", BUILT_IN_GRIDS)
def test_every_built_in_grid_loads_and_has_cells(name):
    grid = load_grid(name)
    assert grid.name == name
    assert grid.title
    assert name in grid_names()
    assert cells(name)


def test_the_full_grid_is_four_sources_by_eight_targets_by_36_trials():
    study = bind(load_grid("full"), "model")
    found = list(study.cells.values())
    assert len(found) == 1152 == 4 * 8 * 36
    assert {cell.source for cell in found} == {"none", "hellaswag", "hellaswag-p", "synthesis-gpt2"}
    assert {cell.target for cell in found} == {
        "cola", "wic", "rte", "mednli", "socialiqa",
        "winogrande-xs", "winogrande-m", "winogrande-l",
    }  # fmt: skip
    points = {(c.hyperparameters.learning_rate, c.hyperparameters.batch_size,
               c.hyperparameters.warmup_ratio, c.seed) for c in found}  # fmt: skip
    assert points == set(itertools.product((5e-6, 1e-5, 2e-5), (8, 16, 32), (0, 0.2), (12, 42)))
    combinations = {(c.source, c.target, c.hyperparameters) for c in found}
    assert len(combinations) == 1152


def test_everything_in_the_paper_shares_sources_and_cells():
    # figure 2: 1152; table 3: two more sources x 3 targets x 36; figure 3: two more sizes x 3 x 36;
    # table 4: 3 sources x 2 tasks; section 4.2: HellaSwag's model on three dev sets
    study = bind(load_grid("paper"), "model")
    assert len(study.cells) == 1152 + 2 * 3 * 36 + 2 * 3 * 36 + 3 * 2 + 3
    assert {source.name for source in study.sources.values()} == {
        "hellaswag", "hellaswag-p", "synthesis-gpt2", "cola", "hella-sh",
        "hellaswag-p@2000", "hellaswag-p@10000",
    }  # fmt: skip
    for part in ("figure2", "figure3", "table2", "table3", "table4", "ablations"):
        assert set(cells(part)) <= set(study.cells)


def test_axes_of_an_included_setup_are_handed_on_and_may_be_changed(tmp_path):
    text = 'include = ["setup/paper"]\nsources = ["none"]\ntargets = ["rte"]\n'
    assert len(cells(write(tmp_path, text))) == 36
    assert len(cells(write(tmp_path, text + "seed = [12]\n"))) == 18


def test_a_users_grid_and_task_in_her_own_folder_need_no_place_of_ours(tmp_path):
    name = write(tmp_path / "mine", OWN.replace('"rte", "cola"', '"sarcasm", "rte"'))
    (tmp_path / "mine/sarcasm.toml").write_text(
        'kind = "classification"\ntext_a = "{text}"\nlabels = ["0", "1"]\nmax_length = 30\n'
        'epochs = 2\n[[data]]\ntrain = "train.csv"\ndev = "dev.csv"\n'
    )
    study = bind(load_grid(name), "model", near=tmp_path / "mine")
    assert study.name == "own"
    assert len(study.cells) == 2 * 2 * 4
    assert study.tasks["sarcasm"].max_length == 30
    with pytest.raises(ConfigError, match="unknown task 'sarcasm'"):
        bind(load_grid(name), "model")


def test_tasks_may_also_lie_in_a_folder_beside_the_grid(tmp_path):
    name = write(tmp_path, OWN.replace("cola", "other"))
    write(tmp_path / "tasks", 'extends = "cola"\n', "other")
    assert "other" in bind(load_grid(name), "model", near=tmp_path).tasks


def test_a_grid_named_like_a_task_it_uses_still_finds_the_built_in_task(tmp_path):
    name = write(tmp_path, OWN, "rte")
    assert bind(load_grid(name), "model", near=tmp_path).tasks["rte"].max_length == 100


def test_grids_of_the_environment_win_over_ours(tmp_path, monkeypatch):
    write(tmp_path, OWN, "full")
    assert len(cells("full")) == 1152
    monkeypatch.setenv("STILT_GRIDS", str(tmp_path))
    assert len(cells("full")) == 2 * 2 * 4
    assert grid_path("full") == tmp_path / "full.toml"


def test_an_include_joins_grids_and_makes_no_cell_twice(tmp_path):
    write(tmp_path, OWN, "a")
    write(tmp_path, OWN.replace('"rte", "cola"', '"cola", "wic"'), "b")
    joined = write(tmp_path, 'include = ["a", "b"]\n', "both")
    a, b, both = (cells(str(tmp_path / f"{name}.toml")) for name in ("a", "b", "both"))
    assert len(a) == len(b) == 16
    assert len(both) == 24
    assert set(both) == {*a, *b}
    assert len(bind(load_grid(joined), "model").sources) == 1
    assert load_grid(joined).name == "both"


def test_an_include_of_a_built_in_grid_adds_her_own_block_and_model(tmp_path):
    own = write(tmp_path, 'include = ["full"]\n' + OWN.replace("2e-5", "3e-5"))
    grid = load_grid(own)
    assert grid.model.name == "org/encoder"
    assert grid.title == ""
    # of her 16 cells, those at 1e-5, batch 8, seed 12 are among the 1152
    assert len(cells(own)) == 1152 + 8


def test_blocks_and_axes_of_one_file_are_joined(tmp_path):
    axes = OWN.split("[model]")[0].replace("cola", "wic")
    block = f"[[blocks]]\n{axes}"
    assert len(cells(write(tmp_path, f"{OWN}\n{block}"))) == 24


def test_an_axis_of_separate_seeds_is_crossed_with_the_others():
    block = Block(
        sources=["none"],
        targets=["rte"],
        learning_rate=[1e-5],
        batch_size=[8],
        warmup_ratio=[0],
        seed=[12],
        init_seed=[1, 2],
        order_seed=[3, 4, 5],
    )
    points = block.points()
    assert len(points) == len(set(points)) == 6
    assert {(p.init_seed, p.order_seed) for p in points} == {*itertools.product((1, 2), (3, 4, 5))}


BAD = {
    "a typo in an axis": (
        OWN.replace("learning_rate", "learning_rates"),
        "unknown field 'learning_rates'. Did you mean 'learning_rate'? Known: batch_size, blocks, "
        "curve, evaluate, head, include, init_seed, learning_rate, model, name, order_seed, "
        "processes, recipe, seed, source, sources, synthesis, targets, title, warmup_ratio.",
    ),
    "a typo in a table": (
        OWN.replace("revision", "revison"),
        "field 'model': unknown field 'revison'. Did you mean 'revision'? "
        "Known: hub, parameters, path, revision, wheel.",
    ),
    "a missing axis": (OWN.replace("seed = [12]\n", ""), "field 'seed' is missing."),
    "a missing model": (OWN.split("[model]")[0], "field 'model' is missing."),
    "nothing to run": (
        "[model]\n" + OWN.split("[model]")[1],
        "a grid needs 'sources', 'targets' and axes, or 'evaluate'.",
    ),
    "text for a number": (
        OWN.replace("[8]", '[8, "16"]'),
        "field 'batch_size.1' = '16': a whole number is expected.",
    ),
    "a truth value for a number": (
        OWN.replace("[8]", "[true]"),
        "field 'batch_size.0' = True: a whole number is expected.",
    ),
    "a rate in quotes": (
        OWN.replace("1e-5, 2e-5", '"1e-5"'),
        "field 'learning_rate.0' = '1e-5': a number is expected.",
    ),
    "a fraction for a whole number": (
        OWN.replace("[12]", "[12.5]"),
        "field 'seed.0' = 12.5: a whole number is expected.",
    ),
    "a seed of more than 63 bits": (
        OWN.replace("[12]", f"[{2**63}]"),
        f"field 'seed.0' = {2**63}: Input should be less than {2**63}.",
    ),
    "a drawn seed of more than 63 bits": (
        OWN.replace("seed = [12]", f"seed = [12]\ninit_seed = [{2**63}]"),
        f"field 'init_seed.0' = {2**63}: Input should be less than {2**63}.",
    ),
    "a source's seed of more than 63 bits": (
        OWN + f"[source]\nseeds = [{10**23}]\n",
        f"field 'source.seeds.0' = {10**23}: ",
    ),
    "a source's seed twice": (
        OWN + "[source]\nseeds = [1, 2, 1]\n",
        "field 'source.seeds' = [1, 2, 1]: 1 is given twice.",
    ),
    "one source's own seed twice": (
        OWN.replace('"hellaswag"]', '{task = "hellaswag", seeds = [1, 1]}]'),
        "field 'sources.1.seeds' = [1, 1]: 1 is given twice.",
    ),
    "a truth value for a size": (
        OWN.replace('"hellaswag"]', '{task = "hellaswag", train_size = true}]'),
        "field 'sources.1.train_size' = True: a whole number is expected.",
    ),
    "a size in quotes": (
        OWN.replace('"hellaswag"]', '{task = "hellaswag", train_size = "32"}]'),
        "field 'sources.1.train_size' = '32': a whole number is expected.",
    ),
    "a word for a truth value": (
        'curve = "yes"\n' + OWN,
        "field 'curve' = 'yes': true or false is expected.",
    ),
    "a number for a truth value": (
        "curve = 1\n" + OWN,
        "field 'curve' = 1: true or false is expected.",
    ),
    "one value without a list": (
        OWN.replace("[8]", "8"),
        "field 'batch_size' = 8: a list is expected.",
    ),
    "one source without a list": (
        OWN.replace('["none", "hellaswag"]', '"none"'),
        "field 'sources' = 'none': a list is expected.",
    ),
    "an empty axis": (
        OWN.replace("[8]", "[]"),
        "field 'batch_size' = []: at least 1 expected, 0 given.",
    ),
    "no targets": (
        OWN.replace('["rte", "cola"]', "[]"),
        "field 'targets' = []: at least 1 expected, 0 given.",
    ),
    "a repeated value": (OWN.replace("[8]", "[8, 16, 8]"), "axis 'batch_size' names 8 twice."),
    "one value written in two ways": (
        OWN.replace("2e-5", "0.00001"),
        "axis 'learning_rate' names 1e-05 twice.",
    ),
    "a repeated target": (
        OWN.replace('"cola"', '"rte"'),
        "axis 'targets' names 'rte' twice.",
    ),
    "a repeated source": (
        OWN.replace('"none"', '"hellaswag"'),
        "axis 'sources' names 'hellaswag' twice.",
    ),
    "a negative rate": (
        OWN.replace("2e-5", "-2e-5"),
        "field 'learning_rate.1' = -2e-05: Input should be greater than 0.",
    ),
    "an infinite rate": (
        OWN.replace("2e-5", "inf"),
        "field 'learning_rate.1' = inf: Input should be a finite number.",
    ),
    "warmup to the end": (
        OWN.replace("0.2", "1.0"),
        "field 'warmup_ratio.1' = 1.0: Input should be less than 1.",
    ),
    "a negative seed": (
        OWN.replace("[12]", "[-1]"),
        "field 'seed.0' = -1: Input should be greater than or equal to 0.",
    ),
    "a size of none": (
        OWN.replace('"none"', '{task = "none", train_size = 5}'),
        "field 'sources.0': source 'none' is not trained: it has no 'train_size' or 'seeds'.",
    ),
    "a source without seeds": (
        OWN.replace('"none"', '{task = "rte", seeds = []}'),
        "field 'sources.0.seeds' = []: at least 1 expected, 0 given.",
    ),
    "a typo in a source": (
        OWN.replace('"none"', '{task = "rte", size = 5}'),
        "field 'sources.0': unknown field 'size'. Known: seeds, task, train_size.",
    ),
    "a head that is not there": (
        'head = "drop"\n' + OWN,
        "field 'head' = 'drop': Input should be 'keep' or 'reset'.",
    ),
    "a model that is a string": (
        'model = "org/encoder"\n' + OWN.split("[model]")[0],
        "field 'model' = 'org/encoder': a table is expected.",
    ),
    "a model in two places": (
        OWN + 'path = "here"\n',
        "field 'model': a model is 'hub' (with 'revision'), 'path', or 'wheel' with 'path'.",
    ),
    "a name with a slash": (
        'name = "a/b"\n' + OWN,
        "field 'name' = 'a/b': String should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$'.",
    ),
    "a name of dots": (
        'name = ".."\n' + OWN,
        "field 'name' = '..': String should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$'.",
    ),
    "blocks that are a number": (
        "blocks = 5\n" + OWN,
        "field 'blocks': tables are expected, each under [[blocks]].",
    ),
    "blocks in single brackets": (
        OWN + "[blocks]\nseed = [1]\n",
        "field 'blocks': tables are expected, each under [[blocks]].",
    ),
    "evaluate that is a number": (
        "evaluate = 3\n" + OWN,
        "field 'evaluate': tables are expected, each under [[evaluate]].",
    ),
    "an include that is no list": (
        'include = "full"\n' + OWN,
        "field 'include' = 'full': a list of grid names.",
    ),
    "an include of nothing": (
        'include = ["fulll"]\n' + OWN,
        "field 'include': unknown grid 'fulll'. Did you mean 'full'? Known: ablations, demo, ",
    ),
    "an include of itself": ('include = ["own"]\n', "field 'include' leads back to this file."),
    "axes beside blocks that do not use them": (
        OWN.replace('sources = ["none", "hellaswag"]\ntargets = ["rte", "cola"]\n', "")
        + '[[evaluate]]\nsources = ["none"]\ntasks = ["rte"]\n',
        "field 'learning_rate' is used by no block: it stands beside 'sources' and 'targets', or "
        "within each [[blocks]].",
    ),
    "axes alone": (
        OWN.replace('sources = ["none", "hellaswag"]\ntargets = ["rte", "cola"]\n', ""),
        "field 'sources' is missing. field 'targets' is missing.",
    ),
    "no TOML": ("sources = [\n", "not valid TOML: Invalid value (at end of document)."),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_grid_is_refused_in_one_line_that_names_file_field_and_value(tmp_path, case):
    text, message = BAD[case]
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_grid(path)
    found = str(caught.value)
    assert found.startswith(f"{path}: ")
    assert message in found
    assert "\n" not in found
    assert found.count("field ") <= 2, "one mistake, one complaint"


def test_a_mistake_in_one_of_several_blocks_is_named_with_its_number(tmp_path):
    axes = OWN.split("[model]")[0]
    text = f"{OWN}\n[[blocks]]\n{axes}\n[[blocks]]\n{axes.replace('[8]', '[0]')}"
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_grid(path)
    assert str(caught.value) == (
        f"{path}, [[blocks]] 2: field 'batch_size.0' = 0: "
        "Input should be greater than or equal to 1."
    )


def test_a_mistake_in_an_included_grid_is_told_of_that_file(tmp_path):
    write(tmp_path, OWN.replace("[8]", "[0]"), "inner")
    outer = write(tmp_path, 'include = ["inner"]\n' + OWN, "outer")
    with pytest.raises(ConfigError, match=r"inner\.toml: field 'batch_size\.0' = 0"):
        load_grid(outer)


@pytest.mark.parametrize("way", ["a", "../grids/a", "./a"])
def test_grids_that_include_each_other_are_refused(tmp_path, way):
    write(tmp_path / "grids", f'include = ["{way}"]\n', "b")
    first = write(tmp_path / "grids", 'include = ["b"]\n', "a")
    with pytest.raises(ConfigError, match=r"a\.toml: field 'include' leads back to this file\."):
        load_grid(first)


def test_one_grid_included_by_two_others_is_no_circle(tmp_path):
    write(tmp_path, OWN, "inner")
    write(tmp_path, 'include = ["inner"]\n', "left")
    write(tmp_path, 'include = ["inner"]\n', "right")
    assert len(cells(write(tmp_path, 'include = ["left", "right"]\n', "top"))) == 16


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


@pytest.mark.parametrize(
    ("axis", "text"),
    [
        ("targets", OWN.replace('"cola"', '"colla"')),
        ("sources", OWN.replace('"hellaswag"', '"colla"')),
        ("evaluate.tasks", OWN + '[[evaluate]]\nsources = ["none"]\ntasks = ["colla"]\n'),
    ],
)
def test_an_unknown_task_of_a_grid_is_told_with_its_axis(tmp_path, axis, text):
    with pytest.raises(ConfigError) as caught:
        cells(write(tmp_path, text))
    assert str(caught.value).startswith(
        f"grid 'own', field '{axis}': unknown task 'colla'. Did you mean 'cola'? Known: cola, "
    )


def test_a_generated_task_needs_a_synthesis_table(tmp_path):
    text = OWN.replace('"hellaswag"', '"synthesis-gpt2"')
    with pytest.raises(ConfigError, match=r"grid 'own': task 'synthesis-gpt2' is generated by the"):
        cells(write(tmp_path, text))
    assert len(cells(write(tmp_path, text + "[synthesis]\n"))) == 16


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

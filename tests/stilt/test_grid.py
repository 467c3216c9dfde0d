"""The axes of a study: the paper's grid counted out, includes, and a user's own files."""

import itertools

import pytest

from stilt.errors import ConfigError
from stilt.grid import GRID_FOLDER, Block, grid_names, grid_path, load_grid
from stilt.study import bind
from tests.support.toml_files import GRID_TEXT, write_toml

BUILT_IN_GRIDS = sorted(path.stem for path in GRID_FOLDER.glob("*.toml"))


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
    assert len(cells(write_toml(tmp_path, text))) == 36
    assert len(cells(write_toml(tmp_path, text + "seed = [12]\n"))) == 18


def test_a_users_grid_and_task_in_her_own_folder_need_no_place_of_ours(tmp_path):
    name = write_toml(tmp_path / "mine", GRID_TEXT.replace('"rte", "cola"', '"sarcasm", "rte"'))
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
    name = write_toml(tmp_path, GRID_TEXT.replace("cola", "other"))
    write_toml(tmp_path / "tasks", 'extends = "cola"\n', "other")
    assert "other" in bind(load_grid(name), "model", near=tmp_path).tasks


def test_a_grid_named_like_a_task_it_uses_still_finds_the_built_in_task(tmp_path):
    name = write_toml(tmp_path, GRID_TEXT, "rte")
    assert bind(load_grid(name), "model", near=tmp_path).tasks["rte"].max_length == 100


def test_grids_of_the_environment_win_over_ours(tmp_path, monkeypatch):
    write_toml(tmp_path, GRID_TEXT, "full")
    assert len(cells("full")) == 1152
    monkeypatch.setenv("STILT_GRIDS", str(tmp_path))
    assert len(cells("full")) == 2 * 2 * 4
    assert grid_path("full") == tmp_path / "full.toml"


def test_an_include_joins_grids_and_makes_no_cell_twice(tmp_path):
    write_toml(tmp_path, GRID_TEXT, "a")
    write_toml(tmp_path, GRID_TEXT.replace('"rte", "cola"', '"cola", "wic"'), "b")
    joined = write_toml(tmp_path, 'include = ["a", "b"]\n', "both")
    a, b, both = (cells(str(tmp_path / f"{name}.toml")) for name in ("a", "b", "both"))
    assert len(a) == len(b) == 16
    assert len(both) == 24
    assert set(both) == {*a, *b}
    assert len(bind(load_grid(joined), "model").sources) == 1
    assert load_grid(joined).name == "both"


def test_an_include_of_a_built_in_grid_adds_her_own_block_and_model(tmp_path):
    own = write_toml(tmp_path, 'include = ["full"]\n' + GRID_TEXT.replace("2e-5", "3e-5"))
    grid = load_grid(own)
    assert grid.model.name == "org/encoder"
    assert grid.title == ""
    # of her 16 cells, those at 1e-5, batch 8, seed 12 are among the 1152
    assert len(cells(own)) == 1152 + 8


def test_blocks_and_axes_of_one_file_are_joined(tmp_path):
    axes = GRID_TEXT.split("[model]")[0].replace("cola", "wic")
    block = f"[[blocks]]\n{axes}"
    assert len(cells(write_toml(tmp_path, f"{GRID_TEXT}\n{block}"))) == 24


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


def test_one_grid_included_by_two_others_is_no_circle(tmp_path):
    write_toml(tmp_path, GRID_TEXT, "inner")
    write_toml(tmp_path, 'include = ["inner"]\n', "left")
    write_toml(tmp_path, 'include = ["inner"]\n', "right")
    assert len(cells(write_toml(tmp_path, 'include = ["left", "right"]\n', "top"))) == 16

"""Two shapes of a study compared: which runs come, which go, and why ids changed."""

import pytest

from stilt.grid import grid_names, load_grid
from stilt.revisions import Change
from stilt.study import bind
from tests.support.bound_study import block, study


def grown(**changes):
    change = Change(study(), study(**changes))
    assert change.gone == []
    return change.grown()


@pytest.mark.parametrize("grid", grid_names())
def test_a_study_does_not_differ_from_itself(grid):
    one, other = (bind(load_grid(grid), "model") for _ in range(2))
    change = Change(one, other)
    assert change.same
    assert change.came == change.gone == []
    assert change.lost() == []


def test_what_comes_is_told_by_the_axes_that_have_new_values():
    assert grown(**block(targets=["rte", "cola", "wic"])) == "+12 cells: target wic"
    assert grown(**block(seed=[12, 42, 5])) == "+12 cells: seed 5"
    several = grown(**block(seed=[12, 42, 5], batch_size=[8, 16, 32], learning_rate=[1e-5, 3e-5]))
    assert several == "+84 cells: learning rate 3e-05; batch size 32; seed 5"
    sources = ["none", "hellaswag", {"task": "hellaswag-p", "train_size": 2000}, "rte"]
    assert grown(**block(sources=sources)) == "+1 source and +8 cells: source rte"
    evaluate = [{"sources": ["none", "hellaswag"], "tasks": ["hellaswag-p", "hellaswag"]}]
    assert grown(evaluate=evaluate) == "+2 cells: evaluation on hellaswag"


def test_a_source_that_gets_a_second_seed_is_the_same_source_by_another_name():
    change = Change(study(), study(source={"seeds": [42, 43]}))
    assert change.gone == []
    assert change.grown() == "+2 sources and +17 cells: source seed 43"


def test_what_comes_without_a_new_value_is_told_by_its_places():
    first = study().grid.blocks[0].model_dump() | {"sources": ["none"], "targets": ["rte"]}
    second = first | {"sources": ["hellaswag"], "targets": ["cola"]}
    old = study(blocks=[first, second], evaluate=[])
    new = study(blocks=[first | {"targets": ["rte", "cola"]}, second], evaluate=[])
    assert Change(old, new).grown() == "+4 cells: other combinations, none → cola (4)"


def test_fields_that_decide_no_result_change_without_other_runs():
    change = Change(study(), study(title="x", curve=True))
    assert (change.came, change.gone) == ([], [])
    assert not change.same
    assert change.grown() == 'no other runs: grid.curve false -> true; grid.title "" -> "x"'


def test_a_value_that_a_terminal_cannot_show_is_told_by_its_code():
    change = Change(study(title="\ud800"), study(title="x\u202e"))
    assert change.grown() == r'no other runs: grid.title "\ud800" -> "x\u202e"'


def task(name, **fields):
    return {"tasks": {name: study().tasks[name].model_copy(update=fields)}}


MODEL = 'model "model" -> "other"'


@pytest.mark.parametrize(
    ("identity", "changes", "lost"),
    [
        ("model", block(seed=[12]), ["no longer in the grid: 12 cells: seed 42"]),
        ("model", block(targets=["rte"]), ["no longer in the grid: 12 cells: target cola"]),
        (
            "model",
            task("rte", max_length=128),
            ["rte: max_length 100 -> 128, so 12 cells are other cells"],
        ),
        (
            "model",
            # of the source and of all that starts from it; a field that had its usual value
            task("hellaswag", max_length=128, epochs=9),
            [
                "hellaswag: epochs 3 -> 9; hellaswag: max_length 120 -> 128, "
                "so 1 source and 9 cells are other cells"
            ],
        ),
        ("other", {}, [f"{MODEL}, so 2 sources and 26 cells are other cells"]),
        (
            "model",
            {"source": {"learning_rate": 2e-5}},
            ["source.learning_rate 1e-05 -> 2e-05, so 2 sources and 17 cells are other cells"],
        ),
        (
            "model",
            {"processes": 2},
            ["processes 1 -> 2, so 2 sources and 25 cells are other cells"],
        ),
        ("model", {"head": "reset"}, ['head "keep" -> "reset", so 17 cells are other cells']),
        (
            "other",
            block(targets=["rte"]),
            [
                f"{MODEL}, so 2 sources and 14 cells are other cells",
                "no longer in the grid: 12 cells: target cola",
            ],
        ),
    ],
)
def test_what_goes_is_told_with_the_fields_that_made_it_another(identity, changes, lost):
    change = Change(study(), study(identity, **changes))
    assert change.lost() == lost


def test_what_comes_in_place_of_others_is_not_told_as_new():
    change = Change(study(), study(**task("rte", max_length=128)))
    assert change.grown() == "12 cells in place of others"


def test_of_many_reasons_the_first_are_told():
    old, new = (
        bind(load_grid("full"), "model"),
        bind(load_grid("full"), "model"),
    )
    tasks = {name: t.model_copy(update={"epochs": 9}) for name, t in new.tasks.items()}
    changed = new.model_copy(update={"tasks": tasks})
    lines = Change(old, type(new).model_validate(changed.model_dump())).lost()
    assert len(lines) == 11
    assert lines[-1].startswith("and for ")

"""A study: cell ids that are the same everywhere, and sources that are trained once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilt.cell import digest
from stilt.errors import ConfigError
from stilt.grid import Grid, load_grid
from stilt.study import Study, bind
from stilt.task import Task
from tests.support.bound_study import BLOCK, GRID, ROBERTA, block, study
from tests.support.toml_files import GRID_TEXT, write_toml


def ids(bound, stage="target"):
    return {cell.id for cell in bound.cells.values() if cell.stage == stage}


def only(cells, **wanted):
    (cell,) = (
        c for c in cells
        if all((c.model_dump() | (c.hyperparameters.model_dump() if c.hyperparameters else {}))[key]
               == value for key, value in wanted.items())
    )  # fmt: skip
    return cell


def test_the_id_of_a_known_cell_is_the_same_today_as_ever():
    full = bind(load_grid("full"), ROBERTA)
    plain = only(
        full.cells.values(), source="none", target="cola",
        learning_rate=1e-5, batch_size=16, warmup_ratio=0.2, seed=42,
    )  # fmt: skip
    after = only(
        full.cells.values(), source="hellaswag-p", target="socialiqa",
        learning_rate=5e-6, batch_size=32, warmup_ratio=0.0, seed=12,
    )  # fmt: skip
    assert plain.id == "06d901b527f8"
    assert (after.id, after.source_id) == ("17dd766f35b0", "4ea485ef5be1")


def test_an_id_is_the_digest_of_what_can_change_a_score_written_out_by_hand():
    full = bind(load_grid("full"), ROBERTA)
    plain = only(
        full.cells.values(), source="none", target="cola",
        learning_rate=1e-5, batch_size=16, warmup_ratio=0.2, seed=42,
    )  # fmt: skip
    assert plain.id == digest(
        {
            "model": ROBERTA,
            "recipe": "paper",
            "task": {
                "name": "cola",
                "kind": "classification",
                "metric": "mcc",
                "text_a": "{sentence}",
                "labels": [["0"], ["1"]],
                "max_length": 50,
                "epochs": 5,
            },
            "synthesis": None,
            "hyperparameters": {
                "learning_rate": 1e-5,
                "batch_size": 16,
                "warmup_ratio": 0.2,
                "seed": 42,
            },
            "source": None,
        }
    )


RATES = st.floats(1e-9, 1, exclude_min=True)
SEEDS = st.integers(0, 2**40)


@settings(max_examples=25)
@given(
    identity=st.text() | st.sampled_from(['"hyperparameters":null', "é", '\\"']),
    head=st.sampled_from(["keep", "reset"]),
    axes=st.fixed_dictionaries(
        {
            "learning_rate": st.lists(RATES, min_size=1, max_size=2, unique=True),
            "batch_size": st.tuples(st.integers(1, 10**9)),
            "warmup_ratio": st.tuples(st.floats(0, 1, exclude_max=True)),
            "seed": st.lists(SEEDS, min_size=1, max_size=2, unique=True),
        },
        optional={"init_seed": st.tuples(SEEDS), "order_seed": st.tuples(SEEDS)},
    ),
)
def test_the_id_of_every_trained_cell_is_the_digest_of_its_whole_identity(identity, head, axes):
    bound = study(identity, head=head, **block(**axes))
    trained = [cell for cell in bound.cells.values() if cell.hyperparameters]
    assert trained
    for cell in trained:
        assert cell.id == digest(
            {
                "model": identity,
                "recipe": "paper",
                "task": bound.tasks[cell.target].identity(),
                "synthesis": None,
                "hyperparameters": cell.hyperparameters.model_dump(exclude_none=True),
                "source": cell.source_id,
            }
            | ({"head": head} if cell.source_id and head != "keep" else {})
        )


def test_ids_are_short_hexadecimal_and_unique_over_cells_and_sources():
    full = bind(load_grid("full"), ROBERTA)
    every = [*full.cells, *full.sources]
    assert len(every) == len(set(every)) == 1155
    assert all(len(name) == 12 and set(name) <= set("0123456789abcdef") for name in every)


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Another title"},
        {"name": "another-name"},
        {"curve": True},
        {"model": GRID["model"] | {"parameters": 5}},
        {"evaluate": []},
        {"blocks": [BLOCK | {"targets": ["cola", "rte"], "seed": [42, 12]}]},
        {"blocks": [dict(reversed(BLOCK.items()))]},
        {"blocks": [BLOCK, BLOCK]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_ids_do_not_depend_on_titles_order_or_what_else_is_run(change):
    assert ids(study(**change)) == ids(study())
    assert set(study(**change).sources) == set(study().sources)


def test_ids_do_not_depend_on_where_rows_come_from_or_what_a_task_is_called():
    rte = study().tasks["rte"]
    table = rte.model_dump(exclude_defaults=True) | {
        "title": "X",
        "reference": "Y",
        "size": {"train": 5, "dev": 5, "tokens": 5},
        "data": [{"train": "my/train.csv", "dev": "my/dev.csv"}],
    }
    table = dict(reversed(table.items()))
    assert ids(study(tasks={"rte": Task(**table)})) == ids(study())


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": [2e-5]},
        {"batch_size": [4, 32]},
        {"warmup_ratio": [0.2]},
        {"seed": [1, 2]},
        {"init_seed": [12]},
        {"order_seed": [12]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_hyperparameter_changes_the_id_of_every_cell(change):
    assert not ids(study(**block(**change))) & ids(study())


def test_another_model_changes_every_id():
    other = study("other")
    for stage in ("target", "evaluate"):
        assert not ids(other, stage) & ids(study(), stage)
    assert not set(other.sources) & set(study().sources)


@pytest.mark.parametrize(
    "change",
    [
        {"max_length": 99},
        {"epochs": 4},
        {"text_b": "{premise}"},
        {"train_size": 9},
        {"dev_size": 9},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_definition_of_a_task_changes_the_ids_of_its_cells_alone(change):
    changed = study(tasks={"rte": study().tasks["rte"].model_copy(update=change)})
    same = ids(changed) & ids(study())
    assert {study().cells[cell].target for cell in same} == {"cola"}
    assert len(same) == len(study().cells) // 2 - 1
    assert set(changed.sources) == set(study().sources)


def test_another_definition_of_a_sources_task_changes_the_source_and_what_starts_from_it():
    longer = study().tasks["hellaswag"].model_copy(update={"max_length": 121})
    same = ids(study(tasks={"hellaswag": longer})) & ids(study())
    assert {study().cells[cell].source for cell in same} == {"none", "hellaswag-p@2000"}


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 2e-5},
        {"batch_size": 8},
        {"warmup_ratio": 0.0},
        {"seeds": [12]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_training_of_the_sources_changes_all_cells_but_those_of_none(change):
    changed = study(source=change)
    assert not set(changed.sources) & set(study().sources)
    same = ids(changed) & ids(study())
    assert {study().cells[cell].source for cell in same} == {"none"}


def test_another_size_of_a_source_is_another_source():
    sizes = [
        BLOCK | {"sources": [{"task": "hellaswag-p", "train_size": n}]} for n in (2000, 10_000)
    ]
    bound = study(blocks=sizes, evaluate=[])
    assert [(s.name, s.train_size) for s in bound.sources.values()] == [
        ("hellaswag-p@2000", 2000),
        ("hellaswag-p@10000", 10_000),
    ]
    assert len(bound.cells) == 16


def test_a_reset_head_makes_other_cells_except_from_none():
    kept, reset = study(), study(head="reset")
    for stage in ("target", "evaluate"):
        same = ids(kept, stage) & ids(reset, stage)
        assert {kept.cells[cell].source for cell in same} == {"none"}
    assert set(kept.sources) == set(reset.sources)


def test_another_generation_changes_what_is_built_on_it():
    rows = {"sources": ["none", "hellaswag", "synthesis-gpt2"], "targets": ["rte"]}
    first = study(**block(**rows), synthesis={})
    other = study(**block(**rows), synthesis={"seed": 1})
    same = ids(first) & ids(other)
    assert {first.cells[cell].source for cell in same} == {"none", "hellaswag"}


def test_how_large_a_model_is_said_to_be_changes_no_id():
    rows = {"sources": ["none", "synthesis-gpt2"], "targets": ["rte"]}
    generator = {"path": "model"}
    first = study(**block(**rows), synthesis={"generator": generator})
    told = study(**block(**rows), synthesis={"generator": generator | {"parameters": 10**8}})
    assert ids(first) == ids(told)
    assert set(first.sources) == set(told.sources)


def test_the_seed_of_an_evaluation_is_in_its_id():
    other = study(evaluate=[GRID["evaluate"][0] | {"seed": 1}])
    assert not ids(other, "evaluate") & ids(study(), "evaluate")


def test_a_source_is_trained_once_however_many_name_it():
    bound = study(
        blocks=[BLOCK, BLOCK | {"targets": ["wic"]}],
        evaluate=[{"sources": ["hellaswag"], "tasks": ["rte", "cola"]}],
    )
    assert sorted(source.name for source in bound.sources.values()) == [
        "hellaswag",
        "hellaswag-p@2000",
    ]
    users = {cell.source_id for cell in bound.cells.values() if cell.source == "hellaswag"}
    assert users == {bound.source_named("hellaswag").id}


def test_a_source_of_several_seeds_is_several_sources_with_their_seeds_in_the_name():
    bound = study(**block(sources=["none", {"task": "hellaswag", "seeds": [42, 1]}]), evaluate=[])
    assert sorted(s.name for s in bound.sources.values()) == ["hellaswag#1", "hellaswag#42"]
    assert {s.hyperparameters.seed for s in bound.sources.values()} == {1, 42}
    assert len(bound.cells) == 3 * 2 * 4


def test_one_source_written_in_two_ways_has_one_name():
    twice = [
        BLOCK | {"sources": ["hellaswag"]},
        BLOCK | {"sources": [{"task": "hellaswag", "seeds": [42, 1]}], "targets": ["wic"]},
    ]
    bound = study(blocks=twice, evaluate=[])
    assert len(bound.sources) == 2
    for cell in bound.cells.values():
        assert bound.sources[cell.source_id].name == cell.source
        assert bound.source_named(cell.source).id == cell.source_id


def test_none_is_no_source():
    assert study().source_named("none") is None
    assert {c.source_id for c in study().cells.values() if c.source == "none"} == {None}


@pytest.mark.parametrize("name", ["a/b", "../up", "..", "", " ", "-x"])
def test_a_study_name_that_is_no_folder_name_is_refused(name):
    if not name:
        assert bind(Grid.model_validate(GRID), "m", name=name).name == "g"
        return
    with pytest.raises(ConfigError, match=rf"study: field 'name' = '{name}': String should match"):
        bind(Grid.model_validate(GRID), "m", name=name)


def test_bound_tasks_are_those_that_the_grid_names():
    assert sorted(study().tasks) == ["cola", "hellaswag", "hellaswag-p", "rte"]
    assert isinstance(study(), Study)


@pytest.mark.parametrize(
    ("axis", "text"),
    [
        ("targets", GRID_TEXT.replace('"cola"', '"colla"')),
        ("sources", GRID_TEXT.replace('"hellaswag"', '"colla"')),
        ("evaluate.tasks", GRID_TEXT + '[[evaluate]]\nsources = ["none"]\ntasks = ["colla"]\n'),
    ],
)
def test_an_unknown_task_of_a_grid_is_told_with_its_axis(tmp_path, axis, text):
    with pytest.raises(ConfigError) as caught:
        bind(load_grid(write_toml(tmp_path, text)), "model")
    assert str(caught.value).startswith(
        f"grid 'own', field '{axis}': unknown task 'colla'. Did you mean 'cola'? Known: boolq, "
    )


def test_the_pretrained_model_itself_is_offered_as_a_source_and_not_as_a_target(tmp_path):
    for old, offered in (('"none"', True), ('"cola"', False)):
        with pytest.raises(ConfigError) as caught:
            bind(load_grid(write_toml(tmp_path, GRID_TEXT.replace(old, '"None"'))), "model")
        said = str(caught.value)
        assert "unknown task 'None'." in said
        assert ("Did you mean 'none'?" in said and ", none, " in said) == offered


def test_a_generated_task_needs_a_synthesis_table(tmp_path):
    text = GRID_TEXT.replace('"hellaswag"', '"synthesis-gpt2"')
    with pytest.raises(ConfigError, match=r"grid 'own': task 'synthesis-gpt2' is generated by the"):
        bind(load_grid(write_toml(tmp_path, text)), "model")
    assert len(bind(load_grid(write_toml(tmp_path, text + "[synthesis]\n")), "model").cells) == 16

"""A study: cell ids that are the same everywhere, one folder for one configuration, fixed data."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilt.cell import digest
from stilt.data.fixed import fix_data
from stilt.data.load import Example, Splits
from stilt.errors import ConfigError, DataError, ResultError
from stilt.folder import StudyFolder, read_study, write_study
from stilt.grid import Grid, load_grid
from stilt.study import Study, bind
from stilt.task import Task

ROBERTA = "FacebookAI/roberta-large@722cf37b1afa9454edce342e7895e588b6ff1d59"

GRID = {
    "name": "g",
    "model": {"hub": "org/encoder", "revision": "0"},
    "blocks": [
        {
            "sources": ["none", "hellaswag", {"task": "hellaswag-p", "train_size": 2000}],
            "targets": ["rte", "cola"],
            "learning_rate": [1e-5],
            "batch_size": [8, 16],
            "warmup_ratio": [0.0],
            "seed": [12, 42],
        }
    ],
    "evaluate": [{"sources": ["none", "hellaswag"], "tasks": ["hellaswag-p"]}],
}
BLOCK = GRID["blocks"][0]


def study(identity="model", tasks=None, **changes):
    bound = bind(Grid.model_validate(GRID | changes), identity)
    return bound.model_copy(update={"tasks": bound.tasks | tasks}) if tasks else bound


def block(**changes):
    return {"blocks": [BLOCK | changes]}


def ids(bound, stage="target"):
    return {cell.id for cell in bound.cells.values() if cell.stage == stage}


# ---- ids


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


def test_ids_do_not_depend_on_the_folder_that_a_study_lies_in(tmp_path):
    for name in ("one", "two"):
        write_study(study(), StudyFolder(tmp_path / name))
    one, two = (read_study(StudyFolder(tmp_path / name)) for name in ("one", "two"))
    assert list(one.cells) == list(two.cells)
    assert one.digest == two.digest


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


# ---- sources


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


# ---- the folder


def test_study_json_alone_gives_the_same_cells(tmp_path, monkeypatch):
    first = study()
    folder = StudyFolder(tmp_path / "s")
    write_study(first, folder)
    # no task or grid file is read any more
    monkeypatch.setattr("stilt.study.load_task", lambda *_: pytest.fail("a task file was read"))
    again = read_study(folder)
    assert again == first
    assert list(again.cells.values()) == list(first.cells.values())
    assert list(again.sources.values()) == list(first.sources.values())
    assert again.digest == first.digest


@pytest.mark.parametrize("name", ["full", "demo", "paper"])
def test_every_kind_of_grid_survives_its_study_json(name, tmp_path):
    first = bind(load_grid(name), ROBERTA)
    write_study(first, StudyFolder(tmp_path))
    assert list(read_study(StudyFolder(tmp_path)).cells) == list(first.cells)


def test_a_second_submit_of_the_same_study_is_let_in(tmp_path):
    folder = StudyFolder(tmp_path)
    first = study()
    assert first.cells
    write_study(first, folder)
    before = folder.study_file.read_bytes()
    write_study(study(), folder)
    assert folder.study_file.read_bytes() == before


def test_a_second_study_of_that_name_is_refused_with_the_difference(tmp_path):
    folder = StudyFolder(tmp_path / "s")
    write_study(study(), folder)
    before = folder.study_file.read_bytes()
    with pytest.raises(ResultError) as caught:
        write_study(study(**block(batch_size=[8, 32])), folder)
    assert str(caught.value) == (
        f"{folder.path}: holds a study with another configuration, and a study is fixed once "
        "begun. Give this one a name of its own with --study, or go on with the old files. "
        "There -> here:\n  grid.blocks[0].batch_size: [8, 16] -> [8, 32]"
    )
    assert folder.study_file.read_bytes() == before


def test_a_task_file_edited_since_is_a_different_study(tmp_path):
    folder = StudyFolder(tmp_path)
    write_study(study(), folder)
    longer = study().tasks["rte"].model_copy(update={"max_length": 128})
    with pytest.raises(ResultError, match=r"\n  tasks\.rte\.max_length: 100 -> 128$"):
        write_study(study(tasks={"rte": longer}), folder)


def test_a_study_takes_no_further_target_once_it_is_begun(tmp_path):
    folder = StudyFolder(tmp_path)
    write_study(study(), folder)
    with pytest.raises(ResultError) as caught:
        write_study(study(**block(targets=["rte", "cola", "wic"])), folder)
    _, first, second = str(caught.value).splitlines()
    assert first == '  grid.blocks[0].targets: ["rte", "cola"] -> ["rte", "cola", "wic"]'
    assert second.startswith('  tasks.wic: absent -> {"name": "wic"')


def test_of_many_differences_the_first_are_listed_and_the_others_counted(tmp_path):
    folder = StudyFolder(tmp_path)
    write_study(study(), folder)
    tasks = {
        name: task.model_copy(update={"epochs": 9, "max_length": 9, "title": "x", "reference": "x"})
        for name, task in study().tasks.items()
    }
    with pytest.raises(ResultError) as caught:
        write_study(study(tasks=tasks), folder)
    _, *lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "  and 6 more"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"s: no study here \(study\.json is absent\)\."),
        ("{", r"study\.json: cannot be read \("),
        ("[]", r"study\.json: "),
        ('{"name": "x"}', r"study\.json: field 'grid' is missing\. .*'tasks' is missing"),
    ],
)
def test_a_folder_without_a_whole_study_is_refused(tmp_path, content, message):
    folder = StudyFolder(tmp_path / "s")
    if content is not None:
        folder.path.mkdir()
        folder.study_file.write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_study(folder)


def test_a_study_of_a_newer_version_is_refused(tmp_path):
    folder = StudyFolder(tmp_path)
    table = json.loads(study().model_dump_json()) | {"schema_version": 2}
    folder.study_file.write_text(json.dumps(table))
    with pytest.raises(ConfigError, match=r"study\.json: field 'schema_version' = 2: .*be 1\."):
        read_study(folder)


@pytest.mark.parametrize("name", ["a/b", "../up", "..", "", " ", "-x"])
def test_a_study_name_that_is_no_folder_name_is_refused(name):
    if not name:
        assert bind(Grid.model_validate(GRID), "m", name=name).name == "g"
        return
    with pytest.raises(ConfigError, match=rf"study: field 'name' = '{name}': String should match"):
        bind(Grid.model_validate(GRID), "m", name=name)


def test_every_kind_of_file_has_a_place_of_its_own(tmp_path):
    folder = StudyFolder(tmp_path)
    makers = ("source", "result", "failure", "claim", "data_digest", "resume")
    paths = [getattr(folder, maker)("x") for maker in makers]
    assert len({*paths, folder.synthesis(), folder.study_file}) == 8
    assert all(path.is_relative_to(tmp_path) for path in paths)


# ---- the data of a study


def splits(*labels, where="here"):
    return Splits([Example((("a", None),), label) for label in labels], [], where)


def test_a_studys_data_are_fixed_at_first_sight_and_insisted_on_after(tmp_path):
    folder = StudyFolder(tmp_path)
    fix_data(folder, "rte", splits(0, 1))
    fix_data(folder, "rte", splits(0, 1, where="hub:elsewhere"))
    with pytest.raises(DataError) as caught:
        fix_data(folder, "rte", splits(0, 1, 1, where="there"))
    assert str(caught.value) == (
        "there: task 'rte' has other rows (3 train, 0 dev) than this study began with "
        "(2, 0 from here). Use the same data, or begin another study."
    )
    with pytest.raises(DataError, match="task 'rte' has other rows"):
        fix_data(folder, "rte", splits(1, 0))
    fix_data(folder, "rte", splits(0, 1))
    fix_data(folder, "cola", splits(1, 0))


@pytest.mark.parametrize("content", ["", "{}", "[]", "3"])
def test_a_damaged_record_of_the_data_is_refused_with_its_name(tmp_path, content):
    folder = StudyFolder(tmp_path)
    fix_data(folder, "rte", splits(0))
    folder.data_digest("rte").write_text(content)
    with pytest.raises(ResultError, match=r"rte\.json: not the digest of a task's rows"):
        fix_data(folder, "rte", splits(0))


def test_bound_tasks_are_those_that_the_grid_names():
    assert sorted(study().tasks) == ["cola", "hellaswag", "hellaswag-p", "rte"]
    assert isinstance(study(), Study)

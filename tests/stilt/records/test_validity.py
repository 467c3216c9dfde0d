"""One judgement of results: every altered field is found, and a sound result never is."""

import json

import pytest

from analysis.read.collect import collect
from launcher.study.outstanding import outstanding
from launcher.watch.observer import Observer
from stilt.errors import DataError, ResultError
from stilt.folder import StudyFolder
from stilt.records.finished import finished, read_ending
from stilt.records.pins import new_pin
from stilt.records.results import Result, SourceResult, read_record, write_record
from stilt.records.validity import judge_of
from tests.support.fake_study import TINY, make_study
from tests.support.result_files import change


@pytest.fixture
def made(tmp_path):
    """A study of 16 cells and a source, all scored."""
    study = make_study(tmp_path / "s", grid=TINY)
    return study, StudyFolder(tmp_path / "s")


def of_target(study, target):
    return [cell for cell in study.cells.values() if cell.target == target]


def told(study, folder, item):
    """What every command says of a run's result: they all say the same, and nobody counts it."""
    with pytest.raises(ResultError) as caught:
        read_ending(study, folder, study.runs[item])
    said = str(caught.value)
    assert not finished(study, folder, item)
    state = outstanding(study, folder, lambda claim: False)
    assert state.damaged == [said]
    if item in study.cells:
        assert state.missing == [item]
    found = {i.id: i for i in Observer(folder, study).look(ask=False).items}
    assert (found[item].state, found[item].kind, found[item].why) == ("failed", "damaged", said)
    for _ in range(2):  # the second time from the cache
        collection = collect(folder, study)
        (problem,) = collection.problems
        assert f"{folder.path}/{problem}." == said
        frame = collection.cells if item in study.cells else collection.sources
        assert dict(frame.select("cell", "status").iter_rows())[item] == "missing"
    return problem.message


def swapped(text):
    return text[1:] + text[:1]


ALTERED = {
    "learning rate": ({"cell.hyperparameters.learning_rate": 3e-5}, "learning_rate' = 3e-05, not"),
    "one of two seeds": (
        {"cell.hyperparameters.seed": 7},
        "field 'cell.seed' = 42: not the hyp",
    ),
    "source": ({"cell.source_id": "rte"}, "field 'cell.source_id' = 'rte', not None"),
    "id": ({"cell.id": "f" * 12}, "f" * 12),
    "majority": ({"majority": 0.9}, "field 'majority' = 0.9: the labels have 0."),
    "chance": ({"chance": 0.25}, "field 'chance' = 0.25: task 'rte' has 0.5"),
    "metric": ({"metric": "mcc"}, "field 'score' = "),
    "classes": ({"classes": 3}, "field 'classes' = 3: task 'rte' has 2"),
    "data": ({"data": "e" * 12}, f"field 'data' = '{'e' * 12}'"),
    "train rows": ({"train_rows": 99}, "field 'train_rows' = 99: this study's task has "),
    "status": ({"status": "diverged"}, "field 'status' = 'diverged'"),
    "mcc": ({"dev.mcc": -1.0}, "field 'dev.mcc' = -1.0: the predictions have 0."),
    "mcc is gone": ({"dev.mcc": None}, "field 'dev.mcc': not of a classification task"),
    "score": ({"score": 0.99, "dev.score": 0.99}, "field 'score' = 0.99: 'dev' has another"),
    "predictions": ({"dev.predictions": "0" * 120}, "field 'dev.accuracy'"),
    "a class that is none": ({"dev.predictions": "7" * 120}, "is of class 7, and there are 2"),
    "no digit": ({"dev.predictions": "?" * 120}, "example 1 is of no class"),
    "training": ({"training": None}, "field 'training' = null: of a run that trains"),
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_field_is_named_by_every_command_and_its_cell_run_again(made, what):
    study, folder = made
    cell = of_target(study, "rte")[1].id
    changes, message = ALTERED[what]

    def edit(table):
        for place, value in changes.items():
            *outer, field = place.split(".")
            inner = table
            for name in outer:
                inner = inner[name]
            inner[field] = value

    change(folder.result(cell), edit)
    if what == "id":
        # summarize has words of its own for files that were copied from elsewhere
        with pytest.raises(ResultError, match=message):
            read_ending(study, folder, study.runs[cell])
        (problem,) = collect(folder, study).problems
        assert message in problem.message
    else:
        assert message in told(study, folder, cell)


def test_other_labels_are_found_even_where_all_that_follows_from_them_was_altered_too(made):
    study, folder = made
    cell = of_target(study, "rte")[1].id

    def edit(table):
        dev = table["dev"]
        dev |= {"gold": swapped(dev["gold"]), "predictions": swapped(dev["predictions"])}

    change(folder.result(cell), edit)
    assert (
        told(study, folder, cell) == "field 'dev.gold': not the labels of task 'rte' in this study"
    )


def test_a_source_is_judged_as_a_cell_is(made):
    study, folder = made
    (source,) = study.sources
    path = folder.source(source) / "result.json"
    change(path, lambda table: table["source"]["hyperparameters"].update(learning_rate=1.0))
    assert "field 'source.hyperparameters.learning_rate' = 1.0, not" in told(study, folder, source)


def test_a_diverged_run_must_know_the_baselines_of_its_task(made):
    study, folder = made
    cell = of_target(study, "rte")[0].id
    gone = {"status": "diverged", "score": None, "dev": None}
    change(folder.result(cell), lambda table: table.update(gone))
    assert finished(study, folder, cell)
    assert collect(folder, study).problems == ()
    change(folder.result(cell), lambda table: table.update(majority=0.99))
    assert "field 'majority' = 0.99" in told(study, folder, cell)


def pinned(study, folder, target, **changes):
    result = read_record(Result, folder.result(of_target(study, target)[0].id))
    labels = [int(label) for label in result.dev.gold]
    pin = new_pin(result.data, result.train_rows, labels, "here")
    return judge_of(study, folder).pin(target, None, pin.model_copy(update=changes))


def test_what_the_study_pinned_outweighs_what_most_results_say(made):
    study, folder = made
    first, *others = of_target(study, "rte")
    pinned(study, folder, "rte")

    def edit(table):
        dev = table["dev"]
        dev |= {"gold": swapped(dev["gold"]), "predictions": swapped(dev["predictions"])}

    for cell in others:
        change(folder.result(cell.id), edit)
    assert finished(study, folder, first.id)
    assert not any(finished(study, folder, cell.id) for cell in others)
    assert len(collect(folder, study).problems) == len(others)


def test_two_results_that_differ_and_nothing_that_says_which_is_right_are_both_run_again(made):
    study, folder = made
    first, second, *others = of_target(study, "rte")
    for cell in others:
        folder.result(cell.id).unlink()
    change(folder.result(second.id), lambda table: table.update(data="e" * 12))
    state = outstanding(study, folder, lambda claim: False)
    assert {first.id, second.id} <= set(state.missing)
    assert len(state.damaged) == 2
    assert "nothing says which are right" in state.damaged[0]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"digest": 3}', "[" * 100_000])
def test_a_damaged_pin_is_made_anew_where_results_agree_with_the_rows(made, content):
    study, folder = made
    assert pinned(study, folder, "rte") == ""
    path = folder.data_digest("rte")
    whole = path.read_text()
    path.write_text(content)
    with pytest.raises(DataError, match=r"task 'rte' has other rows .* results of this study"):
        pinned(study, folder, "rte", digest="0" * 12)
    assert pinned(study, folder, "rte").startswith(f"{path}: ")
    assert path.read_text() == whole


def test_a_pin_of_an_earlier_version_is_completed_by_the_labels(made):
    study, folder = made
    pinned(study, folder, "rte")
    path = folder.data_digest("rte")
    whole = path.read_text()
    table = json.loads(whole)
    del table["gold"]
    path.write_text(json.dumps(table))
    assert pinned(study, folder, "rte") == ""
    assert path.read_text() == whole


def test_rows_other_than_those_that_were_pinned_are_refused(made):
    study, folder = made
    pinned(study, folder, "rte")
    with pytest.raises(DataError) as caught:
        pinned(study, folder, "rte", digest="0" * 12, where="there", train=3)
    assert str(caught.value) == (
        "there: task 'rte' has other rows (3 train, 120 dev) than this study began with "
        "(2490 train, 120 dev from here). Use the same data, or begin another study."
    )


def test_a_diverged_source_is_a_result(made):
    study, folder = made
    (source,) = study.sources
    path = folder.source(source) / "result.json"
    record = read_record(SourceResult, path)
    write_record(record.model_copy(update={"status": "diverged", "score": None, "dev": None}), path)
    assert read_ending(study, folder, study.runs[source]).status == "diverged"


def test_a_result_whose_predictions_are_withheld_counts_and_has_none(made):
    study, folder = made
    first, second, *_ = of_target(study, "rte")

    def edit(table, **more):
        table["dev"] |= {"predictions": "", "gold": "", "withheld": True} | more

    change(folder.result(first.id), edit)
    change(folder.result(second.id), lambda table: edit(table, predictions="01"))
    assert finished(study, folder, first.id)
    assert not finished(study, folder, second.id)
    cells = collect(folder, study).cells
    (row,) = cells.filter(cells["cell"] == first.id).iter_rows(named=True)
    assert (row["status"], row["predictions"], row["gold"], row["constant"]) == ("ok", *[None] * 3)

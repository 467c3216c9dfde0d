"""Built-in tasks against the paper, a user's own tasks, and what makes a task another."""

import pytest

from stilt.grid import grid_names, load_grid
from stilt.study import bind
from stilt.task import TASK_FOLDER, load_task
from tests.support.plain_task import TABLE, plain_task
from tests.support.toml_files import TASK_TEXT, write_toml

BUILT_IN_TASKS = sorted(path.stem for path in TASK_FOLDER.glob("*.toml"))

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
    assert task.licence, "reports and bundles tell it"
    assert task.credentialed == (name == "mednli")


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


def own(tmp_path, text, name="own"):
    write_toml(tmp_path, text, name)
    return load_task(name, [tmp_path])


def test_a_users_task_in_her_folder_is_found_and_titled_by_its_name(tmp_path):
    task = own(tmp_path, TASK_TEXT)
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


@pytest.mark.parametrize(
    "change",
    [
        {"title": "U"},
        {"reference": "R"},
        {"size": {"train": 1, "dev": 1, "tokens": 1}},
        {"data": [{"train": "c", "dev": "d"}, {"hub": "a/b", "revision": "0", **TABLE["data"][0]}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_cannot_change_a_score_is_not_in_a_tasks_identity(change):
    assert plain_task(**change).identity() == plain_task().identity()


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
    assert plain_task(**change).identity() != plain_task().identity()

"""What is done against what the paper and its released code do, fact by fact.

Nothing here is taken from our own output. "Code" is github.com/terarachang/Rethinking_STILT at
31487a6: ``utils.py`` (processors, featuriser), ``run.py`` (training), ``train_*.sh`` (settings),
``run_gpt2_synth_dataset.py``. The numbers in brackets are the sections of the project's reference
sheet on that code where a fact stands.
"""

import re
from itertools import product

import pytest

from launcher.submit import main as submit
from stilt.cell import Hyperparameters
from stilt.data.load import load_splits, sample
from stilt.data.render import Example
from stilt.grid import load_grid
from stilt.schedule import plan_updates
from stilt.study import bind
from stilt.task import load_task
from tests.support.json_lines import write_jsonl

# ---- facts: updates [2]: t_total of a target at batch 8, 16, 32, and of an intermediate task
UPDATES = {
    "cola": (5345, 2675, 1340),
    "rte": (1560, 780, 390),
    "wic": (3395, 1700, 850),
    "mednli": (7020, 3510, 1755),
    "winogrande-xs": (200, 100, 50),
    "winogrande-m": (1600, 800, 400),
    "winogrande-l": (5120, 2560, 1280),
    "socialiqa": (12528, 6264, 3132),
}
INTERMEDIATE_UPDATES = {
    ("hellaswag", 8): 14_967,
    ("hellaswag", 16): 7_485,
    ("hella-sh", 16): 7_485,
    ("hellaswag-p", 16): 7_485,
    ("synthesis-gpt2", 16): 3_750,
}
SOURCE_TRAINING = Hyperparameters(learning_rate=1e-5, batch_size=16, warmup_ratio=0.1, seed=42)
"""Paper, appendix A.1; the warmup ratio is the code's default [2]."""

# ---- facts: grids. Paper: figure 2, tables 2 to 4, figure 3, section 4.2
TRIALS = 3 * 3 * 2 * 2
NOT_PLANNED = "-"
"""Paper, section 4.1: learning rates x batch sizes x warmup ratios x seeds of every pair."""
TARGETS = tuple(UPDATES)
PAIRS = {
    "figure2": [*product(("none", "hellaswag", "hellaswag-p", "synthesis-gpt2"), TARGETS)],
    "table2": [*product(("none", "hellaswag"), ("rte", "wic"))],
    "table3": [*product(("none", "cola", "hella-sh"), ("mednli", "wic", "winogrande-m"))],
    "figure3": [*product(("none", "hellaswag-p@2000", "hellaswag-p@10000", "hellaswag-p"),
                         ("winogrande-m", "rte", "wic"))],
}  # fmt: skip
SCORED = {
    "table4": [*product(("none", "synthesis-gpt2", "hellaswag-p"), ("socialiqa", "winogrande-xs"))],
    # HellaSwag's model on its own dev set, without premises, and on SynthesisGPT2's
    "ablations": [("hellaswag", t) for t in ("hellaswag", "hellaswag-p", "synthesis-gpt2")],
}
"""Scored once, without training."""
PAIRS["full"] = PAIRS["figure2"]
TOTAL = {
    "figure2": 1152, "full": 1152, "table2": 144, "table3": 324, "figure3": 432,
    "table4": 6, "ablations": 3,
    # figure 2; two more sources x 3 targets; two more sizes x 3 targets; 6; 3: nothing twice
    "paper": 1152 + 2 * 3 * 36 + 2 * 3 * 36 + 6 + 3,
}  # fmt: skip
SIZES = (2_000, 10_000, 39_905)
"""Paper, section 5.3: 2k, 10k, 40k; the last is the whole training split of HellaSwag [3]."""


# ---- updates


def updates(name, batch_size, warmup_ratio=0.0):
    task = load_task(name)
    return plan_updates(
        rows=task.size.train,
        epochs=task.epochs,
        batch_size=batch_size,
        warmup_ratio=warmup_ratio,
        micro_batch=task.micro_batch,
    )


@pytest.mark.parametrize("name", UPDATES)
def test_a_target_makes_as_many_updates_as_in_the_released_code(name):
    assert tuple(updates(name, batch).total for batch in (8, 16, 32)) == UPDATES[name]


@pytest.mark.parametrize("name", UPDATES)
def test_warmup_is_a_fifth_of_the_updates_rounded_down_or_none(name):
    for batch, total in zip((8, 16, 32), UPDATES[name], strict=True):
        assert updates(name, batch, 0.2).warmup == int(0.2 * total)
        assert updates(name, batch, 0.0).warmup == 0


@pytest.mark.parametrize(("name", "batch_size"), INTERMEDIATE_UPDATES)
def test_an_intermediate_task_makes_as_many_updates_as_in_the_released_code(name, batch_size):
    assert updates(name, batch_size).total == INTERMEDIATE_UPDATES[name, batch_size]


def test_socialiqa_alone_accumulates_micro_batches_of_four():
    for batch, accumulation in ((8, 2), (16, 4), (32, 8)):
        schedule = updates("socialiqa", batch)
        assert (schedule.micro_batch, schedule.accumulation) == (4, accumulation)
    assert {name for name in UPDATES if updates(name, 16).accumulation > 1} == {"socialiqa"}


# ---- sources


@pytest.mark.parametrize("name", TOTAL)
def test_every_source_is_trained_as_in_the_papers_appendix(name):
    sources = bind(load_grid(name), "model").sources.values()
    assert {source.hyperparameters for source in sources} == {SOURCE_TRAINING}


def test_the_three_sizes_of_figure_3_nest(tmp_path):
    sources = bind(load_grid("figure3"), "model").sources.values()
    whole_split = load_task("hellaswag-p").size.train
    assert sorted(source.train_size or whole_split for source in sources) == [*SIZES]
    small, large, everything = (
        sample([Example(((str(i), None),), i % 4) for i in range(SIZES[-1])], size)
        for size in SIZES
    )
    assert (len(small), len(large), len(everything)) == SIZES
    assert set(small) < set(large) < set(everything)


def test_a_subset_of_a_source_is_drawn_from_its_rows_and_its_dev_set_is_whole(tmp_path):
    story = {"ctx_a": "Yan sits.", "ctx_b": "he", "source_id": "activitynet"}
    rows = [
        story | {"endings": [f"{i} a", f"{i} b", f"{i} c", f"{i} d"], "label": i % 4}
        for i in range(40)
    ]
    write_jsonl(tmp_path / "hellaswag/hellaswag_train.jsonl", rows)
    write_jsonl(tmp_path / "hellaswag/hellaswag_val.jsonl", rows[:7])
    task = load_task("hellaswag-p")
    parts = [
        load_splits(task.model_copy(update={"train_size": size}), tmp_path)
        for size in (5, 20, None)
    ]
    assert [(len(part.train), len(part.dev)) for part in parts] == [(5, 7), (20, 7), (40, 7)]
    assert set(parts[0].train) < set(parts[1].train) < set(parts[2].train)


# ---- grids, by the dry run of ``submit``


def dry_run(name, tmp_path, capsys, monkeypatch):
    """Cells by (source, target), and the runs of each source and of the synthesis."""
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ["--grid", name, "--dry-run", "--executor", "local", "--root", str(tmp_path)]
    assert submit(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert list(tmp_path.iterdir()) == []
    start = lines.index("cells to run, by target and source")
    columns = re.split(r"\s{2,}", lines[start + 1].strip())
    cells = {}
    for line in lines[start + 3 : start + 30]:
        row, *numbers = line.split()
        for column, number in zip(columns[1:], numbers, strict=True):
            # the longer list runs down
            pair = (row, column) if columns[0] == "source" else (column, row)
            cells[pair] = 0 if number == NOT_PLANNED else int(number)
        if row == "all":
            break
    table = lines[lines.index("stages, in order") + 3 :]
    rows = [line.split() for line in table]
    trained = {row[1]: int(row[2]) for row in rows if row[0] in ("source", "synthesis")}
    return cells, trained, lines[0]


def expected_cells(name):
    parts = [*PAIRS, *SCORED] if name == "paper" else [name]
    trained = {pair for part in parts for pair in PAIRS.get(part, ())}
    scored = {pair for part in parts for pair in SCORED.get(part, ())}
    pairs = trained | scored
    return {pair: TRIALS * (pair in trained) + (pair in scored) for pair in pairs}


@pytest.mark.parametrize("name", TOTAL)
def test_the_dry_run_of_a_grid_is_the_papers_to_the_cell(name, tmp_path, capsys, monkeypatch):
    expected = expected_cells(name)
    assert sum(expected.values()) == TOTAL[name]
    cells, trained, heading = dry_run(name, tmp_path, capsys, monkeypatch)
    assert f": {TOTAL[name]} cells, 0 done, " in heading
    assert cells.pop(("all", "all")) == TOTAL[name]
    for (source, target), number in cells.items():
        if "all" in (source, target):
            picked = {pair for pair in expected if source in ("all", pair[0])}
            picked = {pair for pair in picked if target in ("all", pair[1])}
            assert number == sum(expected[pair] for pair in picked)
        else:
            assert number == expected.get((source, target), 0)
    assert set(expected) <= set(cells)
    sources = {source for source, _ in expected} - {"none"}
    generated = {"SynthesisGPT2"} if "synthesis-gpt2" in {n for p in expected for n in p} else set()
    assert trained == dict.fromkeys(sources | generated, 1), "each source once, nothing else"

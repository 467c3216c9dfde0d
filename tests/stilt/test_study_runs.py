"""The runs of a study: what each needs, and what it is called."""

from pathlib import Path

import pytest

from stilt.cell import SYNTHESIS
from stilt.folder import StudyFolder
from stilt.grid import load_grid
from stilt.study import bind


@pytest.fixture(scope="module")
def paper():
    return bind(load_grid("paper"), "model")


def test_the_runs_are_the_generation_the_sources_and_the_cells_in_this_order(paper):
    assert list(paper.runs) == [SYNTHESIS, *paper.sources, *paper.cells]
    assert [run.stage for run in paper.runs.values()][:2] == ["synthesis", "source"]
    assert all(run.source is paper.sources.get(run.id) for run in paper.runs.values())
    assert all(run.cell is paper.cells.get(run.id) for run in paper.runs.values())


def test_a_study_without_generated_rows_has_no_generation():
    study = bind(load_grid("demo"), "model")
    assert list(study.runs) == [*study.sources, *study.cells]


def test_a_run_needs_its_source_or_nothing_and_comes_after_it():
    study = bind(load_grid("demo"), "model")
    for cell in study.cells.values():
        assert study.runs[cell.id].needs == ((cell.source_id,) if cell.source_id else ())
    for source in study.sources:
        assert study.runs[source].needs == ()
        waiting = [cell.id for cell in study.cells.values() if cell.source_id == source]
        assert study.dependants(source) == waiting
    assert all(study.dependants(cell) == [] for cell in study.cells)


def test_what_is_trained_on_or_scored_on_generated_rows_needs_them(paper):
    needs = {(c.source, c.target): paper.runs[c.id].needs for c in paper.cells.values()}
    source = paper.source_named("synthesis-gpt2").id
    assert paper.runs[source].needs == (SYNTHESIS,)
    assert needs["synthesis-gpt2", "rte"] == (source,)
    both = needs["hellaswag", "synthesis-gpt2"]
    assert both == (paper.source_named("hellaswag").id, SYNTHESIS)
    assert paper.runs[SYNTHESIS].needs == ()


def test_on_generated_rows_depends_also_what_starts_from_a_source_that_is_trained_on_them(paper):
    waiting = paper.dependants(SYNTHESIS)
    assert waiting[0] == paper.source_named("synthesis-gpt2").id
    names = {(paper.runs[item].source_name, paper.runs[item].task) for item in waiting}
    assert {("synthesis-gpt2", "rte"), ("hellaswag", "synthesis-gpt2")} <= names
    assert ("hellaswag", "rte") not in names


def test_a_run_has_a_name_for_tables_and_one_for_sentences(paper):
    cell = next(c for c in paper.cells.values() if (c.source, c.target) == ("hellaswag", "rte"))
    scored = next(c for c in paper.cells.values() if c.stage == "evaluate" and c.source == "none")
    source = paper.source_named("hellaswag")
    words = {
        cell.id: (str(cell.hyperparameters), "rte"),
        scored.id: ("without training", scored.target),
    }
    for item, (how, task) in words.items():
        run = paper.runs[item]
        assert run.name == run.title == f"{run.cell.source} → {task} {how}"
        assert (run.source_name, run.task) == (run.cell.source, task)
    assert (paper.runs[source.id].name, paper.runs[source.id].title) == (
        "hellaswag",
        "source hellaswag",
    )
    assert (paper.runs[SYNTHESIS].name, paper.runs[SYNTHESIS].title) == (
        SYNTHESIS,
        "SynthesisGPT2",
    )


def test_hyperparameters_read_as_a_person_writes_them(paper):
    point = paper.source_named("hellaswag").hyperparameters
    point = point.model_copy(update={"learning_rate": 1e-5, "batch_size": 8, "warmup_ratio": 0.1})
    assert str(point) == f"lr 1e-05 batch 8 warmup 0.1 seed {point.seed}"
    apart = point.model_copy(update={"seed": 1, "init_seed": 2, "order_seed": 3})
    assert str(apart).endswith("seed 1 init 2 order 3")


def test_each_run_has_a_record_of_its_own(paper, tmp_path):
    folder = StudyFolder(tmp_path)
    records = [folder.record(run).relative_to(tmp_path) for run in paper.runs.values()]
    assert len(set(records)) == len(paper.runs)
    source, cell = next(iter(paper.sources)), next(iter(paper.cells))
    assert records[0] == Path("synthesis/dev.jsonl")
    assert Path(f"sources/{source}/result.json") in records
    assert Path(f"results/{cell}.json") in records

"""Plans: every wanted cell once, after what it needs, in bundles of similar cost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilt.cell import SYNTHESIS
from stilt.grid import Grid, load_grid
from stilt.plan import cost, pack, plan, weights
from stilt.study import bind
from stilt.task import Size

STUDY = bind(
    Grid.model_validate(
        {
            "name": "g",
            "model": {"hub": "org/encoder", "revision": "0"},
            "synthesis": {},
            "blocks": [
                {
                    "sources": [
                        "none",
                        "hellaswag",
                        {"task": "hellaswag-p", "train_size": 2000},
                        "synthesis-gpt2",
                    ],
                    "targets": ["rte", "socialiqa"],
                    "learning_rate": [1e-5],
                    "batch_size": [8, 32],
                    "warmup_ratio": [0.0],
                    "seed": [12, 42],
                }
            ],
            "evaluate": [
                {"sources": ["none", "hellaswag"], "tasks": ["hellaswag-p", "synthesis-gpt2"]}
            ],
        }
    ),
    "model",
)
CELLS = list(STUDY.cells)
SOURCES = {source.name: source.id for source in STUDY.sources.values()}


def of_stage(found, stage):
    return [bundle for bundle in found.bundles if bundle.stage == stage]


def subset(values):
    return st.sets(st.sampled_from(list(values)))


def needs_rows(item):
    """Whether a cell or source reads the rows that the study generates."""
    return STUDY.tasks[STUDY.runs[item].task].synthesis


def check(found, wanted, there, held):
    """What must hold of every plan; told from the study, not from the planner."""
    planned = [cell for bundle in of_stage(found, "target") for cell in bundle.items]
    assert sorted(planned) == sorted(wanted)
    assert len({bundle.id for bundle in found.bundles}) == len(found.bundles)
    made: set[str] = set()
    for bundle in found.bundles:
        assert bundle.cost > 0
        assert set(bundle.needs) <= made | held, "nothing waits for what nobody makes"
        for item in bundle.items:
            before = done_before(bundle, made_by(found), there)
            if item in STUDY.cells:
                source = STUDY.cells[item].source_id
                assert source is None or source in before
            if item != SYNTHESIS and needs_rows(item):
                assert SYNTHESIS in before
        made |= set(bundle.items)
    trained = [bundle.items for bundle in of_stage(found, "source")]
    assert all(len(items) == 1 for items in trained)
    sources = {STUDY.cells[cell].source_id for cell in wanted} - {None}
    assert {items[0] for items in trained} == sources - there - held
    assert len(trained) == len(sources - there - held)


def made_by(found):
    return {item: bundle for bundle in found.bundles for item in bundle.items}


def done_before(bundle, makers, there):
    """Everything that is sure to be finished when a bundle starts."""
    done = set(there)
    needs = list(bundle.needs)
    while needs:
        need = needs.pop()
        done.add(need)
        needs += makers[need].needs if need in makers else ()
    return done


@settings(max_examples=80)
@given(
    wanted=subset(CELLS),
    there=subset([*SOURCES.values(), SYNTHESIS]),
    held=subset([*SOURCES.values(), SYNTHESIS]),
    bundles=st.integers(1, 20),
    max_cells=st.integers(1, 20),
)
def test_every_wanted_cell_is_in_one_bundle_after_what_it_needs(
    wanted, there, held, bundles, max_cells
):
    held -= there
    found = plan(
        STUDY,
        cells=wanted,
        there=there,
        held=held,
        bundles=bundles,
        max_cells=max_cells,
    )
    check(found, wanted, there, held)
    assert all(len(bundle.items) <= max_cells for bundle in found.bundles)


def test_nothing_wanted_is_an_empty_plan():
    assert plan(STUDY, cells=[]).bundles == ()


def test_the_full_study_is_planned_with_its_sources_once_and_first():
    full = bind(load_grid("full"), "model")
    found = plan(full, cells=full.cells, bundles=64)
    stages = [bundle.stage for bundle in found.bundles]
    assert stages == sorted(stages, key=["synthesis", "source", "target"].index)
    assert (stages.count("synthesis"), stages.count("source")) == (1, 3)
    assert sum(len(bundle.items) for bundle in of_stage(found, "target")) == 1152
    # the cells of each source are a quarter of the work
    assert abs(stages.count("target") - 64) <= 4
    by_needs = {}
    for bundle in of_stage(found, "target"):
        by_needs.setdefault(bundle.needs, []).append(bundle.cost)
    assert len(by_needs) == 4
    assert all(max(costs) < 1.35 * min(costs) for costs in by_needs.values())


def test_cells_without_a_source_wait_for_nothing_and_those_of_a_source_for_it_alone():
    found = plan(STUDY, cells=CELLS, there=[SYNTHESIS])
    for bundle in of_stage(found, "target"):
        (source,) = {STUDY.cells[cell].source_id for cell in bundle.items}
        assert bundle.needs == ((source,) if source else ())
    assert not any(bundle.needs for bundle in of_stage(found, "source"))


def test_rows_are_generated_once_before_the_source_that_is_trained_on_them():
    wanted = [cell.id for cell in STUDY.cells.values() if cell.source == "synthesis-gpt2"]
    found = plan(STUDY, cells=wanted)
    assert [bundle.items for bundle in of_stage(found, "synthesis")] == [(SYNTHESIS,)]
    (source,) = of_stage(found, "source")
    assert source.needs == (SYNTHESIS,)
    again = plan(STUDY, cells=wanted, there=[SYNTHESIS])
    assert of_stage(again, "synthesis") == []
    assert of_stage(again, "source")[0].needs == ()


def test_a_source_of_generated_rows_costs_what_the_grid_generates():
    def of_source(sentences):
        grid = STUDY.grid.model_copy(
            update={"synthesis": STUDY.grid.synthesis.model_copy(update={"sentences": sentences})}
        )
        few = bind(grid, "model")
        return cost(few, few.runs[few.source_named("synthesis-gpt2").id])

    costs = [of_source(sentences) for sentences in (2_000, 4_000, 6_000)]
    assert costs[2] - costs[1] == pytest.approx(costs[1] - costs[0])
    assert 2 < costs[2] / costs[0] < 3


def test_a_cell_that_needs_a_source_and_the_rows_waits_for_both_and_its_source_for_nothing():
    (cell,) = (
        cell
        for cell in STUDY.cells.values()
        if (cell.source, cell.target) == ("hellaswag", "synthesis-gpt2")
    )
    found = plan(STUDY, cells=[cell.id])
    assert [(bundle.stage, bundle.needs) for bundle in found.bundles] == [
        ("synthesis", ()),
        ("source", ()),
        ("target", (cell.source_id, SYNTHESIS)),
    ]
    there = plan(STUDY, cells=[cell.id], there=[cell.source_id])
    assert [(bundle.stage, bundle.needs) for bundle in there.bundles] == [
        ("synthesis", ()),
        ("target", (SYNTHESIS,)),
    ]


def test_what_a_live_job_makes_is_waited_for_and_not_made_again():
    source = SOURCES["hellaswag"]
    wanted = [cell.id for cell in STUDY.cells.values() if cell.source == "hellaswag"]
    found = plan(STUDY, cells=wanted, held=[source], there=[SYNTHESIS])
    assert of_stage(found, "source") == []
    assert {bundle.needs for bundle in found.bundles} == {(source,)}


def test_dearest_bundles_come_first_within_a_stage():
    found = plan(STUDY, cells=CELLS, bundles=20)
    for waits in (False, True):
        costs = [b.cost for b in of_stage(found, "target") if bool(b.needs) == waits]
        assert costs == sorted(costs, reverse=True)


@settings(max_examples=80)
@given(
    costs=st.lists(st.floats(0.1, 100), min_size=1, max_size=40),
    count=st.integers(1, 12),
    spare=st.integers(0, 5),
    limited=st.booleans(),
)
def test_packing_holds_every_item_once_within_its_bound(costs, count, spare, limited):
    table = {f"item {i}": cost for i, cost in enumerate(costs)}
    most = -(-len(costs) // count) + spare if limited else None
    packed = pack(table, count, most)
    assert sorted(item for items in packed for item in items) == sorted(table)
    assert len(packed) == min(count, len(costs))
    assert all(packed)
    loads = [sum(table[item] for item in items) for items in packed]
    for items in packed:
        assert [table[item] for item in items] == sorted(
            (table[item] for item in items), reverse=True
        )
    if most is None:
        # list scheduling: the heaviest bundle is at most the mean of the rest and its last item
        share = len(packed)
        assert max(loads) <= sum(costs) / share + (1 - 1 / share) * max(costs) + 1e-6
    else:
        assert all(len(items) <= most for items in packed)


def test_a_full_bundle_takes_no_more_however_light_it_is():
    costs = {"dear": 100.0, "a": 3.0, "b": 2.0, "c": 1.0}
    assert pack(costs, 2) == [["dear"], ["a", "b", "c"]]
    assert pack(costs, 2, most=2) == [["dear", "c"], ["a", "b"]]


def test_longest_first_reaches_four_thirds_of_the_best_in_grahams_example():
    # Graham 1969: 5, 5, 4, 4, 3, 3, 3 on three machines: best 9, longest first 11
    costs = {f"{i}": cost for i, cost in enumerate([5, 5, 4, 4, 3, 3, 3])}
    loads = sorted(sum(costs[item] for item in items) for items in pack(costs, 3))
    assert sum(loads) == 27
    assert max(loads) == 11  # (4/3 - 1/9) x 9


def test_the_cost_of_a_cell_by_hand():
    rte = STUDY.tasks["rte"]
    cell = next(c for c in STUDY.cells.values() if c.target == "rte" and c.hyperparameters)
    batch = cell.hyperparameters.batch_size
    size = {"rte": Size(train=80, dev=30, tokens=10.0)}
    updates = -(-80 // batch) * 5
    # 80 rows x 10 tokens x 5 epochs, 25 an update, and a forward third of 30 x 10
    expected = 80 * 10 * 5 + 25 * updates + 30 * 10 / 3
    assert rte.epochs == 5
    assert cost(STUDY, STUDY.runs[cell.id], size) == pytest.approx(expected)


def with_models(parameters, generator, sentences=90, dev_sentences=10):
    grid = STUDY.grid.model_dump()
    grid["model"]["parameters"] = parameters
    grid["synthesis"] |= {"sentences": sentences, "dev_sentences": dev_sentences}
    grid["synthesis"]["generator"] = {"path": "generator", "parameters": generator}
    return bind(Grid.model_validate(grid), "model")


def test_the_cost_of_the_generation_by_hand():
    # 100 rows of 30 tokens: a premise of 15 is read, three endings of 15 are written, forward only
    size = {"synthesis-gpt2": Size(train=1, dev=1, tokens=30)}
    twice = with_models(10_000_000, 20_000_000)
    assert cost(twice, twice.runs[SYNTHESIS], size) == pytest.approx(100 * 60 / 3 * 2)
    unknown = with_models(None, 20_000_000)
    assert cost(unknown, unknown.runs[SYNTHESIS], size) == pytest.approx(100 * 60 / 3)
    # GPT-2 medium has RoBERTa-large's shape: 24 layers of 1024
    medium = with_models(302_000_000, None)
    assert cost(medium, medium.runs[SYNTHESIS], size) == pytest.approx(100 * 60 / 3)


def test_the_plan_counts_the_generation_and_a_study_without_it_does_not():
    found = plan(STUDY, cells=CELLS)
    (generation,) = of_stage(found, "synthesis")
    assert generation.cost == cost(STUDY, STUDY.runs[SYNTHESIS]) > 0
    assert found.cost == pytest.approx(sum(bundle.cost for bundle in found.bundles))
    assert found.cost > plan(STUDY, cells=CELLS, there=[SYNTHESIS]).cost
    assert SYNTHESIS not in bind(load_grid("table2"), "model").runs


def test_costs_are_positive_and_grow_with_the_work():
    costs = {run.id: cost(STUDY, run) for run in STUDY.runs.values()}
    assert all(found > 0 for found in costs.values())
    assert costs[SOURCES["hellaswag-p@2000"]] < costs[SOURCES["hellaswag"]]
    trained = next(run for run in STUDY.runs.values() if run.cell and run.task == "rte")
    scored = next(run for run in STUDY.runs.values() if run.cell and run.task == "hellaswag-p")
    assert scored.hyperparameters is None
    small = {"rte": Size(train=1, dev=1, tokens=1)}
    assert cost(STUDY, trained, small) < costs[trained.id]


def test_plans_are_the_same_each_time():
    assert plan(STUDY, cells=CELLS) == plan(STUDY, cells=set(CELLS))


@given(
    st.dictionaries(st.sampled_from(CELLS), st.floats(0.1, 500), min_size=1),
    st.floats(1, 2000),
    st.integers(1, 8),
)
def test_no_bundle_of_several_cells_is_planned_to_take_longer_than_it_may(times, most, bundles):
    everything = dict.fromkeys(STUDY.runs, 1.0) | times
    found = plan(
        STUDY,
        cells=times,
        there=list(STUDY.runs),
        bundles=bundles,
        seconds=lambda run: everything[run.id],
        most_seconds=most,
    )
    assert sorted(item for bundle in found.bundles for item in bundle.items) == sorted(times)
    for bundle in found.bundles:
        assert bundle.seconds == pytest.approx(sum(times[item] for item in bundle.items))
        assert len(bundle.items) == 1 or bundle.seconds <= most * (1 + 1e-9)
    assert found.seconds == pytest.approx(sum(times.values()))


@given(st.permutations(CELLS))
def test_an_order_that_is_asked_for_is_that_of_each_bundle_and_moves_no_cell(drawn):
    order = {cell: place for place, cell in enumerate(drawn)}
    plain, ordered = (plan(STUDY, cells=CELLS, bundles=5, order=asked) for asked in (None, order))
    together = {frozenset(bundle.items) for bundle in plain.bundles}
    assert {frozenset(bundle.items) for bundle in ordered.bundles} == together
    for bundle in of_stage(ordered, "target"):
        assert list(bundle.items) == sorted(bundle.items, key=order.__getitem__)


def test_the_runs_of_a_bundle_share_its_predicted_seconds_by_their_work():
    study = bind(load_grid("figure2"), "model")
    cells = [cell.id for cell in study.cells.values() if cell.source == "none"][:40]
    guessed = plan(study, cells=cells, bundles=3)
    told = plan(study, cells=cells, bundles=3, seconds=lambda run: 5.0)
    for bundle in guessed.bundles:
        found = weights(study, bundle)
        assert found == pytest.approx({i: cost(study, study.runs[i]) for i in bundle.items})
    for bundle in told.bundles:
        found = weights(study, bundle)
        assert sum(found.values()) == pytest.approx(5.0 * len(bundle.items))
        first = bundle.items[0]
        share = cost(study, study.runs[first]) / bundle.cost
        assert found[first] == pytest.approx(share * bundle.seconds)

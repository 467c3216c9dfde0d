"""Several studies as one: agreed, each cell once, or refused with the reason."""

import json

import pytest

from analysis.read.collect import collect
from analysis.read.columns import FRAME
from analysis.read.pool import pool, united
from stilt.errors import ConfigError
from stilt.folder import StudyFolder, read_study
from tests.support.bound_study import block as blocks
from tests.support.bound_study import study as bound
from tests.support.taken_study import block, make_done


def pooled(tmp_path, *folders):
    studies = {folder: read_study(folder) for folder in folders}
    whole = united("both", list(studies.values()))
    return pool(whole, [collect(f, s) for f, s in studies.items()], tmp_path / "both")


def test_a_pool_has_the_rows_of_a_study_that_was_begun_whole(tmp_path):
    whole = make_done(tmp_path, "whole", block(seed=[12, 13]))
    parts = [make_done(tmp_path, f"seed{seed}", block(seed=[seed])) for seed in (12, 13)]
    for part in parts:
        for path in [*part.results.glob("*.json"), *part.path.glob("sources/*/result.json")]:
            path.write_bytes((whole.path / path.relative_to(part.path)).read_bytes())
    found, expected = pooled(tmp_path, *parts), collect(whole, read_study(whole))
    assert set(found.study.cells) == set(expected.study.cells)
    mine, theirs = (x.cells.drop("study").sort("cell") for x in (found, expected))
    assert mine.equals(theirs)
    assert found.cells.columns == list(FRAME)
    assert found.sources.drop("study").equals(expected.sources.drop("study"))
    # which study a number is of
    assert dict(found.cells["study"].value_counts().iter_rows()) == {"seed12": 8, "seed13": 8}
    cell = found.cells.row(0, named=True)
    assert found.folder.result(cell["cell"]) == tmp_path / cell["study"] / "results" / (
        f"{cell['cell']}.json"
    )


def test_a_cell_of_both_counts_once(tmp_path):
    first = make_done(tmp_path, "first")
    second = make_done(tmp_path, "second")
    second_only = next(iter(read_study(first).cells))
    first.result(second_only).unlink()
    found = pooled(tmp_path, first, second)
    assert found.cells.height == 8
    assert found.cells["status"].to_list() == ["ok"] * 8
    assert found.cells.filter(cell=second_only)["study"].to_list() == ["second"]


def test_the_same_cell_with_another_score_is_refused_and_both_files_named(tmp_path):
    first, second = make_done(tmp_path, "first"), make_done(tmp_path, "second", seed=1)
    with pytest.raises(ConfigError) as error:
        pooled(tmp_path, first, second)
    said = str(error.value)
    assert "has other results" in said
    for folder in (first, second):
        assert f"{folder.results}/" in said


def test_a_task_with_other_rows_is_refused(tmp_path):
    first, second = (make_done(tmp_path, f"s{s}", block(seed=[s])) for s in (12, 13))
    for path in second.results.glob("*.json"):
        table = json.loads(path.read_text())
        if table["cell"]["target"] == "rte":
            path.write_text(json.dumps(table | {"data": "e" * 12}))
    with pytest.raises(ConfigError, match="task rte has other rows") as error:
        pooled(tmp_path, first, second)
    assert f"has data {'e' * 12}" in str(error.value)


def test_sources_keep_names_of_their_own(tmp_path):
    first = bound(name="one", source={"seeds": [42]})
    second = bound(name="two", source={"seeds": [43]})
    names = [source.name for source in united("both", [first, second]).sources.values()]
    assert names == ["hellaswag", "hellaswag-p@2000", "hellaswag#43", "hellaswag-p@2000#43"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (bound(name="b", identity="another"), "model model and another"),
        (bound(name="b", recipe="fast"), "recipe = 'paper' and 'fast'"),
        (bound(name="b", head="reset"), "head = 'keep' and 'reset'"),
        (bound(name="b", processes=2), "processes = 1 and 2"),
        (bound(name="b", source={"learning_rate": 2e-5}), "source.learning_rate = 1e-05 and 2e-05"),
    ],
)
def test_what_decides_a_score_must_be_the_same(other, said):
    first = bound(name="a")
    with pytest.raises(ConfigError, match="--pool both: studies a and b cannot be one table") as e:
        united("both", [first, other])
    assert said in str(e.value)


def test_an_edited_task_is_named_with_its_field():
    first = bound()
    other = bound(tasks={"rte": first.tasks["rte"].model_copy(update={"epochs": 7})})
    with pytest.raises(ConfigError, match=r"tasks\.rte\.epochs = .* and 7"):
        united("both", [first, other])


def test_a_pool_needs_a_name_that_a_study_may_have():
    with pytest.raises(ConfigError, match="name"):
        united("no/name", [bound(), bound(**blocks(seed=[7]))])


def test_the_cells_of_a_pool_are_those_of_its_studies():
    first, second = bound(), bound(**blocks(seed=[7], targets=["wic"]), evaluate=[])
    both = united("both", [first, second])
    assert both.cells.keys() == first.cells.keys() | second.cells.keys()
    assert both.sources.keys() == first.sources.keys() | second.sources.keys()
    assert both.name == "both"


def test_a_folder_without_any_record_is_that_of_the_pool(tmp_path):
    first, second = make_done(tmp_path, "first"), make_done(tmp_path, "second")
    folder = pooled(tmp_path, first, second).folder
    assert folder.result("unknown") == StudyFolder(tmp_path / "both").result("unknown")


def test_the_grid_of_a_pool_is_as_if_it_were_written_whole():
    whole = bound(**blocks(seed=[1, 2], targets=["rte", "wic"]), evaluate=[])
    parts = [
        bound(**blocks(seed=[seed], targets=[target]), evaluate=[])
        for seed in (1, 2)
        for target in ("rte", "wic")
    ]
    both = united("both", parts)
    assert len(both.grid.blocks) == 1
    assert list(both.cells) == list(whole.cells)
    apart = united("both", [parts[0], parts[3]])
    assert len(apart.grid.blocks) == 2
    assert list(apart.cells) == [*parts[0].cells, *parts[3].cells]

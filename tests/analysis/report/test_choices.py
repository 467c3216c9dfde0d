"""What a study chose, in words."""

from analysis.report.choices import choices
from stilt.grid import Grid
from stilt.study import bind
from tests.support.report_page import REPORT_GRID


def said(**changes) -> dict[str, str]:
    study = bind(Grid.model_validate(REPORT_GRID | changes), "identity")
    return dict(choices(study, "majority"))


def test_every_axis_source_and_target_of_the_grid_is_named():
    found = said()
    assert found["Model"].endswith("(identity)")
    assert found["Grid"] == (
        "None, hellaswag, hellaswag-p@1000 × rte, cola × learning rate {1e-5, 2e-5} × "
        "batch {8, 16} × warmup {0} × seed {12, 42}"
    )
    assert found["Scored without training"] == "None, hellaswag × socialiqa, seed 42"
    assert found["Training of sources"] == (
        "learning rate 1e-5, batch size 16, warmup ratio 0.1, seeds 42"
    )
    assert found["Degenerate run"].endswith(", or a non-finite loss")
    assert "Synthesis" not in found


def test_blocks_are_numbered_where_there_are_several_and_a_head_that_is_left_behind_is_told():
    found = said(
        blocks=[*REPORT_GRID["blocks"], REPORT_GRID["blocks"][0] | {"targets": ["wic"]}],
        head="reset",
    )
    assert "× rte, cola ×" in found["Grid, block 1"]
    assert "× wic ×" in found["Grid, block 2"]
    assert found["Scoring head of a source"].startswith("left behind")


def test_generated_rows_are_told_with_their_text_and_their_number():
    found = said(synthesis={"text": "x.txt", "sentences": 30_000})
    assert found["Synthesis"].startswith("30,000 rows from x.txt by ")


def test_seeds_of_a_source_are_those_that_it_has():
    block = REPORT_GRID["blocks"][0] | {
        "sources": ["none", {"task": "hellaswag", "seeds": [1, 2, 3]}]
    }
    found = said(blocks=[block], evaluate=[])
    assert found["Training of sources"].endswith("warmup ratio 0.1, seeds 1, 2, 3")

"""A study grows in place; it loses runs only where that was said, and says which and why."""

import shutil
from datetime import datetime
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.notes.gaps import describe
from analysis.read.collect import collect
from launcher.study.growth import Asked, next_step, take
from launcher.study.outstanding import outstanding
from stilt.cell import SYNTHESIS, digest
from stilt.errors import ConfigError, ResultError
from stilt.folder import StudyFolder, read_study, write_study
from stilt.grid import Grid
from stilt.records import claims
from stilt.study import Study, bind
from tests.support.fake_study import TINY, make_study
from tests.support.result_files import change as edit

ASKED = Asked(command="submit.py --grid tiny", commit="abc")
REVISING = Asked(revise=True, command="submit.py --grid tiny --revise")
IDENTITY = "made-up-model"


def nobody_lives(_):
    return False


def everyone_lives(_):
    return True


def tiny(name="s", identity=IDENTITY, tasks=None, fields=None, **axes) -> Study:
    """The tiny study with other axes; other fields of the grid, and of tasks, where given."""
    block = TINY["blocks"][0] | axes
    bound = bind(Grid.model_validate(TINY | {"blocks": [block]} | (fields or {})), identity)
    table = bound.model_dump() | {"name": name}
    for task, changes in (tasks or {}).items():
        table["tasks"][task] |= changes
    return Study.model_validate(table)


def submit(study, folder, asked=ASKED, lives=nobody_lives):
    """What a submit does before it claims: returns what it said."""
    step = next_step(study, folder, lives, asked)
    take(step, folder, lives)
    return list(step.said)


def run_missing(study, folder, whole):
    """Runs what a study lacks, with the results that another folder has of the same runs."""
    state = outstanding(study, folder, nobody_lives)
    needed = {need for cell in state.missing for need in study.runs[cell].needs} - state.there
    for source in needed:
        shutil.copytree(whole.source(source), folder.source(source))
    folder.results.mkdir(exist_ok=True)
    for cell in state.missing:
        shutil.copy(whole.result(cell), folder.result(cell))
    return needed | set(state.missing)


@pytest.fixture
def folder(tmp_path):
    return StudyFolder(tmp_path / "s")


@pytest.fixture
def begun(folder):
    """The tiny study with every result."""
    make_study(folder.path, bound=tiny())
    write_study(tiny(), folder)
    return folder


def test_a_study_begins_with_its_first_revision(folder):
    assert submit(tiny(), folder) == []
    (first,) = read_study(folder).revisions
    assert (first.number, first.cells, first.came, first.went) == (1, 16, "16 cells", "")
    assert (first.command, first.commit) == ("submit.py --grid tiny", "abc")
    assert first.digest == tiny().digest
    assert datetime.fromisoformat(first.when).tzinfo is not None


def test_the_same_grid_again_writes_nothing(begun):
    before = begun.study_file.read_bytes()
    assert submit(tiny(), begun) == []
    assert begun.study_file.read_bytes() == before


def test_a_grid_that_adds_cells_extends_the_study_and_keeps_what_is_there(begun):
    next(begun.results.iterdir()).unlink()
    before = {path: path.read_bytes() for path in begun.results.iterdir()}
    (begun.summary).mkdir()
    (begun.summary / "summary.json").write_text("{}")
    larger = tiny(targets=["rte", "cola", "wic"])
    assert submit(larger, begun) == [
        "study s, revision 2: +8 cells: target wic; 16 cells there, 15 done"
    ]
    study = read_study(begun)
    assert list(study.cells) == list(larger.cells)
    assert study.digest == larger.digest
    # the study was begun by code that wrote no history
    first, second = study.revisions
    assert (first.number, first.cells, first.digest) == (1, 16, tiny().digest)
    assert first.looked is None
    assert (second.number, second.cells, second.came) == (2, 24, "+8 cells: target wic")
    assert (second.went, second.command) == ("", "submit.py --grid tiny")
    assert datetime.fromisoformat(second.looked) >= datetime.fromisoformat(first.when)
    assert {path: path.read_bytes() for path in begun.results.iterdir()} == before
    assert len(outstanding(study, begun, nobody_lives).missing) == 9


def test_a_study_grows_while_its_jobs_live(folder):
    submit(tiny(), folder)
    cell = next(iter(tiny().cells))
    claims.take(claims.new_claim(cell, "slurm-1", "b"), folder.claim(cell))
    said = submit(tiny(seed=[12, 42, 5]), folder, lives=everyone_lives)
    assert said == ["study s, revision 2: +8 cells: seed 5; 16 cells there, 0 done"]
    assert outstanding(read_study(folder), folder, everyone_lives).held == {cell}
    assert claims.read(folder.claim(cell)).submission == "slurm-1"


def test_jobs_of_code_that_knows_no_history_are_waited_for(begun):
    cell = next(iter(tiny().cells))
    claims.take(claims.new_claim(cell, "slurm-1", "b"), begun.claim(cell))
    before = begun.study_file.read_bytes()
    with pytest.raises(ResultError, match="an earlier version of this code hold 1 run, and could"):
        submit(tiny(seed=[12, 42, 5]), begun, lives=everyone_lives)
    assert begun.study_file.read_bytes() == before


AXES = {
    "sources": ("none", "hellaswag", "wic"),
    "targets": ("rte", "cola"),
    "learning_rate": (1e-5, 2e-5),
    "seed": (12, 42),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study that was begun whole."""
    study = tiny(**{axis: list(values) for axis, values in AXES.items()})
    folder = StudyFolder(tmp_path_factory.mktemp("whole") / "s")
    make_study(folder.path, bound=study)
    return study, folder


def parts(values):
    return [list(part) for size in range(1, len(values) + 1) for part in combinations(values, size)]


@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.fixed_dictionaries({axis: st.sampled_from(parts(v)) for axis, v in AXES.items()}))
def test_whatever_part_a_study_begins_with_only_the_rest_is_run_and_all_is_the_same(
    whole, tmp_path_factory, axes
):
    large, made = whole
    folder = StudyFolder(tmp_path_factory.mktemp("grown") / "s")
    small = tiny(**axes)
    submit(small, folder)
    first = run_missing(read_study(folder), folder, made)
    assert first == small.runs.keys()
    submit(large, folder)
    second = run_missing(read_study(folder), folder, made)
    assert second == large.runs.keys() - small.runs.keys()
    for cell in large.cells:
        assert folder.result(cell).read_bytes() == made.result(cell).read_bytes()
    assert read_study(folder).digest == large.digest
    assert outstanding(read_study(folder), folder, nobody_lives).done == large.cells.keys()


def test_the_tables_of_a_grown_study_are_those_of_one_begun_whole(whole, folder):
    large, made = whole
    for study in (tiny(sources=["none"]), tiny(), large):
        submit(study, folder)
        run_missing(read_study(folder), folder, made)
    grown, once = collect(folder, read_study(folder)), collect(made, large)
    assert grown.problems == ()
    assert grown.cells.equals(once.cells)
    assert grown.sources.equals(once.sources)


def test_a_grid_that_drops_cells_is_refused_with_the_list_of_them(begun):
    before = begun.study_file.read_bytes()
    with pytest.raises(ResultError) as caught:
        submit(tiny(targets=["rte"]), begun)
    assert str(caught.value) == (
        f"{begun.path}: this study would lose 8 of its 16 cells (8 with a result):\n"
        "  no longer in the grid: 8 cells: target cola\n"
        "Say --revise if that is meant: results stay on disk, and count again where a later grid "
        "plans them. Or give this one a name of its own with --study."
    )
    assert begun.study_file.read_bytes() == before


def test_an_edited_task_is_refused_with_the_field_that_makes_other_cells(begun):
    longer = tiny(tasks={"rte": {"max_length": 128}})
    with pytest.raises(
        ResultError, match=r"\n  rte: max_length 100 -> 128, so 8 cells are other cells\n"
    ):
        submit(longer, begun)


def test_what_was_dropped_stays_on_disk_counts_nowhere_and_counts_again_when_put_back(begun):
    whole = collect(begun, read_study(begun))
    results = sorted(begun.results.iterdir())
    said = submit(tiny(targets=["rte"]), begun, REVISING)
    assert said == [
        "study s, revision 2:",
        "  - no longer in the grid: 8 cells: target cola",
    ]
    study = read_study(begun)
    assert study.revisions[1].went == "no longer in the grid: 8 cells: target cola"
    assert (study.revisions[1].cells, study.revisions[1].came) == (8, "")
    assert sorted(begun.results.iterdir()) == results
    found = collect(begun, study)
    assert set(found.cells["target"]) == {"rte"}
    assert found.cells.height == 8
    assert any(line.startswith("Not in the grid: 8 results are of") for line in describe(found))
    assert outstanding(study, begun, nobody_lives).done == study.cells.keys()
    assert submit(tiny(), begun) == [
        "study s, revision 3: +8 cells: target cola; 8 cells there, 8 done"
    ]
    again = collect(begun, read_study(begun))
    assert again.cells.equals(whole.cells)
    assert again.problems == ()


def test_a_revised_task_lets_go_of_the_rows_that_the_one_before_was_pinned_to(begun):
    for task in ("rte", "cola"):
        path = begun.data_digest(task)
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    submit(tiny(tasks={"rte": {"max_length": 128}}), begun, REVISING)
    assert not begun.data_digest("rte").exists()
    assert begun.data_digest("cola").exists()
    study = read_study(begun)
    assert study.revisions[1].came == "8 cells in place of others"
    assert len(outstanding(study, begun, nobody_lives).missing) == 8


def test_runs_that_would_become_others_are_not_taken_from_live_jobs(folder):
    submit(tiny(), folder)
    cell = next(c.id for c in tiny().cells.values() if c.target == "rte")
    claims.take(claims.new_claim(cell, "slurm-1", "b"), folder.claim(cell))
    longer = tiny(tasks={"rte": {"max_length": 128}})
    with pytest.raises(ResultError, match=f"held by live jobs, such as {cell}. Cancel them first"):
        submit(longer, folder, REVISING, everyone_lives)
    # what is merely dropped may go: its worker will give it back
    assert submit(tiny(targets=["cola"]), folder, REVISING, everyone_lives)


def test_fields_that_decide_no_result_change_as_they_please(begun):
    titled = tiny(fields={"title": "Mine", "curve": True})
    assert submit(titled, begun) == [
        "study s, revision 2: no other runs: grid.curve false -> true; grid.title "
        '"" -> "Mine"; 16 cells there, 16 done'
    ]


def test_a_renamed_folder_is_the_same_study_by_another_name(begun, tmp_path):
    begun.path.rename(tmp_path / "new")
    folder = StudyFolder(tmp_path / "new")
    assert submit(tiny("new"), folder) == [
        'study new, revision 2: no other runs: name "s" -> "new"; 16 cells there, 16 done'
    ]
    assert outstanding(read_study(folder), folder, nobody_lives).done == tiny().cells.keys()


def test_a_study_that_had_begun_nothing_is_replaced(folder):
    submit(tiny(), folder)
    cell = next(iter(tiny().cells))
    for path in (folder.data_digest("rte"), folder.failure(cell)):
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    claims.take(claims.new_claim(cell, "slurm-1", "b"), folder.claim(cell))
    assert submit(tiny(identity="other"), folder) == [
        'study s had begun nothing and is replaced: model "made-up-model" -> "other", so 1 source '
        "and 16 cells are other cells"
    ]
    study = read_study(folder)
    assert study.model_identity == "other"
    assert [revision.number for revision in study.revisions] == [1]
    assert not folder.data_digest("rte").exists()
    assert not folder.failure(cell).exists()
    assert not folder.claim(cell).exists()


@pytest.mark.parametrize("what", ["a live job", "a source", "a saved state", "rows", "a result"])
def test_a_study_that_had_begun_something_is_not_replaced(folder, what):
    submit(tiny(), folder)
    cell, source = next(iter(tiny().cells)), next(iter(tiny().sources))
    claims.take(claims.new_claim(cell, "slurm-1", "b"), folder.claim(cell))
    path = {
        "a source": folder.source(source) / "result.json",
        "a saved state": folder.resume(cell),
        "rows": folder.synthesis() / "dev.jsonl",
        "a result": folder.result(cell),
        "a live job": folder.path / "other",
    }[what]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    lives = everyone_lives if what == "a live job" else nobody_lives
    with pytest.raises(ResultError, match="would lose 16 of its 16 cells"):
        submit(tiny(identity="other"), folder, lives=lives)


def test_rows_of_a_study_that_had_begun_nothing_may_be_others_by_now(folder):
    submit(tiny(), folder)
    folder.data_digest("rte").parent.mkdir()
    folder.data_digest("rte").write_text("{}")
    assert submit(tiny(), folder) == []
    assert not folder.data_digest("rte").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"3"])
def test_a_damaged_study_is_told_with_its_remedy_and_made_anew_by_its_submit(begun, content):
    begun.study_file.write_bytes(content)
    if content != b"3":
        with pytest.raises(ConfigError, match=r"study\.json: cannot be read .* makes it anew"):
            read_study(begun)
    step = next_step(tiny(), begun, nobody_lives, ASKED)
    assert step.mended.endswith("It was made anew.")
    take(step, begun, nobody_lives)
    assert read_study(begun).digest == tiny().digest


@pytest.mark.parametrize("content", [b"", None])
def test_a_damaged_or_absent_study_of_other_results_is_not_written_over(begun, content):
    if content is None:
        begun.study_file.unlink()
    else:
        begun.study_file.write_bytes(content)
    other = tiny(identity="other")
    with pytest.raises(
        ResultError, match="17 of the results there are of runs that this grid does"
    ):
        submit(other, begun)
    assert not begun.study_file.is_file() or begun.study_file.read_bytes() == b""
    submit(other, begun, REVISING)
    assert read_study(begun).digest == other.digest


def test_a_study_of_a_newer_version_is_left_alone(begun):
    edit(begun.study_file, lambda table: table.update(schema_version=2))
    with pytest.raises(ConfigError, match="schema_version"):
        submit(tiny(), begun)


def test_generated_rows_are_set_aside_and_brought_back_with_the_study_that_planned_them(folder):
    def generating(top_p):
        fields = {"synthesis": {"top_p": top_p}}
        return tiny(fields=fields, targets=["rte", "synthesis-gpt2"])

    usual, other = generating(0.9), generating(0.5)
    submit(usual, folder)
    rows = folder.synthesis() / "dev.jsonl"
    rows.parent.mkdir()
    rows.write_text("made at 0.9")
    pin = folder.data_digest("synthesis-gpt2")
    pin.parent.mkdir()
    pin.write_text("{}")
    with pytest.raises(ResultError, match=r"synthesis\.top_p 0.9 -> 0.5, so 1 generation and 8"):
        submit(other, folder)
    submit(other, folder, REVISING)
    assert not folder.synthesis().exists()
    assert not pin.exists()
    aside = folder.path / f"synthesis-{digest(usual.identity_of(usual.runs[SYNTHESIS]))}"
    assert (aside / "dev.jsonl").read_text() == "made at 0.9"
    submit(usual, folder, REVISING)
    assert rows.read_text() == "made at 0.9"
    # killed before it wrote study.json: the rows are aside, and the study plans them
    rows.parent.rename(aside)
    assert submit(usual, folder) == []
    assert rows.read_text() == "made at 0.9"
    # of a study without such tasks they are nobody's
    submit(tiny(), folder, REVISING)
    assert aside.is_dir()
    submit(usual, folder)
    assert rows.read_text() == "made at 0.9"

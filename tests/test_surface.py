"""What ``import stilt`` shows: the README's lines, and every example in a docstring."""

import doctest
import re
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import polars as pl
import pytest

import stilt
from launcher.local.pool import PoolOutcome
from launcher.study.claiming import claim
from stilt.errors import ConfigError, ResultError
from stilt.folder import read_study
from stilt.records.failures import record_failure
from tests.support.fake_study import TINY, make_study
from tests.support.own_study import make_own_study

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def place(tmp_path_factory, roberta):
    """A folder as a person has it: a grid, a task, data, a model, and a study that is done."""
    place = make_own_study(tmp_path_factory.mktemp("surface"))
    grid = (place / "own.toml").read_text().replace('"none", "endings"]', '"endings", "none"]')
    (place / "my-grid.toml").write_text(grid.replace('"pairs", "endings"]', '"my-nli"]'))
    shutil.move(place / "pairs.toml", place / "my-nli.toml")
    (place / "FOLDER").symlink_to(roberta)
    make_study(place / "logs/tiny", grid=TINY)
    return place


@pytest.fixture(autouse=True)
def _there(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.delenv("STILT_DATA_DIR", raising=False)
    yield
    plt.close("all")


def test_the_lines_of_the_readme_do_what_they_say():
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 5
    names = {"ax": plt.figure().subplots()}
    exec(code, names)
    cell = names["cells"]["cell"][0]
    assert names["cells"]["status"].unique().to_list() == ["missing"]
    study = names["study"]
    after = stilt.results(study).filter(pl.col("status") == "ok")
    assert after.select("cell", "source").rows() == [(cell, "endings")]
    assert study.source(after["source_id"][0]).is_dir()
    assert not list(study.claims.glob("*.json"))
    assert "my-nli" in names["ax"].get_title(loc="left")


@pytest.mark.parametrize("name", sorted(stilt._STANDS_IN))
def test_the_example_of_each_function_gives_what_it_shows(name):
    # the study that the examples speak of, whatever ran before
    stilt.define_study("my-grid.toml", model="FOLDER", data_dir="data")
    found = doctest.DocTestFinder(recurse=False).find(getattr(stilt, name), name)
    assert sum(len(example.examples) for example in found) >= 2
    for example in found:
        result = doctest.DocTestRunner().run(example)
        assert result.failed == 0


def test_the_version_is_that_of_the_package():
    setup = (README.parent / "setup.cfg").read_text()
    assert f"version = {stilt.__version__}\n" in setup
    assert (Path(stilt.__file__).parent / "py.typed").is_file()


def test_what_cannot_be_run_is_said():
    study = stilt.open_study("tiny")
    with pytest.raises(ConfigError, match="unknown cell 'nonsense'"):
        stilt.run_cell(study, "nonsense")
    cell = next(iter(read_study(study).cells))
    with pytest.raises(ConfigError, match=r"model .*: not the one that study tiny began with"):
        stilt.run_cell(study, cell, model="FOLDER")
    with pytest.raises(ConfigError, match="threads = 0: at least 1"):
        stilt.run_cell(study, cell, threads=0)
    with pytest.raises(ConfigError, match=r"unknown target 'rtr'.*'rte'"):
        stilt.violins(study, "rtr", plt.figure().subplots())
    with pytest.raises(ConfigError, match="unknown study 'nowhere'"):
        stilt.open_study("nowhere")


def test_a_cell_that_a_live_process_holds_is_left_to_it():
    study = stilt.define_study("my-grid.toml", model="FOLDER", data_dir="data", name="held")
    cell = next(iter(read_study(study).cells))
    assert claim(cell, "bundle", study, "local-1", lambda claim: True)
    with pytest.raises(ResultError, match=f"cell {cell} .*: somebody else holds it"):
        stilt.run_cell(study, cell)


def test_a_cell_that_fails_says_why(monkeypatch):
    study = stilt.define_study("my-grid.toml", model="FOLDER", data_dir="data", name="failing")
    cell = next(iter(read_study(study).cells))

    def run(pool):
        record_failure(pool.study, pool.folder, cell, "oom", "no memory left")
        return PoolOutcome(failed=[cell])

    monkeypatch.setattr("launcher.api.Pool.run", run)
    with pytest.raises(ResultError, match=rf"cell {cell} \(.*\): oom: no memory left\."):
        stilt.run_cell(study, cell)
    monkeypatch.setattr("launcher.api.Pool.run", lambda pool: PoolOutcome(interrupted=True))
    study.claim(cell).unlink()
    with pytest.raises(KeyboardInterrupt):
        stilt.run_cell(study, cell)


def test_some_of_the_cells_are_drawn_on_an_axis_of_a_larger_figure():
    study = stilt.open_study("tiny")
    figure, axes = plt.subplots(1, 2)
    some = stilt.results(study).filter(pl.col("source") == "none")
    stilt.violins(study, "cola", axes[1], cells=some)
    assert [label.get_text() for label in axes[1].get_xticklabels()] == ["None"]
    assert axes[1].get_title(loc="left") == "CoLA (MCC)"
    assert not axes[0].has_data()
    figure.savefig("axes.png")

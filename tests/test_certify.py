"""A recipe is admitted where its scores are those of ``paper``, and not where it has a bug."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from scipy import optimize
from statsmodels.stats.weightstats import DescrStatsW

from benchmarks import certify
from benchmarks.certify import main, marks, mean_within, share_within, tango
from jobs.worker import Worker, make_accelerator
from stilt.training import forward, train
from tests.support.certified_study import make_certified_grid, run_here

FOUR_RATES = "[4e-3, 6e-3, 1e-2, 2e-2]"
BEGIN, END = marks("fast")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A grid of 64 cells and, below ``logs``, its study under the recipe ``paper``."""
    from tests.support.tiny_encoder import save_tiny_roberta, trained_tokenizer

    folder = tmp_path_factory.mktemp("certified")
    model = save_tiny_roberta(folder / "model", trained_tokenizer(), layers=1)
    make_certified_grid(folder, model, FOUR_RATES)
    return folder


@pytest.fixture
def certified(place, tmp_path, monkeypatch, capsys):
    """Certifies a recipe that computes as ``paper`` does, but for what a test changes in it.

    A process has one precision at a time, so this one stays with that of ``paper``; its workers are
    this process.
    """
    AcceleratorState._reset_state(reset_partial_state=True)
    monkeypatch.setattr(
        "jobs.worker.make_accelerator", lambda device, recipe: make_accelerator("cpu")
    )
    data, cache = place / "data", place / "cache"

    def here(grid, root, more, variables):
        monkeypatch.setenv("STILT_TASKS", variables["STILT_TASKS"])
        run_here(grid, root, data, cache)

    monkeypatch.setattr(certify, "submit", here)
    paper = place / "certify-paper"
    if not paper.exists():
        (place / "certify-paper.toml").write_text('include = ["certified"]\nrecipe = "paper"\n')
        run_here(place / "certify-paper.toml", place, data, cache)
    root = tmp_path / "logs"
    shutil.copytree(paper, root / paper.name)

    def run(*more):
        found = tmp_path / "found.json"
        words = ["fast", "--grid", str(place / "certified.toml"), "--root", str(root)]
        code = main([*words, "--json", str(found), *more])
        return code, json.loads(found.read_text()), capsys.readouterr().out

    yield run
    AcceleratorState._reset_state(reset_partial_state=True)


def test_a_path_that_only_rounds_otherwise_is_admitted(certified, monkeypatch, tmp_path):
    def rounded(*given):
        logits, computed = forward.forward(*given)
        return logits * (1 + 1e-6), computed

    monkeypatch.setattr(train, "forward", rounded)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nnothing yet\n{END}\nafter\n")
    code, found, said = certified("--write", str(page))
    assert (code, found["verdict"], found["pairs"]) == (0, "admitted", 64)
    assert found["degenerate"][0] == found["degenerate"][1] not in (0, 64)
    assert "Recipe fast: admitted." in " ".join(said.split())
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n`python -m benchmarks.certify fast --grid ")
    assert "| all | 64 | +0.00 [+0.00, +0.00] | < 0.001 | " in text
    assert text.endswith(f"{END}\nafter\n") and "nothing yet" not in text


def drop_out_twice(monkeypatch):
    real = Worker.build

    def build(worker, *given):
        model = real(worker, *given)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.register_forward_hook(
                    lambda part, came, left: torch.dropout(left, part.p, part.training)
                )
        return model

    monkeypatch.setattr(Worker, "build", build)


def keep_the_mask_of_the_last_pass(monkeypatch):
    # in training alone: a worker tries each model's scoring before it trains, and would refuse it
    real, last = forward.inputs, []

    def inputs(model, *given):
        batch = real(model, *given)
        if model.training:
            mask = batch.get("attention_mask", torch.ones_like(batch["input_ids"]))
            stale = torch.zeros_like(mask)
            stale[:, 0] = 1
            old = last[-1] if last else mask
            rows, columns = min(len(old), len(mask)), min(old.shape[1], mask.shape[1])
            stale[:rows, :columns] = old[:rows, :columns]
            last.append(mask)
            batch["attention_mask"] = stale
        return batch

    monkeypatch.setattr(forward, "inputs", inputs)


def go_on_with_the_last_cells_weights(monkeypatch):
    real, built = Worker.build, []

    def build(worker, *given):
        if not built:
            built.append(real(worker, *given))
        return built[0]

    monkeypatch.setattr(Worker, "build", build)


MORE = (keep_the_mask_of_the_last_pass, go_on_with_the_last_cells_weights)


@pytest.mark.parametrize(
    "plant",
    [drop_out_twice, *(pytest.param(plant, marks=pytest.mark.nightly) for plant in MORE)],
)
def test_a_planted_bug_is_not_admitted(plant, certified, monkeypatch):
    plant(monkeypatch)
    code, found, said = certified()
    assert (code, found["pairs"], found["missing"]) == (1, 64, 0)
    assert found["verdict"] in ("not admitted", "not enough evidence")
    assert f"Recipe fast: {found['verdict']}." in " ".join(said.split())
    # of the mean alone it would be seen, too
    assert found["mean"]["p"] > 0.05


def test_a_page_without_a_place_is_refused_before_anything_runs(place, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("before\n")
    words = ["fast", "--grid", str(place / "certified.toml"), "--root", str(tmp_path / "logs")]
    assert main([*words, "--write", str(page)]) == 2
    assert capsys.readouterr().err == f"error: --write {page}: it has no lines {BEGIN} and {END}.\n"
    assert not (tmp_path / "logs").exists()


def test_a_grid_that_is_not_there_is_told(tmp_path, capsys):
    assert main(["fast", "--grid", str(tmp_path / "no.toml")]) == 2
    assert capsys.readouterr().err == f"error: --grid {tmp_path}/no.toml: no such grid file.\n"


def test_paper_itself_cannot_be_certified(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["paper"])
    assert ended.value.code == 2
    assert "invalid choice: 'paper'" in capsys.readouterr().err


@pytest.mark.nightly
@pytest.mark.tries_model
def test_both_recipes_run_by_submit_and_few_pairs_are_too_little(
    place, tmp_path, capsys, monkeypatch
):
    make_certified_grid(place / "few", place / "model", "[6e-3]")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = tmp_path / "found.json"
    words = ["fast", "--grid", str(place / "few/certified.toml"), "--root", str(tmp_path / "logs")]
    assert main([*words, "--data-dir", str(place / "few/data"), "--json", str(found)]) == 1
    told = json.loads(found.read_text())
    assert (told["verdict"], told["pairs"], told["missing"]) == ("not enough evidence", 16, 0)
    assert told["devices"]


def certificate(**changes):
    """A certificate that admits, but for some changes."""
    flips, points = np.zeros((32, 2)), np.full((32, 2), 0.01)
    points[0, 0] = 0.02
    whole = certify.Certificate(
        recipe="fast",
        pairs=64,
        configurations=32,
        missing=0,
        mean=mean_within(points),
        share=share_within(flips),
        degenerate=(1, 1),
        parts=(),
        commits=(),
        devices=(),
    )
    return replace(whole, **changes)


def test_what_is_missing_or_too_little_admits_nothing():
    assert certificate().verdict == "admitted"
    for changes in (
        {"pairs": 63},
        {"configurations": 31},
        {"missing": 1, "mean": None, "share": None},
        {"mean": mean_within(np.random.default_rng(0).normal(0, 5, (32, 2)))},
    ):
        assert certificate(**changes).verdict == "not enough evidence"
    far = mean_within(np.random.default_rng(0).normal(3, 1, (32, 2)))
    assert certificate(mean=far).verdict == "not admitted"
    # a difference that is shown needs no number of pairs
    assert certificate(mean=far, pairs=8).verdict == "not admitted"


def test_the_test_of_a_mean_is_that_of_statsmodels():
    differences = np.random.default_rng(3).normal(0.1, 1.2, (40, 2))
    found, theirs = mean_within(differences), DescrStatsW(differences.mean(axis=1))
    assert found.p == pytest.approx(theirs.ttost_mean(-0.5, 0.5)[0])
    assert (found.low, found.high) == pytest.approx(theirs.tconfint_mean(alpha=0.1))


@pytest.mark.parametrize("counts", [(3, 1), (0, 2), (5, 0), (0, 0)])
@pytest.mark.parametrize("difference", [-0.2, -0.05, 0.1, 0.3])
def test_the_statistic_of_two_shares_is_at_the_likeliest_shares_that_differ_by_so_much(
    counts, difference
):
    more, fewer, pairs = *counts, 64

    def unlikely(q):
        shares = (q + difference, q, 1 - 2 * q - difference)
        seen = (more, fewer, pairs - more - fewer)
        return -sum(n * np.log(max(p, 1e-12)) for n, p in zip(seen, shares, strict=True))

    span = (max(0.0, -difference), (1 - difference) / 2)
    q = optimize.minimize_scalar(
        unlikely, bounds=span, method="bounded", options={"xatol": 1e-10}
    ).x
    error = np.sqrt(pairs * (2 * q + difference - difference**2))
    expected = (more - fewer - pairs * difference) / error
    assert tango(more, fewer, pairs, difference) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("configurations", "seeds", "flips", "together"),
    [
        (32, 2, 0.0, 0.0),
        (32, 2, 0.0, 1.0),
        (32, 2, 0.05, 0.5),
        (64, 1, 0.0, 0.0),
        (64, 2, 0.02, 0.5),
    ],
)
def test_a_share_that_differs_by_the_margin_is_admitted_one_time_in_twenty(
    configurations, seeds, flips, together
):
    """``flips``: of pairs, in either direction; ``together``: of configurations' seeds, as one."""
    generator, tables = np.random.default_rng(5), 1000
    shares = [certify.SHARE / 100 + flips, flips, 1 - certify.SHARE / 100 - 2 * flips]
    admitted = 0
    for _ in range(tables):
        drawn = generator.choice([1, -1, 0], size=(configurations, seeds), p=shares)
        alike = generator.random(configurations) < together
        drawn[alike] = drawn[alike][:, :1]
        admitted += share_within(drawn).shown
    # 5 %, and three standard errors of so many tables
    assert admitted / tables < 0.05 + 3 * np.sqrt(0.05 * 0.95 / tables)


def test_a_flip_or_two_of_64_pairs_are_no_obstacle_and_more_are():
    flips = np.zeros((32, 2))
    for number, shown in enumerate((True, True, True, False), 0):
        flips.ravel()[: 2 * number : 2] = 1
        assert share_within(flips).shown is shown, number


def test_the_grid_has_as_many_pairs_as_are_asked_for():
    from stilt.grid import load_grid
    from stilt.study import bind

    study = bind(load_grid(str(certify.GRID)), "model", near=Path(os.curdir))
    cells = list(study.cells.values())
    seeds = {cell.hyperparameters.seed for cell in cells}
    assert len(cells) == certify.PAIRS
    assert len(cells) / len(seeds) == certify.CONFIGURATIONS

"""What the benchmarks measure is what they say; how fast anything is decides nothing here."""

import argparse
import json
import os
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from torch.utils.flop_counter import FlopCounterMode

from analysis.summarize import main as summarize
from benchmarks import gpu, scale
from benchmarks.collect_results import write_results
from launcher.status import main as status
from stilt.grid import load_grid
from stilt.study import bind
from stilt.task import load_task
from stilt.training.forward import forward
from stilt.training.runtime import make_accelerator
from tests.support.fake_study import EIGHT_CELLS, make_study


@pytest.fixture(autouse=True)
def _precision():
    """Each test chooses a precision of its own, and leaves none to others."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def test_operations_are_those_that_torch_counts():
    task = load_task("rte")
    data = gpu.made_up(task, 6, 300)
    model = gpu.encoder(task, "tiny").eval()
    # torch counts no operations of its fused attention
    model.set_attn_implementation("eager")
    head = 2 * len(data) * (32 * 32 + 32 * task.outputs)
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        for row in range(len(data)):
            forward(model, data, np.array([row]), make_accelerator("cpu"))
    assert counted.get_total_flops() == pytest.approx(gpu.operations("tiny", data) + head)


def test_made_up_rows_have_a_task_s_lengths():
    task = load_task("winogrande-xs")
    data = gpu.made_up(task, 4_000, 300)
    assert (len(data), data.options) == (4_000, 2)
    assert data.lengths.mean() == pytest.approx(task.size.tokens, rel=0.05)
    assert data.lengths.max() <= task.max_length
    assert set(np.unique(data.labels)) == {0, 1}


def test_every_recipe_task_and_batch_is_measured_without_a_gpu(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gpu, "TASKS", ("rte", "winogrande-xs"))
    monkeypatch.setattr(gpu, "BATCHES", (8,))
    monkeypatch.setattr(gpu, "WORKERS", ())
    command = ["gpu", "--device", "cpu", "--shape", "tiny", "--seconds", "0.01"]
    monkeypatch.setattr(sys, "argv", [*command, "--json", str(tmp_path / "found.json")])
    gpu.main()
    found = json.loads((tmp_path / "found.json").read_text())
    measured = {(one["recipe"], one["task"], one["batch"]) for one in found["speeds"]}
    assert measured == {
        (recipe, task, batch)
        for recipe in ("paper", "fast")
        for task in ("rte", "winogrande-xs")
        for batch in (8,)
    }
    assert all(one["train"] > 0 and one["evaluate"] > 0 for one in found["speeds"])
    assert "no CUDA graphs: the device is no GPU" in capsys.readouterr().out


def test_a_benchmark_of_a_gpu_says_that_there_is_none(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu"])
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    assert ended.value.code == 2
    assert "no GPU: torch finds none here" in capsys.readouterr().err


@pytest.mark.nightly
def test_processes_side_by_side_begin_together_and_are_summed():
    options = argparse.Namespace(device="cpu", shape="tiny", seconds=0.01)
    assert gpu.beside(2, options, {}) > 0


def test_every_command_is_measured_on_grids_of_as_many_cells_as_it_says(
    monkeypatch, tmp_path, capsys
):
    sizes = Counter()

    def cost(folder, script, *words):
        if "--grid" in words and words[1] != "paper":
            grid = load_grid(str(folder / words[1]))
            sizes[grid.name] = len(bind(grid, "model", near=folder).cells)
        return scale.Cost(1.0, 2.0, 3.0)

    def made(place, cells):
        return make_study(place / "many", grid=EIGHT_CELLS)

    monkeypatch.setattr(scale, "cost", cost)
    monkeypatch.setattr(scale, "write_results", made)
    # what main sets is put back
    for name in ("FAKE", "PATH", "STILT_CACHE", "XDG_CONFIG_HOME", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    found = tmp_path / "found.json"
    scale.main(["--planned", "200", "--cells", "100", "--rounds", "2", "--json", str(found)])
    assert sizes == {"first": 64, "large": 256, "some": 128}
    costs = json.loads(found.read_text())["costs"]
    assert {len(several) for several in costs.values()} == {2}
    assert {
        *("submit --help", "status --help", "summarize --help", "submit --grid paper --dry-run"),
        *("submit --dry-run, 256 cells", "submit, 128 cells", "status, 128 cells that wait"),
        *("status, 8 results", "summarize --no-figures, 8 results, first"),
    } <= costs.keys()
    assert "submit --dry-run, 256 cells" in capsys.readouterr().out


def test_what_a_command_took_is_that_of_the_command(tmp_path):
    took = scale.cost(tmp_path, scale.STATUS, "--help")
    assert took.processor > 0 and 10 < took.memory < 1000
    with pytest.raises(SystemExit, match="--rot"):
        scale.cost(tmp_path, scale.STATUS, "--rot", "logs")


def test_no_folder_of_hundreds_of_results_is_listed_twice_by_a_command(
    monkeypatch, tmp_path, capsys
):
    write_results(tmp_path, 576)
    listed = Counter()
    for name in ("scandir", "listdir"):
        real = getattr(os, name)

        def counted(path=".", real=real):
            listed[os.fspath(path)] += 1
            return real(path)

        monkeypatch.setattr(os, name, counted)
    words = ["many", "--root", str(tmp_path)]
    for command in (lambda: status(words), lambda: summarize([*words, "--no-figures"])):
        listed.clear()
        assert command() == 0
        inside = {path: times for path, times in listed.items() if "/results" in path}
        assert set(inside.values()) <= {1}, inside

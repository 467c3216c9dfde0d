"""What the benchmarks measure is what they say; how fast anything is decides nothing here."""

import argparse
import json
import sys

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import gpu
from stilt.task import load_task
from stilt.training.forward import forward
from stilt.training.runtime import make_accelerator


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

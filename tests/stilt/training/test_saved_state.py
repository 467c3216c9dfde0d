"""A saved state is taken up only if whole and the run's own; a full disk ends no run."""

import errno

import pytest
import torch

from stilt.system.interrupt import Interrupted, StopRequest
from stilt.training import train
from stilt.training.runtime import Runtime, make_accelerator
from stilt.training.saved_state import SavedState
from tests.support.tiny_training import encoded, fresh, point, task


@pytest.fixture
def told():
    return []


@pytest.fixture
def state(tmp_path, told):
    return SavedState(tmp_path / "state.pt", "a1", "rows", told.append)


def test_what_is_written_is_read(state, told):
    assert not state.sound()
    state.write({"weights": torch.arange(3.0), "step": 4})
    assert state.sound()
    assert state.read()["step"] == 4
    assert told == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda b: b[:-200], "cut short"),
        (lambda b: b[:300] + bytes([b[300] ^ 4]) + b[301:], "does not have its digest"),
        (lambda b: b.replace(b'"item": "a1"', b'"item": "b1"'), "its item is b1, not a1"),
        (lambda b: b.replace(b'"data": "rows"', b'"data": "none"'), "its data is none, not rows"),
    ],
)
def test_a_state_that_is_not_what_it_should_be_is_told_and_removed(state, told, change, why):
    state.write({"weights": torch.zeros(200)})
    state.path.write_bytes(change(state.path.read_bytes()))
    assert not state.sound()
    assert not state.path.exists()
    assert len(told) == 1
    assert str(state.path) in told[0]
    assert why in told[0]
    assert "it is removed, and the run begins anew" in told[0]


def interrupt(models, data, what, state, updates, chunk=None):
    """Leaves a state after some updates."""
    stop, done = StopRequest(), []

    def progress(*_):
        done.append(1)
        if len(done) == updates:
            stop.signal = 10

    runtime = Runtime(make_accelerator("cpu"), chunk=chunk, stop=stop)
    with pytest.raises(Interrupted):
        train.fit(fresh(models, what), data, what, point(), runtime, state=state, progress=progress)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_a_run_with_a_damaged_state_begins_anew_and_ends_the_same(models, runtime, state, told):
    data, what = encoded(18), task()
    whole, _, curves = train.fit(fresh(models, what), data, what, point(), runtime)
    interrupt(models, data, what, state, 3)
    content = bytearray(state.path.read_bytes())
    content[len(content) // 2] ^= 1
    state.path.write_bytes(content)
    again, _, found = train.fit(fresh(models, what), data, what, point(), runtime, state=state)
    assert "does not have its digest" in told[0]
    assert found.loss == curves.loss
    assert torch.equal(weights(whole), weights(again))


def test_what_was_begun_in_smaller_passes_says_so_at_its_end(models, runtime, state):
    data, what = encoded(18), task()
    interrupt(models, data, what, state, 3, chunk=2)
    _, schedule, curves = train.fit(fresh(models, what), data, what, point(), runtime, state=state)
    assert curves.summary(schedule, (), ()).chunk == 2


@pytest.mark.parametrize("chunk", [None, 3, 8, 100])
def test_a_run_says_how_many_examples_it_took_at_a_time(models, chunk):
    data, what = encoded(18), task(epochs=1)
    runtime = Runtime(make_accelerator("cpu"), chunk=chunk)
    _, schedule, curves = train.fit(fresh(models, what), data, what, point(), runtime)
    # batches of 8
    assert curves.summary(schedule, (), ()).chunk == (3 if chunk == 3 else 8)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_disk_that_takes_no_state_ends_no_run(models, state, told, monkeypatch, number):
    data, what = encoded(18), task()
    runtime = Runtime(make_accelerator("cpu"), checkpoint_seconds=0.0)
    whole, _, curves = train.fit(fresh(models, what), data, what, point(), runtime)

    def full(*_, **__):
        raise OSError(number, "made up")

    monkeypatch.setattr("stilt.training.saved_state.torch.save", full)
    again, _, found = train.fit(fresh(models, what), data, what, point(), runtime, state=state)
    assert found.loss == curves.loss
    assert torch.equal(weights(whole), weights(again))
    assert len(told) == len(curves.loss)
    assert told[0].startswith("disk: ")
    assert "the run goes on" in told[0]

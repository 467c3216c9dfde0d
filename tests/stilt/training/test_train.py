"""The paper's recipe to the letter, and that no shortcut changes its mathematics."""

import math
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.nn import functional

from stilt.system.interrupt import Interrupted, StopRequest
from stilt.training import train
from stilt.training.curves import Diverged
from stilt.training.forward import forward, predict, split_by_length
from stilt.training.runtime import Runtime, make_accelerator
from stilt.training.saved_state import SavedState
from tests.support.tiny_training import ALONE, encoded, fresh, point, task


class Recorder(torch.optim.AdamW):
    """AdamW that notes what it is given."""

    made: ClassVar = []

    def __init__(self, parameters, **settings):
        super().__init__(parameters, **settings)
        self.settings, self.rates, self.norms, self.grads = settings, [], [], []
        Recorder.made.append(self)

    def step(self, *args, **kwargs):
        self.rates.append(self.param_groups[0]["lr"])
        grads = [
            p.grad for group in self.param_groups for p in group["params"] if p.grad is not None
        ]
        self.norms.append(float(torch.stack([g.norm() for g in grads]).norm()))
        self.grads.append([g.clone() for g in grads])
        return super().step(*args, **kwargs)


@pytest.fixture
def recorder(monkeypatch):
    Recorder.made = []
    monkeypatch.setattr(torch.optim, "AdamW", Recorder)
    return Recorder


def test_optimizer_schedule_and_clipping_are_the_papers(models, runtime, recorder):
    data, what = encoded(), task()
    _, schedule, curves = train.fit(fresh(models, what), data, what, point(), runtime)
    (optimizer,) = recorder.made
    assert optimizer.settings["betas"] == (0.9, 0.999)
    assert optimizer.settings["eps"] == 1e-8
    assert optimizer.settings["weight_decay"] == 0.0
    # 21 rows in batches of 8: 3 updates an epoch, 2 epochs; int(0.2 * 6) = 1 update of warmup
    assert (schedule.total, schedule.warmup, len(optimizer.rates)) == (6, 1, 6)
    assert optimizer.rates == pytest.approx([0.0, 1e-3, 8e-4, 6e-4, 4e-4, 2e-4])
    assert max(optimizer.norms) <= 1.0 + 1e-5
    assert len(curves.loss) == len(curves.norm) == 6


def test_clipping_binds_when_gradients_are_large(models, runtime, recorder):
    data, what = encoded(), task()
    model = fresh(models, what)
    with torch.no_grad():
        model.classifier.out_proj.weight.mul_(200)
    _, _, curves = train.fit(model, data, what, point(warmup_ratio=0.0), runtime)
    assert max(curves.norm) > 1.0
    assert max(recorder.made[0].norms) == pytest.approx(1.0, abs=1e-3)


def test_accumulation_clips_partial_sums_and_leaks_the_leftover_as_released(models, runtime):
    # 18 rows in micro-batches of 4: 5 of them, updates after the 2nd and 4th; the 5th's gradient
    # is neither stepped nor cleared, and goes into the next epoch's first update
    data, what = encoded(18), task(micro_batch=4, epochs=2)
    model, schedule, _ = train.fit(
        fresh(models, what, dropout=False), data, what, point(warmup_ratio=0.0), runtime
    )
    assert (schedule.accumulation, schedule.total) == (2, 4)

    def released(*, leak):
        twin = fresh(models, what, dropout=False).train()
        optimizer = torch.optim.AdamW(twin.parameters(), lr=1e-3, eps=1e-8, weight_decay=0.0)
        order = torch.Generator().manual_seed(12)
        updates = 0
        for _ in range(2):
            permutation = torch.randperm(18, generator=order).numpy()
            for step in range(5):
                rows = permutation[step * 4 : (step + 1) * 4]
                logits, _ = forward(twin, data, rows, ALONE.accelerator)
                loss = functional.cross_entropy(logits, torch.from_numpy(data.labels[rows]))
                (loss / 2).backward()
                torch.nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
                if step % 2 == 1:
                    optimizer.param_groups[0]["lr"] = 1e-3 * (4 - updates) / 4
                    optimizer.step()
                    optimizer.zero_grad()
                    updates += 1
            if not leak:
                optimizer.zero_grad()
        return torch.cat([p.detach().flatten() for p in twin.parameters()])

    mine = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert torch.allclose(mine, released(leak=True), atol=2e-5)
    assert not torch.allclose(mine, released(leak=False), atol=2e-5)


def test_memory_chunks_change_no_gradient(models, recorder):
    data, what = encoded(options=3), task(3, epochs=1)
    for chunk in (None, 3, 1):
        runtime = Runtime(make_accelerator("cpu"), chunk=chunk)
        train.fit(fresh(models, what, dropout=False), data, what, point(), runtime)
    whole, *chunked = recorder.made
    for optimizer in chunked:
        # the first update has rate 0, so the second one sees the same weights as well
        for update in (0, 1):
            for mine, theirs in zip(optimizer.grads[update], whole.grads[update], strict=True):
                assert torch.allclose(mine, theirs, atol=1e-6)


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(models, runtime):
    data, what = encoded(), task()

    def run(**changes):
        model, _, _ = train.fit(fresh(models, what), data, what, point(**changes), runtime)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(run(), run())
    assert not torch.equal(run(), run(seed=13))
    assert not torch.equal(run(), run(order_seed=13))
    assert torch.equal(run(), run(order_seed=12))


def test_scoring_after_every_epoch_changes_nothing(models, runtime):
    data, what = encoded(), task()
    plain, _, _ = train.fit(fresh(models, what), data, what, point(), runtime)

    def score(model):
        torch.rand(7)
        predict(model, data, ALONE)
        return 0.5

    scored, _, curves = train.fit(
        fresh(models, what), data, what, point(), runtime, after_epoch=score
    )
    assert [p.epoch for p in curves.epochs] == [1, 2]
    for mine, theirs in zip(plain.parameters(), scored.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("stop_after", [1, 3, 4])
def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(
    models, tmp_path, stop_after
):
    data, what = encoded(18), task(micro_batch=4)
    accelerator = make_accelerator("cpu")
    whole, _, curves = train.fit(fresh(models, what), data, what, point(), Runtime(accelerator))
    stop, state, updates = StopRequest(), SavedState(tmp_path / "state.pt", "cell", "rows"), []

    def progress(done, total):
        updates.append(done)
        if len(updates) == stop_after:
            stop.signal = 10

    with pytest.raises(Interrupted):
        train.fit(
            fresh(models, what),
            data,
            what,
            point(),
            Runtime(accelerator, stop=stop),
            state=state,
            progress=progress,
        )
    assert state.path.is_file()
    torch.manual_seed(999)
    resumed, _, again = train.fit(
        fresh(models, what), data, what, point(), Runtime(accelerator), state=state
    )
    assert again.loss == curves.loss
    for mine, theirs in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_non_finite_loss_ends_the_run_as_diverged(models, runtime):
    data, what = encoded(), task()
    model = fresh(models, what)
    with torch.no_grad():
        model.classifier.out_proj.bias.fill_(math.nan)
    with pytest.raises(Diverged) as diverged:
        train.fit(model, data, what, point(), runtime)
    curves, schedule = diverged.value.args
    summary = curves.summary(schedule, (), ())
    assert summary.final_loss is None
    assert summary.updates < schedule.total


def test_training_learns_what_can_be_learnt(models, runtime):
    data, what = encoded(40), task(epochs=20)
    data.labels[:] = np.arange(40) % 2
    data.ids[data.offsets[:-1] + 1] = 50 + 60 * data.labels
    model, _, curves = train.fit(fresh(models, what), data, what, point(warmup_ratio=0.0), runtime)
    predicted = predict(model, data, ALONE).argmax(axis=1)
    assert np.mean(predicted == data.labels) > 0.9
    assert np.median(curves.loss[-10:]) < 0.5


def test_tokens_real_and_computed_are_counted(models, runtime):
    data, what = encoded(), task()
    _, _, curves = train.fit(fresh(models, what), data, what, point(), runtime)
    assert curves.real == 2 * data.lengths.sum()
    assert curves.real <= curves.computed < 2 * len(data) * data.lengths.max()
    assert all(len(group) for group in split_by_length(data.lengths, 64))


def test_the_fast_recipe_keeps_weights_and_optimizer_in_full_precision(models, fast, tmp_path):
    data, what = encoded(18), task()
    stop, state, updates = StopRequest(), SavedState(tmp_path / "state.pt", "cell", "rows"), []

    def progress(done, total):
        updates.append(done)
        if len(updates) == 3:
            stop.signal = 10

    whole, _, curves = train.fit(fresh(models, what), data, what, point(), Runtime(fast))
    with pytest.raises(Interrupted):
        train.fit(
            fresh(models, what), data, what, point(), Runtime(fast, stop=stop),
            state=state, progress=progress,
        )  # fmt: skip
    saved = state.read()
    moments = [m for kept in saved["optimizer"]["state"].values() for m in kept.values()]
    assert {t.dtype for t in [*saved["model"].values(), *moments]} == {torch.float32}
    again, _, resumed = train.fit(
        fresh(models, what), data, what, point(), Runtime(fast), state=state
    )
    assert resumed.loss == curves.loss
    assert all(map(torch.equal, again.parameters(), whole.parameters()))

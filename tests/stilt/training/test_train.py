"""The paper's recipe to the letter, and that no shortcut changes its mathematics."""

import math
from typing import ClassVar

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from torch.nn import functional
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    XLNetConfig,
    XLNetForSequenceClassification,
)

from stilt.cell import Hyperparameters
from stilt.data.encode import Encoded
from stilt.errors import ConfigError
from stilt.model.build import ModelShelf, build
from stilt.model.place import ModelPlace
from stilt.system.interrupt import Interrupted, StopRequest
from stilt.task import Task
from stilt.training import length_groups, train
from stilt.training.curves import Diverged
from stilt.training.forward import PASS_OVERHEAD, forward, pad, predict, require_padding_invariance
from stilt.training.runtime import Runtime, make_accelerator
from stilt.training.team import Team

COMMON = {"max_length": 60, "data": [{"train": "a", "dev": "b"}], "title": "t"}
ALONE = Team(make_accelerator("cpu"))


def task(options=1, **more):
    kind = (
        {"kind": "multiple-choice", "text_a": "{a}", "choices": ["{b}"] * options}
        if options > 1
        else {"kind": "classification", "text_a": "{a}"}
    )
    labels = [str(i) for i in range(max(2, options))]
    return Task(**{"name": "t", "epochs": 2, "labels": labels, **kind, **COMMON, **more})


def encoded(rows=21, options=1, seed=0):
    random = np.random.default_rng(seed)
    lengths = random.integers(3, 60, rows * options)
    ids = random.integers(5, 200, lengths.sum()).astype(np.int32)
    offsets = np.cumsum([0, *lengths])
    ids[offsets[:-1]] = 0
    return Encoded(
        ids=ids,
        types=np.array([], np.int8),
        offsets=offsets,
        labels=random.integers(0, max(2, options), rows),
    )


def point(**changes):
    values = {"learning_rate": 1e-3, "batch_size": 8, "warmup_ratio": 0.2, "seed": 12}
    return Hyperparameters(**{**values, **changes})


@pytest.fixture(scope="module")
def shelf(roberta):
    return ModelShelf(ModelPlace(str(roberta)))


@pytest.fixture
def runtime():
    return Runtime(make_accelerator("cpu"))


@pytest.fixture
def fast():
    """The accelerator of the recipe ``fast``; a process has one precision at a time."""
    AcceleratorState._reset_state()
    yield make_accelerator("cpu", "fast")
    AcceleratorState._reset_state()
    make_accelerator("cpu")


def fresh(shelf, task, *, dropout=True):
    model = build(shelf.start(task, None, "keep"), 3)
    if not dropout:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            if hasattr(module, "dropout_prob"):
                module.dropout_prob = 0.0
        model.config.attention_probs_dropout_prob = 0.0
    return model


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


def test_optimizer_schedule_and_clipping_are_the_papers(shelf, runtime, recorder):
    data, what = encoded(), task()
    _, schedule, curves = train.fit(fresh(shelf, what), data, what, point(), runtime)
    (optimizer,) = recorder.made
    assert optimizer.settings["betas"] == (0.9, 0.999)
    assert optimizer.settings["eps"] == 1e-8
    assert optimizer.settings["weight_decay"] == 0.0
    # 21 rows in batches of 8: 3 updates an epoch, 2 epochs; int(0.2 * 6) = 1 update of warmup
    assert (schedule.total, schedule.warmup, len(optimizer.rates)) == (6, 1, 6)
    assert optimizer.rates == pytest.approx([0.0, 1e-3, 8e-4, 6e-4, 4e-4, 2e-4])
    assert max(optimizer.norms) <= 1.0 + 1e-5
    assert len(curves.loss) == len(curves.norm) == 6


def test_clipping_binds_when_gradients_are_large(shelf, runtime, recorder):
    data, what = encoded(), task()
    model = fresh(shelf, what)
    with torch.no_grad():
        model.classifier.out_proj.weight.mul_(200)
    _, _, curves = train.fit(model, data, what, point(warmup_ratio=0.0), runtime)
    assert max(curves.norm) > 1.0
    assert max(recorder.made[0].norms) == pytest.approx(1.0, abs=1e-3)


def test_accumulation_clips_partial_sums_and_leaks_the_leftover_as_released(shelf, runtime):
    # 18 rows in micro-batches of 4: 5 of them, updates after the 2nd and 4th; the 5th's gradient
    # is neither stepped nor cleared, and goes into the next epoch's first update
    data, what = encoded(18), task(micro_batch=4, epochs=2)
    model, schedule, _ = train.fit(
        fresh(shelf, what, dropout=False), data, what, point(warmup_ratio=0.0), runtime
    )
    assert (schedule.accumulation, schedule.total) == (2, 4)

    def released(*, leak):
        twin = fresh(shelf, what, dropout=False).train()
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


@pytest.mark.parametrize("options", [1, 3])
def test_grouping_by_length_gives_the_padded_batchs_logits_and_gradients(
    shelf, monkeypatch, options
):
    data, what = encoded(options=options), task(options)
    rows = np.arange(12)
    labels = torch.from_numpy(data.labels[rows])
    found = []
    for overhead in (0.0, 40.0, math.inf):
        monkeypatch.setitem(PASS_OVERHEAD, "cpu", overhead)
        model = fresh(shelf, what, dropout=False).train()
        logits, computed = forward(model, data, rows, ALONE.accelerator)
        functional.cross_entropy(logits, labels).backward()
        grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        found.append((logits.detach(), grads, computed))
    padded = found[-1]
    assert found[0][2] < padded[2], "grouping computes fewer positions"
    for logits, grads, _ in found[:-1]:
        assert torch.allclose(logits, padded[0], atol=1e-6)
        assert grads.keys() == padded[1].keys()
        for name, gradient in grads.items():
            assert torch.allclose(gradient, padded[1][name], atol=1e-6), name


def test_a_plain_padded_batch_through_the_library_gives_the_same_logits(shelf):
    data, what = encoded(6, options=3), task(3)
    model = fresh(shelf, what).eval()
    batch = pad(data, np.arange(18), 1, ALONE.accelerator.device)
    plain = model(**{key: value.view(6, 3, -1) for key, value in batch.items()}).logits
    assert torch.allclose(
        forward(model, data, np.arange(6), ALONE.accelerator)[0], plain, atol=1e-6
    )


def test_memory_chunks_change_no_gradient(shelf, recorder):
    data, what = encoded(options=3), task(3, epochs=1)
    for chunk in (None, 3, 1):
        runtime = Runtime(make_accelerator("cpu"), chunk=chunk)
        train.fit(fresh(shelf, what, dropout=False), data, what, point(), runtime)
    whole, *chunked = recorder.made
    for optimizer in chunked:
        # the first update has rate 0, so the second one sees the same weights as well
        for update in (0, 1):
            for mine, theirs in zip(optimizer.grads[update], whole.grads[update], strict=True):
                assert torch.allclose(mine, theirs, atol=1e-6)


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(shelf, runtime):
    data, what = encoded(), task()

    def run(**changes):
        model, _, _ = train.fit(fresh(shelf, what), data, what, point(**changes), runtime)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(run(), run())
    assert not torch.equal(run(), run(seed=13))
    assert not torch.equal(run(), run(order_seed=13))
    assert torch.equal(run(), run(order_seed=12))


def test_scoring_after_every_epoch_changes_nothing(shelf, runtime):
    data, what = encoded(), task()
    plain, _, _ = train.fit(fresh(shelf, what), data, what, point(), runtime)

    def score(model):
        torch.rand(7)
        predict(model, data, ALONE)
        return 0.5

    scored, _, curves = train.fit(
        fresh(shelf, what), data, what, point(), runtime, after_epoch=score
    )
    assert [p.epoch for p in curves.epochs] == [1, 2]
    for mine, theirs in zip(plain.parameters(), scored.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("stop_after", [1, 3, 4])
def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(shelf, tmp_path, stop_after):
    data, what = encoded(18), task(micro_batch=4)
    accelerator = make_accelerator("cpu")
    whole, _, curves = train.fit(fresh(shelf, what), data, what, point(), Runtime(accelerator))
    stop, state, updates = StopRequest(), tmp_path / "state.pt", []

    def progress(done, total):
        updates.append(done)
        if len(updates) == stop_after:
            stop.signal = 10

    with pytest.raises(Interrupted):
        train.fit(
            fresh(shelf, what),
            data,
            what,
            point(),
            Runtime(accelerator, stop=stop),
            state=state,
            progress=progress,
        )
    assert state.is_file()
    torch.manual_seed(999)
    resumed, _, again = train.fit(
        fresh(shelf, what), data, what, point(), Runtime(accelerator), state=state
    )
    assert not state.exists()
    assert again.loss == curves.loss
    for mine, theirs in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_non_finite_loss_ends_the_run_as_diverged(shelf, runtime):
    data, what = encoded(), task()
    model = fresh(shelf, what)
    with torch.no_grad():
        model.classifier.out_proj.bias.fill_(math.nan)
    with pytest.raises(Diverged) as diverged:
        train.fit(model, data, what, point(), runtime)
    curves, schedule = diverged.value.args
    summary = curves.summary(schedule, (), ())
    assert summary.final_loss is None
    assert summary.updates < schedule.total


def test_training_learns_what_can_be_learnt(shelf, runtime):
    data, what = encoded(40), task(epochs=20)
    data.labels[:] = np.arange(40) % 2
    data.ids[data.offsets[:-1] + 1] = 50 + 60 * data.labels
    model, _, curves = train.fit(fresh(shelf, what), data, what, point(warmup_ratio=0.0), runtime)
    predicted = predict(model, data, ALONE).argmax(axis=1)
    assert np.mean(predicted == data.labels) > 0.9
    assert np.median(curves.loss[-10:]) < 0.5


def test_predictions_do_not_depend_on_the_company_an_example_keeps(shelf):
    data, what = encoded(17, options=3), task(3)
    model = fresh(shelf, what)
    together = predict(model, data, ALONE)
    alone = np.concatenate(
        [
            forward(model.eval(), data, np.array([i]), ALONE.accelerator)[0].detach()
            for i in range(17)
        ]
    )
    assert together.shape == (17, 3)
    assert np.allclose(together, alone, atol=1e-6)


def test_tokens_real_and_computed_are_counted(shelf, runtime):
    data, what = encoded(), task()
    _, _, curves = train.fit(fresh(shelf, what), data, what, point(), runtime)
    assert curves.real == 2 * data.lengths.sum()
    assert curves.real <= curves.computed < 2 * len(data) * data.lengths.max()
    assert all(len(group) for group in length_groups.split_by_length(data.lengths, 64))


def test_the_fast_recipe_computes_nearly_the_same_in_half_the_bits(shelf, fast):
    data, what = encoded(12), task()
    model = fresh(shelf, what, dropout=False)
    labels = torch.from_numpy(data.labels)

    def step(accelerator):
        model.zero_grad()
        logits, _ = forward(model, data, np.arange(12), accelerator)
        functional.cross_entropy(logits, labels).backward()
        return logits.detach(), torch.cat([p.grad.flatten() for p in model.parameters()])

    logits, gradient = step(fast)
    assert logits.dtype == gradient.dtype == torch.float32
    AcceleratorState._reset_state()
    plain_logits, plain_gradient = step(make_accelerator("cpu"))
    assert not torch.equal(logits, plain_logits)
    assert torch.allclose(logits, plain_logits, atol=0.02)
    assert functional.cosine_similarity(gradient, plain_gradient, dim=0) > 0.99


def test_the_fast_recipe_keeps_weights_and_optimizer_in_full_precision(shelf, fast, tmp_path):
    data, what = encoded(18), task()
    stop, state, updates = StopRequest(), tmp_path / "state.pt", []

    def progress(done, total):
        updates.append(done)
        if len(updates) == 3:
            stop.signal = 10

    whole, _, curves = train.fit(fresh(shelf, what), data, what, point(), Runtime(fast))
    with pytest.raises(Interrupted):
        train.fit(
            fresh(shelf, what), data, what, point(), Runtime(fast, stop=stop),
            state=state, progress=progress,
        )  # fmt: skip
    saved = torch.load(state, weights_only=True)
    moments = [m for kept in saved["optimizer"]["state"].values() for m in kept.values()]
    assert {t.dtype for t in [*saved["model"].values(), *moments]} == {torch.float32}
    again, _, resumed = train.fit(
        fresh(shelf, what), data, what, point(), Runtime(fast), state=state
    )
    assert resumed.loss == curves.loss
    assert all(map(torch.equal, again.parameters(), whole.parameters()))


def test_the_fast_recipe_is_refused_where_the_gpu_lacks_it(monkeypatch):
    monkeypatch.setattr(train, "is_bf16_available", lambda: False)
    with pytest.raises(ConfigError, match=r"recipe 'fast' computes in bfloat16, which .+ lacks"):
        make_accelerator("auto", "fast")


TINY = {"vocab_size": 300, "num_labels": 2}
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
XLNET = XLNetConfig(**TINY, d_model=16, n_layer=2, n_head=2, d_inner=32)
GPT2 = GPT2Config(**TINY, n_embd=16, n_layer=2, n_head=2)


def test_a_model_that_masks_padding_is_taken():
    config = BertConfig(**TINY, **SIZES, intermediate_size=32)
    require_padding_invariance(BertForSequenceClassification(config), encoded(), "bert")
    GPT2.pad_token_id = 1
    require_padding_invariance(GPT2ForSequenceClassification(GPT2), encoded(), "gpt2")


def test_a_model_whose_logits_depend_on_padding_is_refused():
    with pytest.raises(ConfigError, match=r"model xlnet .* change with the padding behind it"):
        require_padding_invariance(XLNetForSequenceClassification(XLNET), encoded(), "xlnet")


def test_a_model_that_knows_no_padding_is_refused():
    GPT2.pad_token_id = None
    with pytest.raises(ConfigError, match=r"model gpt2: cannot be given padded .* padding token"):
        require_padding_invariance(GPT2ForSequenceClassification(GPT2), encoded(), "gpt2")

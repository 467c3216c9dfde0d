"""What is carried from a start model and what is fresh, by name (upstream.md section 3)."""

import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from stilt.errors import ConfigError, ModelError
from stilt.model.build import StartModels, build, load_start, save
from stilt.model.place import ModelPlace
from stilt.task import Task

COMMON = {"max_length": 40, "epochs": 1, "data": [{"train": "a", "dev": "b"}], "title": "t"}
CHOICE = Task(
    name="mc",
    kind="multiple-choice",
    text_a="{a}",
    choices=("{b}", "{c}"),
    labels=("0", "1"),
    **COMMON,
)
TWO = Task(name="two", kind="classification", text_a="{a}", labels=("0", "1"), **COMMON)
THREE = Task(name="three", kind="classification", text_a="{a}", labels=("0", "1", "2"), **COMMON)

POOLER = {"roberta.pooler.dense.weight", "roberta.pooler.dense.bias"}
CHOICE_HEAD = {"classifier.weight", "classifier.bias"}
CLASS_HEAD = {
    f"classifier.{part}.{kind}" for part in ("dense", "out_proj") for kind in ("weight", "bias")
}
OUT = {"classifier.out_proj.weight", "classifier.out_proj.bias"}


@pytest.fixture
def models(roberta):
    return StartModels(ModelPlace(str(roberta)))


@pytest.fixture
def trained(models, tmp_path):
    """Checkpoints of "trained" sources: every weight moved away from where it started."""

    def make(task):
        model = build(models.start(task, None, "keep"), 1)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.5)
        save(model, models.tokenizer, tmp_path / task.name)
        return tmp_path / task.name, dict(model.named_parameters())

    return make


@pytest.mark.parametrize(
    ("source", "target", "fresh"),
    [
        (None, CHOICE, POOLER | CHOICE_HEAD),
        (None, TWO, CLASS_HEAD),
        (CHOICE, CHOICE, set()),
        (CHOICE, TWO, CLASS_HEAD),
        (TWO, TWO, set()),
        (TWO, THREE, OUT),
        (TWO, CHOICE, POOLER | CHOICE_HEAD),
    ],
    ids=lambda value: getattr(value, "name", None) if not isinstance(value, set) else "",
)
def test_what_is_fresh_is_known_by_name_and_the_rest_is_the_sources(
    models, trained, source, target, fresh
):
    path, weights = trained(source) if source else (None, {})
    start = models.start(target, path, "keep")
    assert set(start.fresh) == fresh
    for name, parameter in start.model.named_parameters():
        if weights and name not in fresh:
            assert torch.equal(parameter, weights[name]), name


def test_head_reset_takes_only_the_encoder_from_the_source(models, trained):
    path, weights = trained(CHOICE)
    none = dict(models.start(CHOICE, None, "keep").model.named_parameters())
    start = models.start(CHOICE, path, "reset")
    assert set(start.fresh) == POOLER | CHOICE_HEAD
    assert "roberta.encoder.layer.0.output.dense.weight" in start.carried
    for name, parameter in start.model.named_parameters():
        assert torch.equal(parameter, none[name] if name in start.fresh else weights[name]), name


def test_fresh_weights_depend_on_their_seed_alone(models):
    start = models.start(CHOICE, None, "keep")
    one = build(start, 12)
    torch.manual_seed(77)
    again, other = build(start, 12), build(start, 42)
    for name in POOLER | CHOICE_HEAD:
        same, different = dict(again.named_parameters())[name], dict(other.named_parameters())[name]
        mine = dict(one.named_parameters())[name]
        assert torch.equal(mine, same)
        assert name.endswith("bias") or not torch.equal(mine, different)
    assert torch.equal(one.classifier.bias, torch.zeros(1))
    spread = one.roberta.pooler.dense.weight.detach().std().item()
    assert 0.017 < spread < 0.023


def test_building_leaves_the_start_model_as_it_was(models):
    start = models.start(CHOICE, None, "keep")
    before = {name: p.clone() for name, p in start.model.named_parameters()}
    with torch.no_grad():
        for parameter in build(start, 1).parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], p) for name, p in start.model.named_parameters())


def test_a_half_precision_checkpoint_is_trained_in_fp32(models, trained, tmp_path):
    path, _ = trained(CHOICE)
    model = build(models.start(CHOICE, path, "keep"), 1).to(torch.bfloat16)
    save(model, models.tokenizer, tmp_path / "half")
    # a colleague of the group trains from it, too
    assert all(path.stat().st_mode & 0o044 for path in (tmp_path / "half").iterdir())
    start = models.start(CHOICE, tmp_path / "half", "keep")
    assert {parameter.dtype for parameter in start.model.parameters()} == {torch.float32}


def test_a_model_refuses_too_long_a_task_before_it_is_built(models):
    with pytest.raises(ConfigError, match="the model has 128 positions"):
        models.start(TWO.model_copy(update={"max_length": 200}), None, "keep")


def without(weights, part):
    return {name: value for name, value in weights.items() if part not in name}


def prefixed(weights, prefix):
    return {prefix + name: value for name, value in weights.items()}


def bare(weights):
    """As a model without a head is saved."""
    inside = {name: value for name, value in weights.items() if name.startswith("roberta.")}
    return {name.removeprefix("roberta."): value for name, value in inside.items()}


@pytest.fixture
def other(roberta, tmp_path):
    """Makes a copy of the model with its weights changed, or fields of its config."""

    def make(change, **fields):
        folder = shutil.copytree(roberta, tmp_path / "other")
        weights = change(load_file(roberta / "model.safetensors"))
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | fields))
        return StartModels(ModelPlace(str(folder)))

    return make


@pytest.mark.parametrize("inner", [dict, bare])
@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "model.", "module._orig_mod.", "0.auto_model."]
)
def test_what_wrappers_put_before_the_names_of_weights_is_taken_off(models, other, prefix, inner):
    start = other(lambda weights: prefixed(inner(weights), prefix)).start(CHOICE, None, "keep")
    assert start.wrapper == prefix
    usual = models.start(CHOICE, None, "keep")
    theirs = dict(usual.model.named_parameters())
    assert set(start.fresh) == POOLER | CHOICE_HEAD
    for name, parameter in start.model.named_parameters():
        if name not in start.fresh:
            assert torch.equal(parameter, theirs[name]), name


MISFITS = {
    "another prefix": (lambda weights: prefixed(weights, "net."), {}, "roberta.embeddings"),
    "another type": (
        lambda weights: {name.replace("roberta.", "bert."): w for name, w in weights.items()},
        {},
        r"lack, .* and 34 more; they hold bert\.embeddings",
    ),
    "a missing layer": (
        lambda weights: without(weights, "layer.1."),
        {},
        r"roberta\.encoder\.layer\.1\.attention\.self\.query\.weight.* and 13 more",
    ),
    "one missing vector": (
        lambda weights: without(weights, "layer.1.output.LayerNorm.bias"),
        {},
        r"lack, or have in another shape, roberta\.encoder\.layer\.1\.output\.LayerNorm\.bias\.",
    ),
    "more layers wanted": (dict, {"num_hidden_layers": 3}, r"roberta\.encoder\.layer\.2\."),
    "another vocabulary": (dict, {"vocab_size": 399}, r"embeddings\.word_embeddings\.weight"),
}


@pytest.mark.parametrize("misfit", MISFITS)
@pytest.mark.parametrize("task", [CHOICE, TWO], ids=lambda task: task.name)
def test_an_encoder_is_never_trained_from_random_weights(other, misfit, task):
    change, fields, said = MISFITS[misfit]
    with pytest.raises(ModelError, match=r"its weights do not fit its config\.json") as refused:
        other(change, **fields).start(task, None, "keep")
    assert re.search(said, str(refused.value))


def test_weights_that_cannot_be_read_are_one_clear_line(roberta, tmp_path):
    folder = shutil.copytree(roberta, tmp_path / "other")
    (folder / "model.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(ModelError, match=r"cannot be loaded \(.+\)\. Run python launcher/stage"):
        StartModels(ModelPlace(str(folder))).start(CHOICE, None, "keep")


@pytest.mark.parametrize("kind", ["gpt2", "t5", "deberta", "bart"])
def test_a_type_of_model_without_a_head_is_refused_with_the_reason(kind, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(ModelError, match=rf"\({kind}\): transformers has no multiple-choice head"):
        load_start(None, ModelPlace(str(tmp_path)))

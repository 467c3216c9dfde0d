"""A grid's [synthesis] table."""

import pytest

from stilt.errors import ConfigError
from stilt.grid import Synthesis, load_grid


def grid_with(tmp_path, synthesis):
    path = tmp_path / "g.toml"
    path.write_text(
        'sources = ["none"]\ntargets = ["rte"]\nlearning_rate = [1e-5]\nbatch_size = [8]\n'
        f'warmup_ratio = [0.0]\nseed = [1]\n[model]\npath = "x"\n[synthesis]\n{synthesis}\n'
    )
    return load_grid(str(path)).synthesis


def test_the_default_text_and_generator_are_pinned(tmp_path):
    spec = grid_with(tmp_path, "")
    assert spec == Synthesis()
    assert spec.text == "hub:wikimedia/wikipedia"
    assert len(spec.text_revision or "") == len(spec.generator.revision or "") == 40


def test_another_text_does_not_inherit_the_default_texts_revision(tmp_path):
    spec = grid_with(tmp_path, 'text = "x.txt"')
    assert (spec.text_revision, spec.text_config) == (None, None)


@pytest.mark.parametrize(
    ("synthesis", "message"),
    [
        ('text = "hub:org/texts"', "a text of the Hub needs 'text_revision'"),
        ('text = "wheel:name"', "a wheel's text is named 'wheel:NAME/PATH/OF/FILE'"),
        ("top_p = 0", "field 'synthesis.top_p' = 0"),
        ("sentences = 0", "field 'synthesis.sentences' = 0"),
    ],
)
def test_a_wrong_synthesis_table_is_refused(tmp_path, synthesis, message):
    with pytest.raises(ConfigError, match=message):
        grid_with(tmp_path, synthesis)

"""A run is found by the start of its id; one that two studies have, by the study too."""

import pytest

from launcher.study.lookup import find_run
from stilt.errors import ConfigError
from tests.support.fake_study import TINY, make_study


def test_a_whole_id_that_two_studies_have_asks_for_the_study(tmp_path):
    study = make_study(tmp_path / "one", grid=TINY)
    make_study(tmp_path / "two", grid=TINY)
    cell = next(iter(study.cells))
    for text in (cell, "hellaswag"):
        with pytest.raises(ConfigError) as caught:
            find_run(text, None, tmp_path)
        assert str(caught.value) == (
            f"{text!r} is in 2 studies. Name one: --study {tmp_path}/one or --study {tmp_path}/two."
        )
    assert find_run(cell, "two", tmp_path).folder.path == tmp_path / "two"

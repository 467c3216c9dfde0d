"""A run is found by the start of its id; of two studies that have it, by the study too."""

import pytest

from launcher.study.lookup import find_runs
from stilt.errors import ConfigError
from tests.support.fake_study import TINY, make_study


def test_a_run_that_two_studies_have_is_found_in_both(tmp_path):
    study = make_study(tmp_path / "one", grid=TINY)
    make_study(tmp_path / "two", grid=TINY)
    cell, source = next(iter(study.cells)), next(iter(study.sources))
    for text, item in ((cell, cell), (cell[:8], cell), ("hellaswag", source)):
        found = find_runs(text, None, tmp_path)
        assert [one.folder.path for one in found] == [tmp_path / "one", tmp_path / "two"]
        assert {one.run.id for one in found} == {item}
        for name in ("two", str(tmp_path / "two")):
            for there in (
                find_runs(f"{name}/{text}", None, tmp_path),
                find_runs(text, name, tmp_path),
            ):
                assert [one.folder.path for one in there] == [tmp_path / "two"]


def test_a_name_that_stands_for_two_sources_asks_for_the_study(tmp_path):
    make_study(tmp_path / "one", grid=TINY)
    make_study(tmp_path / "two", grid=TINY | {"source": {"learning_rate": 2e-5}})
    with pytest.raises(ConfigError) as caught:
        find_runs("hellaswag", None, tmp_path)
    assert str(caught.value) == (
        f"'hellaswag' is in 2 studies. Name one: {tmp_path}/one/hellaswag or "
        f"{tmp_path}/two/hellaswag."
    )
    (found,) = find_runs("two/hellaswag", None, tmp_path)
    assert found.folder.path == tmp_path / "two"


def test_a_study_that_is_not_there_is_told(tmp_path):
    make_study(tmp_path / "one", grid=TINY)
    with pytest.raises(ConfigError, match=r"unknown study 'on'\. Did you mean 'one'"):
        find_runs("on/hellaswag", None, tmp_path)

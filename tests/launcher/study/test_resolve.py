"""A command line's study: its data and its model are looked at before anything is submitted."""

from dataclasses import replace

import pytest

from launcher.study.resolve import ResolvedStudy, check_data
from stilt.errors import DataError
from stilt.folder import StudyFolder
from stilt.grid import load_grid
from stilt.study import bind


def test_a_source_of_more_rows_than_there_are_is_told_before_anything_is_submitted(own_study):
    grid = own_study / "own.toml"
    grid.write_text(
        grid.read_text().replace('"endings"]', '{task = "endings", train_size = 99}]', 1)
    )
    study = bind(load_grid(str(grid)), "model", near=own_study)
    folder = StudyFolder(own_study / "study")
    resolved = ResolvedStudy(study, folder, None, own_study / "data", own_study / "cache")
    with pytest.raises(
        DataError, match=r"train\.jsonl: train_size or dev_size = 99, but there are"
    ):
        check_data(resolved)
    grid.write_text(grid.read_text().replace("99", "9"))
    study = bind(load_grid(str(grid)), "model", near=own_study)
    found = check_data(replace(resolved, study=study))
    assert {name: size.train for name, (_, size) in found.items()} == {"endings": 24, "pairs": 24}

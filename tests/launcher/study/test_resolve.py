"""A command line's study: its data and its model are looked at before anything is submitted."""

from dataclasses import replace

import pytest

from launcher.flags import Places
from launcher.study.growth import Asked
from launcher.study.resolve import (
    ResolvedStudy,
    begin,
    check_data,
    resolve_study,
    show_oddities,
)
from launcher.submit import main as submit
from stilt.data.oddities import kept_oddities
from stilt.errors import DataError
from stilt.folder import StudyFolder
from stilt.grid import load_grid
from stilt.study import bind
from stilt.system.console import Output


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


def test_what_is_odd_in_a_submits_rows_is_shown_and_kept_in_the_study(own_study, capsys):
    study = bind(load_grid(str(own_study / "own.toml")), "model", near=own_study)
    folder = StudyFolder(own_study / "study")
    resolved = ResolvedStudy(study, folder, None, own_study / "data", own_study / "cache")
    # the own study's development rows are the first of its training rows
    text = "dev: 12 of 12 rows have a text that stands in train, too."
    found = check_data(resolved)
    show_oddities({name: splits.odd for name, (splits, _) in found.items()}, Output(width=60))
    assert f"to look at: pairs, {text}\n" in capsys.readouterr().out
    begin(resolved, found, lambda claim: False, Asked())
    kept = kept_oddities(folder)
    assert [oddity.text for oddity in kept["pairs"]] == [text]


def longer(own, length):
    """The user's own grid, with one task of longer sequences."""
    path = own / "pairs.toml"
    path.write_text(path.read_text().replace("max_length = 40", f"max_length = {length}"))
    return str(own / "own.toml")


def test_a_submit_refuses_too_long_a_task_and_writes_nothing(own_study, roberta, capsys):
    code = submit(
        [
            *("--grid", longer(own_study, 129), "--root", str(own_study / "logs")),
            *("--data-dir", str(own_study / "data"), "--model", str(roberta)),
            *("--executor", "local"),
        ]
    )
    assert code == 2
    said = capsys.readouterr().err
    assert "task 'pairs', field 'max_length' = 129: the model has 128 positions." in said
    assert not (own_study / "logs").exists()


def test_the_longest_sequence_that_the_model_can_read_is_taken(own_study, roberta):
    resolved = resolve_study(longer(own_study, 128), Places(own_study / "logs", model=str(roberta)))
    assert resolved.study.tasks["pairs"].max_length == 128

"""A command line's study: its data and its model are looked at before anything is submitted."""

from dataclasses import replace

import pytest

from launcher.flags import Places
from launcher.study.growth import Asked
from launcher.study.resolve import (
    ResolvedStudy,
    begin,
    check_data,
    model_spec,
    resolve_study,
    show_oddities,
)
from launcher.submit import main as submit
from stilt.data.oddities import kept_oddities
from stilt.errors import ConfigError, DataError
from stilt.folder import StudyFolder
from stilt.grid import ModelSpec, load_grid
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


def test_a_submit_says_which_local_files_would_do(own_study):
    (own_study / "data/pairs/dev.jsonl").unlink()
    study = bind(load_grid(str(own_study / "own.toml")), "model", near=own_study)
    folder = StudyFolder(own_study / "study")
    resolved = ResolvedStudy(study, folder, None, own_study / "data", own_study / "cache")
    with pytest.raises(DataError, match=r"Put pairs/train\.jsonl and pairs/dev\.jsonl below"):
        check_data(resolved)


def wheel(place, *folders):
    """A folder of installed packages that holds one wheel, with models in some folders."""
    files = [
        f"{folder}/{name}" for folder in folders for name in ("config.json", "model.safetensors")
    ]
    files += [f"{folder}/pooling/config.json" for folder in folders]
    info = place / "a_model-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a-model\nVersion: 1.0\n")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in files))
    return str(place)


def test_a_model_may_be_named_by_its_wheel_alone(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(wheel(tmp_path / "site", "a_model/model"))
    assert model_spec("a-model") == ModelSpec(wheel="a-model", path="a_model/model")


@pytest.mark.parametrize(
    ("folders", "told"),
    [((), "has 0 model folders. Name a folder."), (("a", "b"), "has 2 model folders: a, b. ")],
)
def test_a_wheel_of_no_model_or_several_is_refused(folders, told, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(wheel(tmp_path / "site", *folders))
    with pytest.raises(ConfigError, match=f"--model a-model: the wheel of this name {told}"):
        model_spec("a-model")


@pytest.mark.parametrize(
    ("name", "hub"), [("no-such", "namespace/no-such"), ("org/encoder", "org/encoder")]
)
def test_a_model_that_is_nowhere_is_told_with_what_a_hub_id_needs(name, hub):
    with pytest.raises(ConfigError) as caught:
        model_spec(name)
    assert str(caught.value) == (
        f"--model {name}: no such folder, and no installed wheel; a Hub id needs its namespace "
        f"and revision, as {hub}@<commit>."
    )


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

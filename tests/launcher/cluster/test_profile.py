"""A cluster's profile: times and devices as SLURM writes them, files and flags."""

import dataclasses
from pathlib import Path

import pytest
import tyro
from pydantic import ValidationError

from launcher.cluster.profile import Flags, Profile, minutes, read_profile
from stilt.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("90:00", 90),
        ("1:30:00", 90),
        ("1:30:01", 91),
        ("2-00", 2880),
        ("1-2:30", 1590),
        ("0-0:0:59", 1),
    ],
)
def test_a_time_is_read_as_sbatch_reads_it(text, expected):
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["soon", "1:2:3:4", "-5", "1h", ""])
def test_any_other_time_is_refused(text):
    with pytest.raises(ValueError, match="are expected"):
        minutes(text)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 1),
        ({"gpus": 0}, 0),
        ({"gpus": 4}, 4),
        ({"gres": "gpu"}, 1),
        ({"gres": "gpu:2"}, 2),
        ({"gres": "gpu:a100:3,shard:1"}, 3),
        ({"gres": "gpu:a100"}, 1),
        ({"gres": "shard:4"}, 0),
    ],
)
def test_the_devices_of_an_element_are_counted(fields, expected):
    assert Profile(**fields).element_gpus == expected


def test_the_project_s_profile_wins_over_the_user_s_and_a_named_one_over_both(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    assert read_profile() == Profile()
    user = tmp_path / "config/stilt/cluster.toml"
    user.parent.mkdir(parents=True)
    user.write_text('account = "user"\n')
    assert read_profile().account == "user"
    Path("cluster.toml").write_text('account = "project"\n')
    assert read_profile().account == "project"
    Path("named.toml").write_text('account = "named"\ncpus = 2\n')
    named = read_profile(Path("named.toml"), cpus=8)
    assert (named.account, named.cpus) == ("named", 8)


@pytest.mark.parametrize(
    "name",
    [
        *("comment", "nodes", "ntasks", "ntasks-per-node", "open-mode", "requeue", "no-requeue"),
        *("cluster", "clusters", "chdir", "wrap", "parsable", "wait", "--wait", "job_name"),
    ],
)
def test_a_flag_that_the_launcher_relies_on_cannot_be_given(name):
    with pytest.raises(ValidationError):
        Profile(extra={name: True})


def test_any_other_flag_of_sbatch_can_be_given():
    given = {"mail-type": "FAIL", "wckey": "x", "mem-per-cpu": "2G", "reservation": "r"}
    assert Profile(extra=given | {"exclusive": True}).extra == given | {"exclusive": True}


def test_a_wrong_flag_is_told_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^flags: field 'memory' = 'lots'"):
        read_profile(memory="lots")


def test_each_flag_is_a_field_of_the_profile_and_decides_nothing_where_it_is_not_given():
    names = [field.name for field in dataclasses.fields(Flags)]
    assert {"account", "time", "gpus", "parallel"} <= set(names) <= set(Profile.model_fields)
    assert set(vars(Flags()).values()) == {None}


def test_a_flag_is_explained_by_its_field(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        tyro.cli(Flags, args=["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for name in vars(Flags()):
        assert f"--{name.replace('_', '-')} {{None}}" in shown
        assert str(Profile.model_fields[name].description) in shown

"""A cluster's profile: times and devices as SLURM writes them, files and flags."""

import dataclasses
import re
from pathlib import Path

import pytest
import tyro
from pydantic import ValidationError

from launcher.cluster.profile import MOST_MEGABYTES, Flags, Profile, minutes, read_profile
from stilt.config import meanings, parse
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
        ({"gres": "gpu:3090:1"}, 1),
        ({"gres": "gpu:1g.5gb:2"}, 2),
        ({"gres": "gres/gpu:1"}, 1),
        ({"gres": "gres:gpu:2"}, 2),
        ({"gres": "gres/gpu=2"}, 2),
        ({"gres": "shard:4"}, 1),
        ({"gres": "mps:50"}, 1),
        ({"gres": "lscratch:100", "gpus": 0}, 0),
        ({"gres": "lscratch:100G", "gpus": 2}, 2),
    ],
)
def test_the_devices_of_an_element_are_counted(fields, expected):
    assert Profile(**fields).element_gpus == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"gres": "gpu:3090"}, "3090 GPUs for one element, and 64 are the most"),
        ({"gres": "gpu:a100:b:1"}, "NAME[:TYPE][:NUMBER]"),
        ({"gres": "4"}, "NAME[:TYPE][:NUMBER]"),
        ({"gres": "gpu:1,,x"}, "NAME[:TYPE][:NUMBER]"),
        ({"gres": "lscratch:100"}, "names no GPU: add gpu:1, or say gpus = 0"),
        ({"gres": "none"}, "names no GPU"),
        ({"gres": "gpu:2", "gpus": 1}, "'gpus' = 1 disagree"),
        ({"gres": "gpu:2", "gpus": 0}, "'gpus' = 0 disagree"),
        ({"gpus": "0"}, "field 'gpus' = '0': a whole number is expected"),
        ({"gpus": True}, "field 'gpus' = True: a whole number is expected"),
        ({"gpus": -1}, "field 'gpus' = -1"),
        ({"gpus": 65}, "field 'gpus' = 65"),
        ({"gpus": 10**30}, "field 'gpus' = 1000"),
        ({"gpus": 1.0}, "field 'gpus' = 1.0: a whole number is expected"),
        ({"cpus": True}, "field 'cpus' = True"),
        ({"time": True}, "field 'time' = True"),
        ({"time": 10**9}, "field 'time' = 1000000000"),
        ({"memory": "٣٢G"}, "K, M, G or T"),
        ({"memory": "32G\n#SBATCH --x"}, "K, M, G or T"),
        ({"memory": "1.5G"}, 'K, M, G or T behind it is expected, such as "32G"'),
        ({"memory": 32}, "field 'memory' = 32: a number with K, M, G or T behind it is expected"),
        ({"signal_seconds": 10**6}, "field 'signal_seconds'"),
    ],
)
def test_a_request_that_nobody_can_mean_is_refused_with_what_is_allowed(fields, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse(Profile, fields, "cluster.toml")


def test_memory_is_told_in_megabytes():
    known = {"32G": 32_768, "1500": 1500, "2T": 2**21, "1024K": 1, "9M": 9}
    assert {text: Profile(memory=text).megabytes for text in known} == known
    assert Profile().megabytes is None
    assert Profile(memory="0").megabytes == MOST_MEGABYTES


@pytest.mark.parametrize("text", ["32G", "32GB", "32 GB", "32gb", "32GiB", "32g"])
def test_memory_may_be_written_as_people_write_it(text):
    assert parse(Profile, {"memory": text}, "cluster.toml").memory == "32G"


ODD = ["a\nb", "a\rb", "a\x1b[2Jb", "a\x00b", "a\u2028b", "a'b", 'a"b', "a\\b", "a`b"]


@pytest.mark.parametrize("text", [*ODD, "a b", "", "a\n#SBATCH --array=0-9"])
@pytest.mark.parametrize(
    "field", ["account", "partition", "qos", "gres", "constraint", "exclude", "memory"]
)
def test_no_field_can_hold_what_ends_its_line_of_the_script(field, text):
    with pytest.raises(ConfigError, match=f"field '{field}' = "):
        parse(Profile, {field: text}, "cluster.toml")


@pytest.mark.parametrize("text", ODD)
def test_no_other_flag_can_hold_what_ends_its_line_of_the_script(text):
    for extra in ({"mail-user": text}, {text: "x"}):
        with pytest.raises(ConfigError, match=r"^cluster.toml: field 'extra' = |^cluster.toml: "):
            parse(Profile, {"extra": extra}, "cluster.toml")


@pytest.mark.parametrize("text", ["a100&nvme", "[rack1*2|rack2*4]", "(knl&snc4)|haswell"])
def test_expressions_of_features_are_taken(text):
    assert Profile(constraint=text).constraint == text


def test_lines_of_the_shell_may_be_quoted_and_several():
    lines = ["module load cuda", "export A='b c'\nexport B=\"$A\""]
    assert Profile(setup=lines).setup == tuple(lines)
    with pytest.raises(ValidationError, match="control characters"):
        Profile(setup=["echo \x1b[2J"])


@pytest.mark.parametrize(
    ("file", "flags", "gpus", "gres"),
    [
        ('gres = "gpu:a100:1"', {"gpus": 0}, 0, None),
        ('gres = "gpu:a100:1"', {"gpus": 2}, 2, None),
        ("gpus = 1", {"gres": "gpu:2"}, 2, "gpu:2"),
        ('gres = "gpu:a100:1"', {"gres": "shard:2"}, 1, "shard:2"),
    ],
)
def test_a_flag_for_gpus_overrides_whatever_the_file_says_of_them(
    tmp_path, file, flags, gpus, gres
):
    path = tmp_path / "cluster.toml"
    path.write_text(file)
    profile = read_profile(path, **flags)
    assert (profile.element_gpus, profile.gres) == (gpus, gres)


def test_a_flag_for_gpus_does_not_drop_what_else_the_file_asks_for(tmp_path):
    path = tmp_path / "cluster.toml"
    path.write_text('gres = "gpu:1,lscratch:10"')
    with pytest.raises(ConfigError, match="disagree"):
        read_profile(path, gpus=2)


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
        *("cluster", "clusters", "chdir", "wrap", "parsable", "wait", "--wait", "job_name", "j"),
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
    said = meanings(Profile)
    for name in vars(Flags()):
        assert f"--{name.replace('_', '-')} {{None}}" in shown
        assert " ".join(said[name].split()) in shown

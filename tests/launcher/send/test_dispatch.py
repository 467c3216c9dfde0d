"""Jobs keep away from nodes that broke, as long as another is left."""

import math
from errno import ENOSPC

import pytest

from jobs.settings import read_assignment
from launcher.cluster.limits import Limits
from launcher.cluster.profile import Profile
from launcher.scheduler.ledger import read_ledger
from launcher.send.dispatch import MARGIN, SPARE_MINUTES, away_from
from launcher.study.resolve import Places, resolve_study
from launcher.submit import main
from stilt.folder import read_study
from stilt.records.failures import record_failure
from stilt.training.speed.calibration import file_of, read_calibration, write_calibration
from tests.support.calibrated import calibration_of, setting
from tests.support.submitted import arguments, everything, folder, sent_items

NODES = "node1|gpu:1|(null)|idle|gpu*\nnode2|gpu:1|(null)|{}|gpu*\n"


def break_node(name):
    """Writes that a GPU of a node broke under a cell; what was in the queue is gone."""
    study = read_study(folder())
    record_failure(
        study, folder(), next(iter(study.cells)), "node", "CUDA error", job="101_0", host=name
    )


def test_a_node_that_broke_is_excluded_where_another_is_left(own, fake, monkeypatch):
    fake.tell("refuse", "not yet")
    main(arguments(own))
    (fake.folder / "refuse").unlink()
    break_node("node1")
    fake.tell("nodes", NODES.format("mix"))
    assert main(arguments(own)) == 0
    assert {script.flag("exclude") for script in fake.scripts} == {"node1"}


@pytest.mark.parametrize("other", ["drain", "idle"])
def test_the_only_fitting_node_is_used_also_after_it_broke(own, fake, other):
    fake.tell("refuse", "not yet")
    main(arguments(own))
    (fake.folder / "refuse").unlink()
    break_node("node1")
    # down by sinfo, or said to fit and refused by sbatch all the same
    fake.tell("nodes", NODES.format(other))
    fake.tell("only", "node1")
    assert main(arguments(own)) == 0
    assert {script.flag("exclude") for script in fake.scripts} == {None}
    assert sent_items() == everything()


def test_a_broken_node_is_left_out_unless_it_is_the_last():
    both = Limits(nodes=frozenset({"node1", "node2"}))
    assert away_from(["node1"], both) == ["node1"]
    assert away_from(["node1", "node2"], both) == []
    assert away_from(["of-another-partition"], both) == []
    assert away_from(["node1"], Limits()) == []


def calibrate(own, load):
    """Leaves a calibration of what the cluster is asked for, by which each load takes so long."""
    resolved = resolve_study(str(own / "own.toml"), Places(data_dir=own / "data"))
    study, place = resolved.study, Profile().place
    made = calibration_of(study, place, device="GPU", settings=(setting(1, 4, load=load),))
    path = file_of(resolved.cache, study.model_identity, study.grid.recipe, place)
    write_calibration(made, path)
    return made


@pytest.mark.parametrize("load", [2.0, 400.0, 1200.0])
def test_time_limits_follow_from_predicted_seconds_up_to_the_profiles(own, fake, capsys, load):
    made = calibrate(own, load)
    assert main([*arguments(own), "--time", "30", "--bundles", "4"]) == 0
    lines = {line.array: line for line in read_ledger(folder()).lines if line.array}
    assert lines and len(lines) == len(fake.scripts)
    limits = []
    for line, script in zip(lines.values(), fake.scripts, strict=True):
        bundles = [read_assignment(folder(), bundle).bundle for bundle in line.bundles]
        longest = max(bundle.seconds for bundle in bundles)
        wanted = min(30, math.ceil(MARGIN * longest / 60) + SPARE_MINUTES)
        assert (script.flag("time"), line.minutes) == (str(wanted), wanted)
        limits.append(wanted)
        # planned to end within the limit, as far as one run can
        assert all(MARGIN * b.seconds <= 60 * 25 for b in bundles if len(b.items) > 1)
    assert (max(limits) == 30) == (load == 1200.0)
    assert "minutes" in capsys.readouterr().out
    assert sent_items() == everything()
    assert read_calibration(folder().calibration) == made


def test_without_a_calibration_the_time_limit_is_the_profiles(own, fake, capsys):
    assert main([*arguments(own), "--time", "30"]) == 0
    assert {script.flag("time") for script in fake.scripts} == {"30"}
    assert "minutes" not in capsys.readouterr().out
    assert not folder().calibration.exists()


def test_a_budget_sends_the_same_configurations_of_all_sources_and_later_the_rest(
    own, fake, capsys
):
    calibrate(own, 36.0)
    hours = 0.4
    assert main([*arguments(own), "--hours", str(hours)]) == 0
    said = capsys.readouterr().out
    assert f"--hours {hours:g}: " in said and "left: " in said
    study, sent = read_study(folder()), sent_items()
    assert set(study.sources) <= set(sent), "all three fit"
    cells = [study.cells[item] for item in sent if item in study.cells]
    points = {}
    for cell in cells:
        points.setdefault((cell.target, cell.hyperparameters), set()).add(cell.source)
    whole = [key for key, names in points.items() if len(names) == 4]
    assert len(whole) >= len(points) - 1 and len(whole) > 1
    planned = [read_assignment(folder(), path.stem).bundle for path in folder().bundles.glob("*")]
    spent = sum(bundle.seconds for bundle in planned) / 3600
    assert 0.95 * hours <= spent <= hours
    assert main(arguments(own)) == 0
    assert sent_items() == everything()


def test_a_budget_without_anything_to_tell_it_by_is_refused_and_nothing_is_sent(own, fake, capsys):
    assert main([*arguments(own), "--hours", "2"]) == 2
    said = capsys.readouterr()
    assert "--hours 2: nothing tells yet how long a run takes here" in said.out + said.err
    assert not fake.scripts
    assert not list(folder().claims.glob("*"))


@pytest.mark.parametrize(
    "place", ["launcher.study.claiming.write_text", "launcher.send.dispatch.snapshot"]
)
def test_a_submit_that_a_full_disk_ends_holds_nothing(own, fake, capsys, monkeypatch, place):
    def full(*_, **__):
        raise OSError(ENOSPC, "No space left on device", "there")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(place, full)
        assert main(arguments(own)) == 2
    assert "there: No space left on device" in capsys.readouterr().err
    assert main(arguments(own)) == 0
    assert "0 held by live jobs, 51 runs to do" in capsys.readouterr().out

"""Submitting to SLURM: what goes out, once, whatever happens; without a cluster."""

from collections import Counter

import pytest

from launcher.submit import main
from tests.support.submitted import arguments, everything, folder, sent_items


def test_sources_go_out_first_and_each_target_waits_for_its_own_source_alone(own, fake, capsys):
    assert main(arguments(own, "--bundles", "8")) == 0
    assert sent_items() == everything()
    sources, targets = fake.scripts[:3], fake.scripts[3:]
    assert all(script.flag("array") is None for script in sources)
    assert [script.flag("dependency") for script in sources] == [None] * 3
    ok = [f"afterok:{script.job}" for script in sources]
    assert sorted(str(script.flag("dependency")) for script in targets) == sorted([*ok, "None"])
    assert {script.flag("kill-on-invalid-dep") for script in fake.scripts} == {"yes"}
    printed = capsys.readouterr().out
    assert all(str(script.job) in printed for script in fake.scripts)
    assert "status.py own" in printed


def test_no_array_exceeds_what_the_cluster_takes_and_the_limit_is_divided(own, fake):
    assert main(arguments(own, "--bundles", "48", "--parallel", "9")) == 0
    assert sent_items() == everything()
    assert max(script.elements for script in fake.scripts) <= 10
    targets = [script for script in fake.scripts if script.flag("array")]
    assert len(targets) == 8
    at_a_time = [int(str(script.flag("array")).split("%")[1]) for script in targets]
    # 2 or 3 places for none and for each source, divided over two arrays of each
    assert sum(at_a_time) <= 9


def test_a_second_submit_sends_nothing_while_the_first_is_in_the_queue(own, fake, capsys):
    assert main(arguments(own)) == 0
    count = len(fake.scripts)
    assert main(arguments(own)) == 0
    assert len(fake.scripts) == count
    assert "nothing to do" in capsys.readouterr().out


def test_a_second_submit_sees_jobs_that_squeue_hides_and_does_not_ask_for_a_part_of_them(
    own, fake, monkeypatch
):
    fake.tell("hidden")
    assert main(arguments(own)) == 0
    count = len(fake.scripts)
    monkeypatch.setattr("launcher.scheduler.liveness.INTENT_SECONDS", 0)
    monkeypatch.setenv("SQUEUE_PARTITION", "short")
    assert main(arguments(own)) == 0
    assert len(fake.scripts) == count


def test_what_a_dead_array_held_goes_out_again_and_nothing_else(own, fake, monkeypatch):
    assert main(arguments(own, "--bundles", "8")) == 0
    lost = fake.scripts[-1]
    fake.end(lost.job)
    monkeypatch.setattr("launcher.scheduler.liveness.INTENT_SECONDS", 0)
    assert main(arguments(own, "--bundles", "8")) == 0
    again = Counter({item: n for item, n in sent_items().items() if n > 1})
    assert set(again.values()) == {2}
    assert len(again) == 12


def test_what_sbatch_refuses_is_told_in_its_words_and_nothing_is_held(own, fake, capsys):
    fake.tell("refuse", "invalid partition specified: gpuu")
    assert main(arguments(own, "--partition", "gpuu")) == 2
    assert capsys.readouterr().err == "error: sbatch: invalid partition specified: gpuu\n"
    assert not list(folder().claims.glob("*.json"))


@pytest.mark.parametrize(
    ("said", "looks"),
    [
        ("Unable to contact slurm controller (connect failure)", 1),
        ("Unable to contact slurm controller (receive failure)", 10),
    ],
)
def test_the_queue_is_watched_for_a_while_only_if_sbatch_reached_the_controller(
    own, fake, capsys, monkeypatch, said, looks
):
    fake.tell("refuse", f"Batch job submission failed: {said}")
    asked = []
    monkeypatch.setattr("launcher.send.sbatch.find_array", lambda _, looks: asked.append(looks))
    assert main(arguments(own)) == 2
    assert said in capsys.readouterr().err
    assert asked == [looks]
    assert not list(folder().claims.glob("*.json"))


def test_no_more_is_queued_than_the_user_may_queue(own, fake, capsys):
    fake.tell("limit", "6")
    assert main(arguments(own, "--bundles", "48")) == 0
    assert sum(script.elements for script in fake.scripts) <= 6
    assert "may still queue" in capsys.readouterr().out
    sent = sent_items()
    assert max(sent.values()) == 1
    claimed = {path.stem for path in folder().claims.glob("[!.]*.json")}
    assert claimed == set(sent)


def test_what_a_limit_that_nobody_shows_leaves_room_for_goes_out(own, fake, capsys):
    fake.tell("room", "10")
    assert main(arguments(own, "--bundles", "48")) == 0
    assert sum(script.elements for script in fake.scripts) == 10
    told = capsys.readouterr().out
    assert "AssocGrpSubmitJobsLimit" in told
    assert "The same command sends them when jobs have ended." in told
    claimed = {path.stem for path in folder().claims.glob("[!.]*.json")}
    assert claimed == set(sent_items())
    fake.tell("room", "1000")
    assert main(arguments(own, "--bundles", "48")) == 0
    assert sent_items() == everything()


def test_where_not_one_job_fits_nothing_is_held_and_the_exit_code_is_1(own, fake, capsys):
    fake.tell("room", "0")
    assert main(arguments(own)) == 1
    told = capsys.readouterr().out
    assert "You may queue no more jobs now" in told
    assert told.endswith("nothing was sent.\n")
    assert not list(folder().claims.glob("*.json"))
    fake.tell("limit", "0")
    assert main(arguments(own)) == 1
    assert capsys.readouterr().out.endswith("nothing was sent.\n")


def test_an_array_that_is_too_long_for_the_cluster_goes_out_in_parts_that_share_its_places(
    own, fake
):
    fake.tell("longest", "3")
    assert main(arguments(own, "--bundles", "48", "--parallel", "16")) == 0
    assert sent_items() == everything()
    assert max(script.elements for script in fake.scripts) == 3
    # places of those that do not wait for another part to end
    together = [
        int(str(script.flag("array")).split("%")[1])
        for script in fake.scripts
        if script.flag("array") and "afterany" not in str(script.flag("dependency"))
    ]
    assert sum(together) <= 16

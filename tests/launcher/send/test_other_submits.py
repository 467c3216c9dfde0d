"""Two submits of one study share its cells, and wait for each other's sources."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

from launcher.submit import main
from stilt.folder import read_study
from stilt.records import claims
from tests.support.submitted import arguments, everything, folder, sent_items

REPOSITORY = Path(__file__).parents[3]


def test_two_submits_at_the_same_moment_share_the_cells_between_them(own, fake):
    command = [sys.executable, str(REPOSITORY / "launcher/submit.py"), *arguments(own)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    for process in running:
        process.stdout.close()
    assert sent_items() == everything()


def test_own_sources_go_out_before_another_launchers_source_is_waited_for(
    own, fake, monkeypatch, capsys
):
    # two that wait for each other's sources, and keep back their own, would wait in vain
    assert main(arguments(own, "--bundles", "8")) == 0
    for script in fake.scripts:
        fake.end(script.job)
    before = len(fake.scripts)
    for path in folder().claims.glob("*.json"):
        path.unlink()
    theirs, *ours = read_study(folder()).sources.values()
    assert claims.take(claims.new_claim(theirs.id, "slurm-other", "b"), folder().claim(theirs.id))
    seen = []
    monkeypatch.setattr("launcher.send.other_submits.PATIENCE_SECONDS", 0.5)
    clock = SimpleNamespace(
        monotonic=time.monotonic, sleep=lambda seconds: seen.append(len(fake.scripts))
    )
    # its name there alone: others sleep, too
    monkeypatch.setattr("launcher.send.other_submits.time", clock)
    capsys.readouterr()
    assert main(arguments(own, "--bundles", "8")) == 0
    assert seen[0] >= before + len(ours)
    told = capsys.readouterr().out
    assert f"what needs source {theirs.name}: slurm-other holds it and has no job yet" in told
    new = Counter({item: n for item, n in sent_items().items() if n > 1})
    study = read_study(folder())
    assert set(new) & set(study.sources) == {source.id for source in ours}
    kept_back = {cell.id for cell in study.cells.values() if cell.source_id == theirs.id}
    assert set(new) & set(study.cells) == set(study.cells) - kept_back
    assert not any(folder().claim(cell).exists() for cell in kept_back)

"""The job that runs after all others of a submit."""

import subprocess
import sys
from pathlib import Path

from stilt.folder import StudyFolder
from stilt.records.notices import ask_for
from tests.support.fake_study import TINY, make_study
from tests.support.webhook import webhook


def test_it_tells_that_its_submit_has_ended_and_loads_no_framework(tmp_path):
    make_study(tmp_path / "tiny", grid=TINY)
    code = "import sys; from jobs.notice import main; main(); print('torch' in sys.modules)"
    with webhook() as hook:
        ask_for(StudyFolder(tmp_path / "tiny"), hook.url, "slurm-2")
        for submission in ("slurm-1", "slurm-2", "slurm-2"):
            run = subprocess.run(
                [sys.executable, "-c", code, str(tmp_path / "tiny"), submission],
                cwd=Path(__file__).parents[2],
                capture_output=True,
                text=True,
                check=True,
            )
            assert run.stdout == "False\n"
    assert hook.texts == ["study tiny has ended: 16 of 16 cells done, 0 failed"]

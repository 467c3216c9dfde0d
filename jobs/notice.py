"""Tells a webhook that a submit's runs have ended: ``python -m jobs.notice FOLDER SUBMISSION``.

SLURM runs it as a job of its own, after all others of the submit.
"""

import sys
from pathlib import Path

from stilt.folder import StudyFolder, read_study
from stilt.records.notices import ending, tell


def main() -> int:
    """Sends the message; returns 0, whether it arrived or not."""
    folder = StudyFolder(Path(sys.argv[1]))
    tell(folder, "ended", ending(read_study(folder), folder), sys.argv[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())

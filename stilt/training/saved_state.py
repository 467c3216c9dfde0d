"""The state of an interrupted run on disk: whole and its own run's, or not used."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from stilt.errors import disk_trouble
from stilt.system.sealed import flaw, sealing
from stilt.training.spent import Spent

FORMAT = "1"
"""Counts changes of what a state holds, so that an earlier one is not taken up."""


@dataclass(frozen=True)
class SavedState:
    """Where a run's state lies, and what its file must say of itself."""

    path: Path
    item: str
    """Id of the run."""
    data: str
    """Digest of the rows that it trains on."""
    tell: Callable[[str], None] = lambda message: None
    """Is told, in a line, what becomes of a state that cannot be read or written."""
    spent: Spent = field(default_factory=Spent)
    """What the run has cost: it goes into a state, and comes out of it again."""

    @property
    def _facts(self) -> dict[str, str]:
        return {"item": self.item, "data": self.data, "format": FORMAT}

    def sound(self) -> bool:
        """Whether there is a state to go on from; one that is not what it should be is removed."""
        if not self.path.is_file():
            return False
        try:
            problem = flaw(self.path, self._facts)
        except OSError as error:
            problem = f"it cannot be read ({error.strerror})"
        if problem is None:
            return True
        self.tell(f"{self.path}: {problem}; it is removed, and the run begins anew")
        self.path.unlink(missing_ok=True)
        return False

    def read(self) -> dict[str, Any]:
        """What ``write`` was given; only of a sound state."""
        content: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        self.spent.go_on(content.pop("spent", {}))
        return content

    def write(self, content: dict[str, Any]) -> None:
        """Puts a state in place of the last one; where the disk takes no more, that one stays."""
        try:
            with sealing(self.path, self._facts) as file:
                torch.save(content | {"spent": self.spent.state()}, file)
        except (OSError, RuntimeError) as error:
            if not disk_trouble(error):
                raise
            self.tell(f"disk: {self.path}: the state is not saved ({error}); the run goes on")

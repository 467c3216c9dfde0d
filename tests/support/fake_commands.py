"""Commands that say what a test wants: no SLURM is needed, and none is found by accident."""

import re
import shlex
from pathlib import Path


class Commands:
    """A folder of made-up commands that is all of PATH; what they are told is kept."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir(parents=True)
        self.calls = folder / "calls"
        monkeypatch.setenv("PATH", str(self.folder))

    def say(self, name: str, output: str = "", *, errors: str = "", code: int = 0) -> None:
        """Makes a command print something and end with an exit code."""
        path = self.folder / name
        path.write_text(
            f'#!/bin/sh\necho {shlex.quote(name)} "$@" >> {shlex.quote(str(self.calls))}\n'
            f"export -p > {shlex.quote(str(self._variables(name)))}\n"
            f"printf %s {shlex.quote(output)}\nprintf %s {shlex.quote(errors)} >&2\nexit {code}\n"
        )
        path.chmod(0o755)

    def hang(self, name: str) -> None:
        """Makes a command that never answers."""
        path = self.folder / name
        path.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
        path.chmod(0o755)

    def link(self, name: str, target: str) -> None:
        """Lets a real command be found."""
        (self.folder / name).symlink_to(target)

    def variables(self, name: str) -> set[str]:
        """Names in the environment of a command's latest call."""
        return set(re.findall(r"^export (\w+)", self._variables(name).read_text(), re.MULTILINE))

    def _variables(self, name: str) -> Path:
        return self.calls.with_name(f"variables.{name}")

    def called(self, name: str) -> list[str]:
        """Every call of a command, as one line each."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line for line in lines if line.split(" ")[0] == name]

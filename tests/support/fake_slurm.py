"""A SLURM of five shell commands that only remembers what it was given: no cluster is needed.

``Fake(folder)`` writes them; put ``fake.bin`` first on PATH. Scripts given to sbatch are kept as
``<job id>.sh``; every job is pending until it is ended.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SBATCH = """#!/bin/sh
for script; do :; done
until mkdir "$FAKE/lock" 2>/dev/null; do sleep 0.02; done
job=$(($(cat "$FAKE/last") + 1))
if [ -f "$FAKE/refuse" ]; then
    rmdir "$FAKE/lock"
    echo "sbatch: error: $(cat "$FAKE/refuse")" >&2
    exit 1
fi
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
elements=$((${last:-0} + 1))
if [ -f "$FAKE/longest" ] && [ "$elements" -gt "$(cat "$FAKE/longest")" ]; then
    rmdir "$FAKE/lock"
    echo "sbatch: error: Batch job submission failed: Invalid job array specification" >&2
    exit 1
fi
if [ -f "$FAKE/room" ]; then
    room=$(($(cat "$FAKE/room") - elements))
    if [ "$room" -lt 0 ]; then
        rmdir "$FAKE/lock"
        echo "sbatch: error: AssocGrpSubmitJobsLimit" >&2
        echo "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy" >&2
        exit 1
    fi
    echo $room > "$FAKE/room"
fi
if [ -f "$FAKE/only" ] && grep -q "^#SBATCH --exclude=.*$(cat "$FAKE/only")" "$script"; then
    rmdir "$FAKE/lock"
    echo "sbatch: error: Batch job submission failed: Requested node configuration is not" \
        "available" >&2
    exit 1
fi
cp "$script" "$FAKE/$job.sh"
cp "$FAKE/cluster" "$FAKE/$job.cluster"
export -p > "$FAKE/$job.variables"
echo $job > "$FAKE/last"
rmdir "$FAKE/lock"
if [ -f "$FAKE/kill" ] && [ "$job" -ge "$(cat "$FAKE/kill")" ]; then
    rm "$FAKE/kill"; kill -9 $PPID; exit 1
fi
if [ -f "$FAKE/timeout" ]; then
    rm "$FAKE/timeout"
    echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2
    exit 1
fi
[ ! -f "$FAKE/banner" ] || cat "$FAKE/banner"
case "$*" in
    *--parsable*) echo "$job" ;;
    *) echo "Submitted batch job $job" ;;
esac
"""
SQUEUE = """#!/bin/sh
[ -z "$SQUEUE_PARTITION$SQUEUE_STATES$SQUEUE_USERS" ] || exit 0
case "$*" in *--all*) ;; *) [ ! -f "$FAKE/hidden" ] || exit 0 ;; esac
for script in "$FAKE"/[0-9]*.sh; do
    [ -f "$script" ] || continue
    job=$(basename "$script" .sh)
    [ -f "$FAKE/$job.ended" ] && continue
    cmp -s "$FAKE/cluster" "$FAKE/$job.cluster" || continue
    name=$(sed -n 's/^#SBATCH --job-name=//p' "$script")
    token=$(sed -n 's/^#SBATCH --comment=//p' "$script")
    last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
    case "$*" in
        *name=*) case "$*" in *"$name"*) ;; *) continue ;; esac ;;
    esac
    case "$*" in
        *%F*) echo "$job|$token"; continue ;;
    esac
    for element in ${last:+$(seq -f "${job}_%.0f" 0 "$last")} ${last:-$job}; do
        case "$element" in "$last") [ -n "$last" ] && continue ;; esac
        case "$*" in
            *%T*) echo "$element|PENDING|0:00|Priority||N/A|$name" ;;
            *) echo "$element" ;;
        esac
    done
done
"""
SCONTROL = """#!/bin/sh
[ ! -f "$FAKE/mute" ] || { cat "$FAKE/mute" >&2; exit 1; }
echo "ClusterName             = $(cat "$FAKE/cluster")"
echo "MaxArraySize            = $(cat "$FAKE/array_size")"
"""
SACCTMGR = """#!/bin/sh
[ -f "$FAKE/limit" ] || exit 1
case "$*" in *associations*) echo "nlp|$(cat "$FAKE/limit")|normal" ;; esac
"""
SACCT = """#!/bin/sh
echo "sacct: error: Connection refused" >&2
exit 1
"""


@dataclass(frozen=True)
class Script:
    """What sbatch was given."""

    job: int
    text: str
    variables: Mapping[str, str] = field(default_factory=dict)
    """What sbatch found in its environment."""

    def flag(self, name: str) -> str | None:
        """Value of a flag, None where it is absent."""
        found = re.search(rf"^#SBATCH --{name}(?:=(.*))?$", self.text, re.MULTILINE)
        return shlex.split(found[1] or "true")[0] if found else None

    @property
    def elements(self) -> int:
        array = self.flag("array")
        return int(array.split("%")[0].split("-")[1]) + 1 if array else 1


class Fake:
    """The commands and what they remember."""

    def __init__(self, folder: Path, *, array_size: int = 1001) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        (folder / "last").write_text("100")
        (folder / "cluster").write_text("north")
        (folder / "array_size").write_text(str(array_size))
        programs = {
            "sbatch": SBATCH,
            "squeue": SQUEUE,
            "scontrol": SCONTROL,
            "sacctmgr": SACCTMGR,
            "sacct": SACCT,
            "srun": "#!/bin/sh\n",
            "sinfo": '#!/bin/sh\n[ ! -f "$FAKE/nodes" ] || cat "$FAKE/nodes"\n',
        }
        for name, text in programs.items():
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)

    def tell(self, name: str, text: str = "") -> None:
        """Makes the next sbatch ``refuse`` (until told otherwise) or ``timeout``.

        ``kill`` its caller at a job of this number or a higher one. ``room``: elements that may
        still be queued, a limit that sacctmgr does not show; ``longest``: elements of an array.
        ``cluster`` names the one that is asked from now on; each knows its own jobs alone.
        ``mute``: what scontrol says in place of an answer.
        ``banner``: what a wrapper prints before sbatch's line.
        ``hidden``: squeue shows the partition to nobody who does not ask for all.
        ``only`` names a node that no job may exclude; ``nodes`` is what sinfo lists.
        """
        (self.folder / name).write_text(text)

    def end(self, job: int) -> None:
        """Lets squeue forget a job."""
        (self.folder / f"{job}.ended").touch()

    def forget(self) -> None:
        """Drops every job, and counts from the first number again."""
        for path in self.folder.glob("[0-9]*.*"):
            path.unlink()
        self.tell("last", "100")

    @property
    def scripts(self) -> list[Script]:
        """Everything sbatch took, oldest first."""
        paths = sorted(self.folder.glob("[0-9]*.sh"), key=lambda path: int(path.stem))
        return [
            Script(int(path.stem), path.read_text(), _variables(path.with_suffix(".variables")))
            for path in paths
        ]


def _variables(path: Path) -> dict[str, str]:
    """What the shell's ``export -p`` wrote."""
    words = (line.removeprefix("export ") for line in path.read_text().splitlines())
    pairs = (word.partition("=") for word in words)
    return {name: value.strip("'") for name, equals, value in pairs if equals}

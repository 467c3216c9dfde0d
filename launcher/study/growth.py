"""A study takes the shape that a submit asks for: it begins, grows, or refuses to lose runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from launcher.scheduler.ledger import read_ledger
from launcher.study.outstanding import Lives
from stilt.cell import SYNTHESIS, digest
from stilt.config import read_json
from stilt.errors import ConfigError, ResultError
from stilt.folder import StudyFolder, read_study, write_study
from stilt.records import claims
from stilt.records.pins import pin_path
from stilt.revisions import Change
from stilt.study import Revision, Study
from stilt.system.invocation import spelled
from stilt.system.units import counted


@dataclass(frozen=True)
class Asked:
    """What a submit says of itself."""

    revise: bool = False
    """Whether runs may go, or become others."""
    command: str = ""
    commit: str | None = None


@dataclass(frozen=True)
class Step:
    """What a submit makes of a study's folder; nothing is written before ``take``."""

    study: Study
    """With its history."""
    said: tuple[str, ...] = ()
    """For people."""
    mended: str = ""
    writes: bool = True
    """Whether study.json is not yet as it is to be."""
    change: Change | None = None
    """From the shape that is there, where there is one."""
    begun: bool = True
    """Whether anything of the shape that is there was run, or runs."""


def next_step(study: Study, folder: StudyFolder, lives: Lives, asked: Asked) -> Step:
    """Tells what a submit makes of the study that is there.

    Args:
        study: what is asked for, without history.
        folder: where it lives, or is to live.
        lives: whether a claim's job still lives.
        asked: what the submit says of itself.

    Raises:
        ResultError: Runs would go, or become others; the message says which, and why.
        ConfigError: The study.json there is of a newer version.
    """
    damage = _damage(folder.study_file)
    if damage is not None:
        return _anew(study, folder, damage, asked)
    there = read_study(folder)
    change = Change(there, study)
    begun = _begun(folder, lives)
    if change.same:
        return Step(there, writes=False, change=change, begun=begun)
    if not begun:
        what = "; ".join(change.lost() or [change.grown()])
        title = f"study {there.name} had begun nothing and is replaced: {what}"
        return Step(_with(study, (), asked), (title,), change=change, begun=False)
    history = there.revisions or (_first(there, folder),)
    _require_readers(there, folder, lives)
    if change.gone:
        _require_leave(change, folder, lives, asked)
    lost = change.lost()
    looked = _when(folder.summary / "summary.json")
    came = change.grown() if change.came or not change.gone else ""
    bound = _with(study, history, asked, came=came, went="; ".join(lost), looked=looked)
    done = len(_results(folder) & there.cells.keys())
    title = f"study {study.name}, revision {bound.revision}:"
    if came:
        title += f" {came}; {counted(len(there.cells), 'cell')} there, {done} done"
    return Step(bound, (title, *(f"  - {line}" for line in lost)), change=change)


def take(step: Step, folder: StudyFolder, lives: Lives) -> None:
    """Writes study.json, after setting aside what belongs to the shape before."""
    for path in dropped_pins(step, folder):
        path.unlink(missing_ok=True)
    if not step.begun:
        # of a false start nothing holds, and of other runs not why they failed
        for path in _files(folder.failures) if step.writes else ():
            path.unlink(missing_ok=True)
        for path in _files(folder.claims):
            claim = claims.read(path)
            if claim is not None and not lives(claim):
                claims.drop_stale(path, claim)
    if step.change is not None:
        _set_rows_aside(step.change, folder)
    if step.writes:
        write_study(step.study, folder)


def dropped_pins(step: Step, folder: StudyFolder) -> list[Path]:
    """Pins that do not hold for what a submit makes of a study."""
    if not step.begun:
        return list(folder.data_digest("").parent.glob("*.json"))
    if step.change is None or not step.change.changed:
        return []
    return list(_pins(step.change, folder))


def _anew(study: Study, folder: StudyFolder, damage: str, asked: Asked) -> Step:
    """The step where study.json is absent or damaged."""
    if folder.study_file.is_dir():
        raise ResultError(f"{folder.study_file}: a folder, where a file is expected. Remove it.")
    strange = sorted(_results(folder) - study.cells.keys())
    strange += sorted(
        {path.parent.name for path in folder.path.glob("sources/*/result.json")}
        - study.sources.keys()
    )
    if strange and not asked.revise:
        raise ResultError(
            f"{folder.study_file}: {damage or 'absent'}, and {len(strange)} of the results there "
            f"are of runs that this grid does not plan, such as {strange[0]}. Put the file back "
            "from a copy, submit the grid and model that the study was begun with, give this one "
            "a name of its own with --study, or say --revise to go on without these results."
        )
    mended = f"{folder.study_file}: {damage}. It was made anew." if damage else ""
    return Step(_with(study, (), asked), mended=mended)


def _require_readers(there: Study, folder: StudyFolder, lives: Lives) -> None:
    """Makes sure that no job waits whose own copy of the code cannot read a study's history.

    Raises:
        ResultError: An earlier version of this code sent it.
    """
    held = [path.stem for path in _files(folder.claims) if _held(folder, path.stem, lives)]
    if held and not there.revisions:
        raise ResultError(
            f"{folder.path}: live jobs of an earlier version of this code hold "
            f"{counted(len(held), 'run')}, and could not read a study that grew. Submit this when "
            f"they have ended, or cancel them first: {spelled('cancel')} {folder.argument}"
        )


def _require_leave(change: Change, folder: StudyFolder, lives: Lives, asked: Asked) -> None:
    """Makes sure that a person wants runs to go, and that none runs that would become another.

    Raises:
        ResultError: It is not so.
    """
    lines = "".join(f"\n  {line}" for line in change.lost())
    cells = [run for run in change.gone if run.cell]
    done = len(_results(folder) & {run.id for run in cells})
    if not asked.revise:
        other = "another grid has this name: " if len(cells) == len(change.there.cells) else ""
        raise ResultError(
            f"{folder.path}: {other}this study would lose {len(cells)} of its "
            f"{counted(len(change.there.cells), 'cell')} ({done} with a result):{lines}\n"
            "Say --revise if that is meant: results stay on disk, and count again where a later "
            "grid plans them. Or give this one a name of its own with --study."
        )
    held = [item for item in change.changed if _held(folder, item, lives)]
    if held:
        raise ResultError(
            f"{folder.path}: {counted(len(held), 'run')} that would become other ones "
            f"{'is' if len(held) == 1 else 'are'} held by live jobs, such as {held[0]}. Cancel "
            f"them first ({spelled('cancel')} {folder.argument}), or wait for them."
        )


def _held(folder: StudyFolder, item: str, lives: Lives) -> bool:
    claim = claims.read(folder.claim(item))
    return claim is not None and lives(claim)


def _with(
    study: Study,
    history: tuple[Revision, ...],
    asked: Asked,
    *,
    came: str = "",
    went: str = "",
    looked: str | None = None,
) -> Study:
    """A study with one more revision: the one that it is now."""
    revision = Revision(
        number=len(history) + 1,
        when=_now(),
        command=asked.command,
        commit=asked.commit,
        digest=study.digest,
        cells=len(study.cells),
        came=came or ("" if went else f"{counted(len(study.cells), 'cell')}"),
        went=went,
        looked=looked,
    )
    return study.model_copy(update={"revisions": (*history, revision)})


def _first(there: Study, folder: StudyFolder) -> Revision:
    """The first revision of a study that an earlier version began, as far as it is known."""
    return Revision(
        number=1,
        when=_when(folder.study_file) or _now(),
        command=next((line.command for line in read_ledger(folder).lines if line.command), ""),
        digest=there.digest,
        cells=len(there.cells),
        came=counted(len(there.cells), "cell"),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _when(path: Path) -> str | None:
    """When a file was written; None where there is none."""
    try:
        written = path.stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(written, UTC).isoformat(timespec="seconds")


def _damage(path: Path) -> str | None:
    """Why a study.json is no JSON table; empty where there is none, None where nothing is wrong."""
    try:
        return None if isinstance(read_json(path), dict) else "not a table"
    except FileNotFoundError:
        return ""
    except ConfigError as error:
        return str(error).removeprefix(f"{path}: ").rstrip(".")


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*.json"))


def _results(folder: StudyFolder) -> set[str]:
    """Ids of the cells that have left a result; whether it is valid is not asked."""
    return {path.stem for path in _files(folder.results)}


def _begun(folder: StudyFolder, lives: Lives) -> bool:
    """Whether anything of a study has ended well, was saved half-way, or is held by a live job."""

    def left() -> Iterator[Path]:
        yield from folder.results.glob("[!.]*.json")
        yield from folder.path.glob("sources/*/result.json")
        yield from folder.synthesis().glob("*")
        yield from folder.resume("").parent.glob("[!.]*.pt")

    if next(left(), None) is not None:
        return True
    return any(_held(folder, path.stem, lives) for path in _files(folder.claims))


def _pins(change: Change, folder: StudyFolder) -> Iterator[Path]:
    """Pins of tasks that are others by now; their own results say which rows are theirs."""
    there, here = change.there, change.here
    rows_too = SYNTHESIS in change.changed
    for name, task in there.tasks.items():
        other = name in here.tasks and here.tasks[name].identity() != task.identity()
        if other or (rows_too and task.synthesis):
            sizes = {s.train_size for s in there.sources.values() if s.task == name}
            for size in {None, *sizes}:
                yield pin_path(folder, there.tasks, name, size)


def _set_rows_aside(change: Change, folder: StudyFolder) -> None:
    """Keeps generated rows for the study that planned them, and brings back what fits this one."""
    rows = folder.synthesis()
    old, new = (
        digest(study.identity_of(study.runs[SYNTHESIS])) if SYNTHESIS in study.runs else ""
        for study in (change.there, change.here)
    )
    if old and old != new and rows.is_dir():
        place = rows.with_name(f"{rows.name}-{old}")
        number = 1
        while place.exists():
            number += 1
            place = rows.with_name(f"{rows.name}-{old}-{number}")
        rows.rename(place)
    # also where nothing changed: whoever was killed before study.json was written left them there
    kept = rows.with_name(f"{rows.name}-{new}")
    if new and kept.is_dir() and not rows.exists():
        kept.rename(rows)

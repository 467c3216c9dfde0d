"""A study that has begun, beside another that is done: for tests of what is taken over."""

from pathlib import Path

from launcher.study.outstanding import outstanding
from launcher.study.resolve import ResolvedStudy
from launcher.study.reuse import other_studies, take_over
from stilt.folder import StudyFolder, write_study
from stilt.grid import Grid
from stilt.records.claims import lives_here
from stilt.records.pins import Pin, pin_name
from stilt.records.results import Result, SourceResult, read_record
from stilt.records.validity import rows_of
from stilt.study import bind
from stilt.system.console import Output
from stilt.system.files import write_text
from tests.support.fake_study import EIGHT_CELLS, make_study


def block(**changes):
    """The grid of eight cells with other axes."""
    return EIGHT_CELLS | {"blocks": [EIGHT_CELLS["blocks"][0] | changes]}


def make_done(root: Path, name: str = "done", grid=EIGHT_CELLS, **options) -> StudyFolder:
    """A study of which everything is there."""
    make_study(root / name, grid=grid, **options)
    return StudyFolder(root / name)


def begun(root: Path, name: str = "new", grid=EIGHT_CELLS, like: StudyFolder | None = None):
    """A study that has begun with the rows of another one, and has run nothing."""
    study = bind(Grid.model_validate(grid), "made-up-model", name=name)
    folder = StudyFolder(root / name)
    write_study(study, folder)
    for run in study.runs.values() if like else ():
        model = SourceResult if run.source else Result
        record = read_record(model, like.record(run)) if run.task else None
        if record is not None and record.dev is not None:
            pin = Pin(
                digest=record.data,
                train=record.train_rows,
                dev=record.dev_rows,
                gold=record.dev.gold,
                where="rows of the test",
            )
            path = folder.data_digest(pin_name(*rows_of(run)))
            write_text(path, pin.model_dump_json() + "\n")
    return ResolvedStudy(study, folder, None, None, root / "cache")


def lacks(resolved):
    """What a study lacks."""
    return outstanding(resolved.study, resolved.folder, lives_here)


def taken(resolved, capsys, named=()):
    """Takes over from the studies beside it; returns what was said."""
    others = other_studies(resolved.folder, named)
    console = Output(soft_wrap=True)
    take_over(resolved, lacks(resolved), others, lives_here, console)
    return capsys.readouterr().out


def everything(folder: StudyFolder):
    """Content, time of change and mode of every file below a folder."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in sorted(folder.path.rglob("*"))
        if path.is_file()
    }


def source_of(resolved):
    """Id of the one source of a study."""
    (source,) = resolved.study.sources
    return source


def weights(folder, source):
    """Where a study keeps the weights of a source."""
    return folder.source(source) / "model.safetensors"

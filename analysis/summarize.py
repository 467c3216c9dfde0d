"""Result files -> tables, exports, figures and a report: ``python analysis/summarize.py STUDY``.

Works at any moment, also while the study runs: it says what is missing.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # as a script, it runs its own checkout's code, whatever is installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stilt.system.command import run_command

from functools import partial
from typing import Annotated

import tyro

from analysis.flags import DEFAULT, NO_PREDICTIONS, Definition, Format, Report, Scope, Wanted


def summarize(
    studies: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[STUDY ...]")
    ] = (),
    /,
    *,
    root: Path = Path("logs"),
    degenerate: Definition = DEFAULT,
    interval: Scope = "whole",
    interim: bool = False,
    format: Format = "table",  # the flag's name
    whole: Annotated[bool, tyro.conf.arg(name="all")] = False,
    report: tyro.conf.UseAppendAction[tuple[Report, ...]] = (),
    compare: tuple[str, str] | None = None,
    pool: str | None = None,
    no_figures: bool = False,
    answers: Annotated[Wanted, tyro.conf.arg(name="")] = NO_PREDICTIONS,
    out: Path | None = None,
    bundle: Path | None = None,
    anonymous: bool = False,
) -> int:
    """Turns the results of studies into what goes in the paper.

    Args:
        studies: names below the root, or paths; all studies below the root if none is given.
        root: folder that holds the studies.
        degenerate: rule for degenerate runs. majority: the score is not above the best constant
            answer's. margin: not above it by 1.645 standard errors. auto: majority, or margin
            where majority would miss over a tenth of the runs that learnt nothing. constant: one
            class is predicted. loss: the smoothed training loss never fell below ln K.
        interval: what intervals and p of mean differences generalise to: new dev examples, too
            (whole), or configurations and seeds alone (narrow).
        interim: show a p that stays valid however often it is looked at, also before a comparison
            has all its pairs.
        format: of what is printed; every format is written to the study's summary folder anyway.
        whole: print all tables: also median and other rules for degenerate runs, variance, flipped
            answers, power, sources, hyperparameters, and the paper's tables that the study has.
        report: print this table or figure of the paper alone, with a study's numbers beside the
            paper's; may be repeated.
        compare: two studies, the second to be subtracted from the first, cell by cell.
        pool: show the studies as one of this name, each cell counted once; refused where their
            models, recipes, tasks or data differ. Written to a folder of that name below root.
        no_figures: draw no figures and write no report.html.
        answers: see ``Wanted``.
        out: folder that gets a folder for each study, in place of the study's own summary folder:
            for studies of others, which are then only read.
        bundle: also write one study for others to this zip file: its records, tables, figures, and
            a checklist on how it was made; without weights, texts and credentialed data.
        anonymous: leave names of hosts, users, accounts and folders out of that file.
    """
    # --help and a wrong flag do without polars, and all that a summary needs
    from analysis import summary
    from analysis.stats.differences import Question

    return summary.summarize(
        studies,
        Question(degenerate, interval, interim),
        root=root,
        format=format,
        whole=whole,
        report=report,
        compare=compare,
        pool=pool,
        figures=not no_figures,
        answers=answers,
        out=out,
        bundle=bundle,
        anonymous=anonymous,
    )


main = partial(run_command, summarize, "summarize")


if __name__ == "__main__":
    raise SystemExit(main())

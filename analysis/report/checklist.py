"""A bundle's sheet: the experiment section of ARR's Responsible NLP Research checklist, answered.

Source: https://aclrollingreview.org/responsibleNLPresearch/, sections B2, B6 and C.
"""

from collections.abc import Sequence

from analysis.report.facts import Group
from analysis.tables.presentation import TextTable, as_markdown, plain
from stilt.study import Study

INTRODUCTION = (
    "Answers to the sections on experiments (C), licences (B2) and data (B6) of the Responsible "
    "NLP Research checklist, made from the records in this bundle. Behind each answer stands the "
    "file that it comes from."
)
LEFT_OUT = (
    "Weights of models: each source's `result.json` has SHA-256 digests of its checkpoint, and its "
    "grid, data and seed train it again.",
    "Texts of the data: `data/` has digests, numbers and development labels of rows. Results hold "
    "the predicted and the correct class of each development row, no text.",
    "Logs of jobs.",
)
FILES = {
    "study.json": "the resolved study: grid, model, task definitions, revisions",
    "calibration.json": "the measured speed by which the study's hours were predicted",
    "results/": "one line of JSON for each cell that ended",
    "sources/": "the same for each source",
    "failures/": "why other cells have no result",
    "data/": "digests, numbers and development labels of the rows that the study was begun with",
    "summary/": "tables, figures and the report; `summary.md` and `report.html` to begin with",
    "environment.json": "machines, devices, package versions and code of the runs",
    "commands.txt": "commands that made the runs, and these tables",
    "ro-crate-metadata.json": "this bundle described for machines, by RO-Crate 1.2",
}
"""What a bundle holds, where it is there."""


def checklist(
    study: Study,
    groups: Sequence[Group],
    results: Sequence[TextTable],
    withheld: Sequence[str],
    command: str,
    held: Sequence[str],
    *,
    anonymous: bool = False,
) -> str:
    """The sheet, in Markdown.

    Args:
        study: for its title.
        groups: of ``analysis.report.facts.facts``.
        results: tables with the statistics that C3 asks for.
        withheld: titles of tasks whose predictions, labels and messages are left out.
        command: makes the tables again from the unpacked bundle.
        held: names of ``FILES`` that are in the bundle.
        anonymous: whether who ran it was left out.
    """
    lines = [f"# {plain(study.grid.title or study.name)}: reproducibility checklist", ""]
    lines += [INTRODUCTION, ""]
    for group in groups:
        lines += [f"## {group.letter}. {group.title}", ""]
        lines += [f"- **{plain(f.what)}**: {plain(f.answer)} (`{f.file}`)" for f in group.facts]
        lines.append("")
        tables = [*group.tables, *(results if group.letter == "C3" else ())]
        lines += [as_markdown(table) for table in tables]
    lines += ["## What is not here", "", *(f"- {one}" for one in LEFT_OUT)]
    if withheld:
        lines.append(
            f"- Predictions, labels and messages of {plain(', '.join(withheld))}: data for persons "
            "with a credential alone. Intervals of these targets hold the development rows fixed, "
            "and what needs predictions is not shown."
        )
    lines += ["", "## What is here, and the tables again", ""]
    lines += [f"- `{name}`: {FILES[name]}" for name in held]
    lines += [
        "",
        "Without any training, in a folder where this program is installed and the bundle is "
        "unpacked as `bundle`:",
        "",
        f"    {command}",
        "",
        "Names of hosts, users, accounts and folders were replaced."
        if anonymous
        else "Records and commands name hosts, jobs and folders as they were: --anonymous leaves "
        "them out.",
    ]
    return "\n".join(lines) + "\n"

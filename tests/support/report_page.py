"""A study for the tests of the report, its report, and the page taken apart."""

from html.parser import HTMLParser
from pathlib import Path

from analysis.read.collect import collect
from analysis.report.facts import facts
from analysis.report.page import write_report
from analysis.stats.degenerate import DEFAULT, degenerate
from analysis.stats.differences import Question, differences_against_none
from analysis.stats.examples import answers_of
from analysis.stats.summary import summarize_cells
from stilt.folder import StudyFolder
from stilt.study import Study

REPORT_GRID = {
    "name": "report",
    "title": "Small & <b>bold</b> study",
    "model": {"hub": "org/encoder", "revision": "0" * 40},
    "blocks": [
        {
            "sources": ["none", "hellaswag", {"task": "hellaswag-p", "train_size": 1000}],
            "targets": ["rte", "cola"],
            "learning_rate": [1e-5, 2e-5],
            "batch_size": [8, 16],
            "warmup_ratio": [0.0],
            "seed": [12, 42],
        }
    ],
    "evaluate": [{"sources": ["none", "hellaswag"], "tasks": ["socialiqa"]}],
}
"""3 sources x 2 targets x 8 configurations = 48 cells, and 2 evaluations."""
CELLS = 50
PROBLEMS = ("Mixed: 2 devices.", "  <i>deep</i>")
VOID = {"meta", "link", "input", "img", "br", "hr", "col"}


class Page(HTMLParser):
    """Tags, text and links of a page; complains about tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        assert self.open == [], self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        (self.scripts if self.open[-1:] == ["script"] else self.texts).append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def built(folder: StudyFolder, study: Study, *, figures=(), problems=()) -> Path:
    """The report of a study, from its files."""
    collection = collect(folder, study)
    cells = collection.cells.with_columns(degenerate(DEFAULT))
    summary = summarize_cells(cells)
    return write_report(
        collection,
        summary,
        differences_against_none(cells, answers_of(cells)),
        list(figures),
        list(problems),
        facts=facts(collection, summary, Question()),
    )

"""The report as a file (here), and in a real browser (the tests marked slow)."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import polars as pl
import pytest

from analysis.figures.pictures import write_figures
from analysis.read.collect import collect
from analysis.report.page import HERE, write_report
from analysis.report.sentences import sentences
from analysis.stats.degenerate import degenerate
from analysis.stats.summary import differences_against_none, summarize_cells
from stilt.folder import StudyFolder
from stilt.records.results import Failure, Result, read_record, write_record
from stilt.study import Study
from tests.support.browser import Browser, chromium
from tests.support.fake_study import fail_source, make_study

GRID = {
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
    collection = collect(folder, study)
    cells = collection.cells.with_columns(degenerate("majority"))
    return write_report(
        collection,
        summarize_cells(cells),
        differences_against_none(cells),
        list(figures),
        list(problems),
    )


def change(path: Path, model, **fields) -> None:
    """Changes fields of a record on disk."""
    record = read_record(model, path)
    write_record(model.model_validate(record.model_dump() | fields), path)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report with cells of every status, and with figures: (path, study, folder)."""
    folder = StudyFolder(tmp_path_factory.mktemp("logs") / "report")
    study = make_study(
        folder.path, grid=GRID, missing=0.1, failed=0.1, diverged=0.15, degenerate=0.3, seed=3
    )
    for failure in folder.failures.iterdir():
        log = folder.logs / f"{failure.stem}.log"
        log.parent.mkdir(exist_ok=True)
        log.write_text("what happened\n")
    cells = collect(folder, study).cells.with_columns(degenerate("majority"))
    figures = write_figures(cells, study, folder.summary)
    return built(folder, study, figures=figures, problems=PROBLEMS), study, folder


@pytest.fixture(scope="module")
def page(report) -> Page:
    return Page(report[0].read_text(encoding="utf-8"))


def test_the_page_is_well_formed_and_its_ids_are_unique(page):
    ids = Counter(attributes["id"] for _, attributes in page.tags if "id" in attributes)
    assert max(ids.values()) == 1
    labels = {a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a}
    assert labels <= set(ids)


def test_every_cell_is_shown_with_its_status_also_those_without_a_result(report, page):
    _, study, folder = report
    cells = collect(folder, study).cells
    assert len(cells) == CELLS
    assert set(cells["status"]) == {"ok", "diverged", "failed", "missing"}
    shown = Counter(row["data-status"] for row in page.all("tr") if "data-status" in row)
    assert shown == Counter(cells["status"].to_list())
    assert all(cell in page.text for cell in cells["cell"])


def test_every_source_and_target_has_a_part_that_the_results_link_to(page):
    parts = {part["id"]: part for part in page.all("details")}
    assert len(parts) == 8
    linked = {a["href"][1:] for a in page.all("a") if (a["href"] or "").startswith("#part")}
    assert linked == set(parts)
    assert {(p["data-source"], p["data-target"]) for p in parts.values()} >= {
        ("none", "rte"),
        ("hellaswag-p@1000", "cola"),
        ("hellaswag", "socialiqa"),
    }


def test_every_link_leads_to_something_there_is(report, page):
    path, _, _ = report
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = [a["href"] for a in page.all("a")]
    assert sum(link.startswith("../logs/") for link in links) >= 1
    assert sum(link.startswith("../results/") for link in links) >= 1
    for link in links:
        parts = urlsplit(link)
        assert not parts.scheme
        assert not parts.netloc
        if parts.path:
            assert (path.parent / unquote(parts.path)).is_file(), link
        else:
            assert parts.fragment in ids


def test_nothing_is_loaded_from_anywhere(page):
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in page.all("img"))
    assert not page.all("link")
    assert not any("src" in script for script in page.all("script"))
    assert "@import" not in (HERE / "report.css").read_text()
    assert "url(" not in (HERE / "report.css").read_text()


def test_every_figure_is_shown_with_words_for_those_who_cannot_see_it(page):
    assert len(page.all("img")) == 4
    assert all(image["alt"] for image in page.all("img"))
    assert len(page.all("figcaption")) == 4


def test_failures_stand_with_their_reasons(report, page):
    _, study, folder = report
    failed = collect(folder, study).cells.filter(pl.col("status") == "failed")
    for kind, message in failed.select("failure_kind", "failure_message").iter_rows():
        assert f"failed: {kind} {message}" in page.text
    assert page.text.count("Runs that ended without a result") == 1


def test_a_failed_source_is_named_among_the_failures(tmp_path):
    folder = StudyFolder(tmp_path / "s")
    study = make_study(folder.path, grid=GRID)
    source = study.source_named("hellaswag")
    fail_source(folder, study, source)
    page = Page(built(folder, study).read_text(encoding="utf-8"))
    assert "HellaSwag its own training" in page.text
    assert any(a["href"] == f"../failures/{source.id}.json" for a in page.all("a"))


def test_what_comes_from_files_is_text_never_markup(tmp_path):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
    folder = StudyFolder(tmp_path / "s & <s>")
    study = make_study(folder.path, grid=GRID, failed=0.3, name="evil")
    failure = next(iter(sorted(folder.failures.iterdir())))
    change(failure, Failure, message=evil, host=evil, log="javascript:alert(1)//x.log")
    ended = next(iter(sorted(folder.results.iterdir())))
    made = read_record(Result, ended).provenance
    hostile = made.model_copy(update={"host": evil, "command": evil, "versions": {evil: evil}})
    change(ended, Result, provenance=hostile.model_dump())
    page = Page(built(folder, study, problems=[evil]).read_text(encoding="utf-8"))
    assert page.scripts == [(HERE / "report.js").read_text()]
    assert not page.all("img")
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count(evil) >= 5
    assert not page.all("b")
    assert all(not urlsplit(a["href"]).scheme for a in page.all("a"))


@pytest.mark.parametrize("log", ["../../../etc/passwd", "/etc/passwd"])
def test_a_log_outside_the_study_is_not_linked(tmp_path, log):
    folder = StudyFolder(tmp_path / "s")
    study = make_study(folder.path, grid=GRID, failed=0.2)
    for failure in folder.failures.iterdir():
        change(failure, Failure, log=log)
    page = Page(built(folder, study).read_text(encoding="utf-8"))
    assert not any("passwd" in a["href"] for a in page.all("a"))


def test_the_same_study_gives_the_same_bytes(report):
    path, study, folder = report
    before = path.read_bytes()
    figures = sorted(folder.summary.glob("*.*g")) + sorted(folder.summary.glob("*.pdf"))
    path.unlink()
    assert built(folder, study, figures=figures, problems=PROBLEMS).read_bytes() == before


def test_the_policy_lets_only_our_own_script_and_style_run(page):
    policy = next(
        meta["content"]
        for meta in page.all("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert len(page.all("script")) == 1
    assert not any("style" in attributes for _, attributes in page.tags)


def test_a_study_without_any_result_has_a_report(tmp_path):
    folder = StudyFolder(tmp_path / "s")
    study = make_study(folder.path, grid=GRID, missing=1.0, sources=False)
    page = Page(built(folder, study).read_text(encoding="utf-8"))
    assert "0 of the grid's 50 cells have a score; 50 have no result yet." in page.text
    assert page.text.count("missing") >= CELLS


def test_every_control_has_a_label_and_every_head_a_scope(page):
    assert len(page.all("label")) == len(page.all("input")) + len(page.all("select"))
    assert all("scope" in head for head in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"


def test_text_has_enough_contrast_in_light_and_dark():
    style = (HERE / "report.css").read_text()
    schemes = [
        dict(re.findall(r"--(\w+): (#\w+)", part)) for part in re.findall(r":root \{[^}]*\}", style)
    ]
    assert len(schemes) == 3
    for colours in schemes[:2]:
        for name in ("text", "soft", "link", "ok", "bad", "warn"):
            for ground in ("ground", "band", "note"):
                assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * x for x in colour[1:])
        parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def test_a_difference_says_on_how_many_pairs_it_rests_where_not_on_all(tmp_path):
    block = GRID["blocks"][0] | {"sources": ["none", "hellaswag"], "targets": ["rte"]}
    more = block | {"sources": ["hellaswag"], "learning_rate": [5e-6]}
    folder = StudyFolder(tmp_path / "s")
    study = make_study(folder.path, grid=GRID | {"blocks": [block, more], "evaluate": []})
    page = Page(built(folder, study).read_text(encoding="utf-8"))
    assert page.text.count(" 8 pairs ") == 1
    study = make_study(tmp_path / "t", grid=GRID | {"blocks": [block], "evaluate": []})
    page = Page(built(StudyFolder(tmp_path / "t"), study).read_text(encoding="utf-8"))
    assert " pairs " not in page.text.replace("over pairs with", "")


def words(tmp_path, score, **options) -> list[str]:
    """Sentences about a study of two sources and one target."""
    block = GRID["blocks"][0] | {"sources": ["none", "hellaswag"], "targets": ["rte"]}
    grid = GRID | {"blocks": [block], "evaluate": []}
    folder = StudyFolder(tmp_path / "s")
    study = make_study(folder.path, grid=grid, score=score, dev_rows=100, **options)
    cells = collect(folder, study).cells
    summary = summarize_cells(cells)
    return sentences(study, summary, differences_against_none(cells), "majority")


def test_sentences_say_what_the_numbers_say(tmp_path):
    found = words(tmp_path, lambda cell: 0.80 if cell.source == "hellaswag" else 0.75)
    assert found == [
        "All 16 cells of the grid have a score.",
        "HellaSwag has a higher mean than None on 1 of 1 target (+5.0 points on RTE) and a higher "
        "best run on 1; after Holm's correction the mean is clearly higher on 0 and clearly lower "
        "on 0 (p < 0.05).",
        "Highest mean score × 100: on RTE HellaSwag (80.0).",
        "Degenerate runs (final dev score not above the majority class (MCC not above 0), or a "
        "non-finite loss), all targets: None 0 of 8 (0.0 %); HellaSwag 0 of 8 (0.0 %).",
    ]


def test_sentences_of_an_unfinished_study_say_that_numbers_may_change(tmp_path):
    found = words(tmp_path, None, failed=0.4)
    assert re.match(r"\d+ of the grid's 16 cells have a score; \d+ failed\.", found[0])
    assert "may still change" in found[1]


def test_sentences_say_what_a_diverged_run_counts_as(tmp_path):
    found = words(tmp_path, None, diverged=0.4)
    assert re.match(r"\d+ of the grid's 16 cells have a score; \d+ diverged\.", found[0])
    assert found[1] == "A diverged run counts as the majority class's score."
    assert not any("may still change" in sentence for sentence in found)


def test_the_results_say_what_a_diverged_run_counts_as(page):
    assert "over the runs that ended. A diverged run counts as the majority class's" in page.text


# --- in a browser ---


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    binary = chromium()
    if binary is None:
        pytest.skip("no Chromium on this machine (looked for chromium, google-chrome, chrome)")
    with Browser(binary, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def opened(browser, report):
    """The report, freshly opened in a wide window."""
    browser.complaints.clear()
    browser.requests.clear()
    browser.resize(1200, 900)
    browser.open(report[0])
    yield browser
    assert browser.complaints == []


VALUES = """[...document.querySelectorAll("#results-table tbody tr:not([hidden])")]
    .map((row) => row.cells[{column}].dataset.v ?? row.cells[{column}].innerText)"""


def column(browser, number: int) -> list[str]:
    return browser.run(VALUES.format(column=number))


def head(browser, number: int, what: str):
    return browser.run(f"document.querySelectorAll('#results-table thead th')[{number}].{what}")


@pytest.mark.slow
def test_it_loads_without_a_complaint_and_asks_for_nothing_but_itself(opened, report):
    assert opened.requests == [report[0].as_uri()]
    assert opened.run("[...document.images].every((i) => i.complete && i.naturalWidth > 100)")


@pytest.mark.slow
def test_a_click_sorts_a_second_one_reverses_a_third_restores(opened):
    original = column(opened, 4)
    for order, key in (("ascending", 1), ("descending", -1)):
        head(opened, 4, "querySelector('button').click()")
        assert head(opened, 4, "getAttribute('aria-sort')") == order
        found = [float(value) for value in column(opened, 4) if value]
        assert found == sorted(found, key=lambda value: key * value)
    head(opened, 4, "querySelector('button').click()")
    assert head(opened, 4, "getAttribute('aria-sort')") == "none"
    assert column(opened, 4) == original


@pytest.mark.slow
def test_what_has_no_value_is_last_in_both_directions(opened):
    for _ in range(2):
        head(opened, 9, "querySelector('button').click()")
        values = column(opened, 9)
        empty = [place for place, value in enumerate(values) if value == ""]
        assert empty == list(range(len(values) - len(empty), len(values)))
        assert 0 < len(empty) < len(values)


@pytest.mark.slow
def test_sorting_one_column_takes_the_mark_from_the_other(opened):
    head(opened, 4, "querySelector('button').click()")
    head(opened, 1, "querySelector('button').click()")
    assert head(opened, 4, "getAttribute('aria-sort')") == "none"
    assert column(opened, 1) == sorted(column(opened, 1), key=str.lower)


@pytest.mark.slow
def test_a_table_is_sorted_from_the_keyboard(opened):
    head(opened, 3, "querySelector('button').focus()")
    opened.press("Enter", 13, "\r")
    assert head(opened, 3, "getAttribute('aria-sort')") == "ascending"
    assert opened.run("document.activeElement.closest('th').cellIndex") == 3


def choose(browser, form: str, name: str, value: str) -> str:
    """Fills in a filter; returns what it says."""
    return browser.run(
        f"(() => {{ const form = document.querySelector('{form} form.filter');"
        f"form.elements['{name}'].value = {json.dumps(value)};"
        "form.dispatchEvent(new Event('input'));"
        "return form.querySelector('output').textContent; })()"
    )


@pytest.mark.slow
def test_results_are_filtered_by_target_and_by_words(opened):
    assert choose(opened, "#results", "target", "rte") == "3 of 8 rows"
    assert set(column(opened, 0)) == {"RTE"}
    assert choose(opened, "#results", "q", "swag-P") == "1 of 8 rows"
    assert column(opened, 1) == ["HellaSwag-p@1k"]
    assert choose(opened, "#results", "q", "no such thing") == "0 of 8 rows"


@pytest.mark.slow
def test_clear_shows_everything_again(opened):
    choose(opened, "#results", "q", "no such thing")
    opened.run("document.querySelector('#results button[type=reset]').click()")
    assert opened.run("new Promise((go) => setTimeout(go, 50))") is None
    assert len(column(opened, 0)) == 8


@pytest.mark.slow
@pytest.mark.parametrize("status", ["failed", "missing", "diverged", "ok"])
def test_cells_are_filtered_by_status_and_empty_parts_hide(opened, report, status):
    _, study, folder = report
    wanted = collect(folder, study).cells.filter(pl.col("status") == status)
    assert choose(opened, "#cells", "status", status) == f"{len(wanted)} of {CELLS} rows"
    shown = opened.run(
        "[...document.querySelectorAll('#cells tbody tr')].filter((row) => row.checkVisibility())"
        ".map((row) => row.cells[0].innerText)"
    )
    assert sorted(shown) == sorted(wanted["cell"])
    parts = len(wanted.select("source", "target").unique())
    visible = "[...document.querySelectorAll('details')].filter((x) => x.checkVisibility()).length"
    assert opened.run(visible) == parts


@pytest.mark.slow
def test_a_link_of_the_results_opens_its_part(opened):
    opened.run("document.querySelector('#results-table tbody a').click()")
    opened.run("new Promise((go) => setTimeout(go, 100))")
    assert opened.run("document.querySelector('details[open] h3').innerText") == "RTE from None"
    assert opened.run("document.querySelectorAll('details[open]').length") == 1


@pytest.mark.slow
def test_an_address_with_a_part_opens_it(browser, report):
    browser.open(report[0], "#part-2-hellaswag-rte")
    assert browser.run("document.querySelector('details[open]').id") == "part-2-hellaswag-rte"


@pytest.mark.slow
def test_without_scripts_everything_is_there_and_nothing_pretends_to_work(browser, report):
    browser.scripts(on=False)
    try:
        browser.open(report[0])
        assert browser.run("document.querySelectorAll('#results-table tbody tr').length") == 8
        assert browser.run("document.querySelectorAll('thead button').length") == 0
        visible = "[...document.querySelectorAll('form, .tools')].some((x) => x.checkVisibility())"
        assert browser.run(visible) is False
    finally:
        browser.scripts(on=True)


@pytest.mark.slow
def test_dark_is_dark_and_light_is_light(opened):
    ground = "getComputedStyle(document.body).backgroundColor"
    try:
        opened.media(prefers_color_scheme="dark")
        assert opened.run(ground) == "rgb(21, 23, 26)"
    finally:
        opened.media(prefers_color_scheme="light")
    assert opened.run(ground) == "rgb(255, 255, 255)"


@pytest.mark.slow
def test_a_narrow_window_scrolls_tables_not_the_page(opened):
    opened.resize(400, 800)
    opened.run("document.querySelectorAll('details').forEach((x) => { x.open = true; })")
    assert opened.run("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_it_prints(opened, tmp_path):
    opened.pdf(tmp_path / "report.pdf")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", content)) > 3


@pytest.mark.slow
def test_a_page_that_is_broken_is_noticed(browser, tmp_path):
    broken = tmp_path / "broken.html"
    broken.write_text("<script>nothing.there()</script>")
    browser.complaints.clear()
    browser.open(broken)
    assert "ReferenceError" in browser.complaints[0]
    browser.complaints.clear()


def test_of_many_cells_those_that_went_wrong_are_listed_and_the_rest_is_counted(
    tmp_path, monkeypatch
):
    folder = StudyFolder(tmp_path / "many")
    study = make_study(
        folder.path, grid=GRID, missing=0.2, failed=0.1, diverged=0.1, degenerate=0.2, seed=4
    )
    statuses = collect(folder, study).cells["status"].to_list()
    monkeypatch.setattr("analysis.report.page.SHOWN", 4)
    page = built(folder, study).read_text()
    section = page[page.index('<section id="cells"') : page.index('<section id="choices"')]
    listed = re.findall(r'<tr data-status="(\w+)"', section)
    left_out = [int(n) for n in re.findall(r"<p>(\d+) more stand in", section)]
    assert len(listed) + sum(left_out) == len(statuses)
    assert len(listed) < len(statuses)
    # no part here has more than that go wrong
    assert listed.count("failed") == statuses.count("failed")
    assert listed.count("diverged") == statuses.count("diverged")

"""The report in a real browser."""

import json
import re

import polars as pl
import pytest

from analysis.read.collect import collect
from stilt.folder import StudyFolder
from stilt.grid import Grid
from stilt.study import bind
from tests.support.browser import Browser, chromium
from tests.support.fake_study import make_study
from tests.support.report_page import CELLS, REPORT_GRID, built


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
@pytest.mark.parametrize("width", [500, 1400])
def test_no_picture_or_caption_is_cut_and_the_page_does_not_scroll_sideways(opened, width):
    opened.resize(width, 1000)
    assert opened.run("document.documentElement.scrollWidth <= innerWidth")
    cut = "[...document.querySelectorAll('.picture, .caption, figcaption, p, li, dd')]"
    assert opened.run(f"{cut}.filter((x) => x.scrollWidth > x.clientWidth + 1).length") == 0
    shown = "[...document.querySelectorAll('img, .caption')].map((x) => x.getBoundingClientRect())"
    assert opened.run(f"{shown}.every((x) => x.left >= 0 && x.right <= innerWidth)")


@pytest.fixture(scope="module")
def long_titles(tmp_path_factory):
    """The report of a study whose tasks have long titles, as those of a demo have."""
    folder = StudyFolder(tmp_path_factory.mktemp("logs") / "long")
    targets = ["rte", "cola", "socialiqa"]
    source = {"task": "hellaswag-p", "train_size": 1000, "seeds": [1, 2]}
    block = REPORT_GRID["blocks"][0] | {"sources": ["none", "hellaswag", source]}
    grid = REPORT_GRID | {"blocks": [block | {"targets": targets}]}
    plain = bind(Grid.model_validate(grid), "model", name="long")
    titles = ["OpenBookQA (demo)", "CommonsenseQA", "SocialIQA (demo)"]
    named = dict(zip([*targets, "hellaswag", "hellaswag-p"], titles + titles[1::-1], strict=True))
    tasks = {
        name: task.model_copy(update={"title": named.get(name, task.title)})
        for name, task in plain.tasks.items()
    }
    study = plain.model_copy(update={"tasks": tasks})
    make_study(folder.path, bound=study, missing=0.05, failed=0.05, diverged=0.1)
    return built(folder, study)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 1400])
def test_a_wide_window_has_room_for_all_tables(browser, report, long_titles, width):
    browser.resize(width, 1000)
    for page in (report[0], long_titles):
        browser.open(page)
        browser.run("document.querySelectorAll('details').forEach((x) => { x.open = true; })")
        wide = (
            "[...document.querySelectorAll('.scroll')].filter((x) => x.scrollWidth > x.clientWidth)"
        )
        assert browser.run(f"{wide}.map((x) => x.innerText.slice(0, 40))") == []


@pytest.mark.slow
def test_a_small_window_shows_every_column_of_results_by_scrolling_the_table(browser, long_titles):
    browser.resize(500, 1000)
    browser.open(long_titles)
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    last = "document.querySelector('#results-table th:last-child')"
    browser.run(f"{last}.scrollIntoView({{inline: 'end'}})")
    assert browser.run(f"{last}.getBoundingClientRect().right <= innerWidth")


@pytest.mark.slow
def test_dark_turns_no_scale_of_lightness_round(opened):
    filters = "getComputedStyle(document.querySelector('#figure-{name} img')).filter"
    try:
        opened.media(prefers_color_scheme="dark")
        assert "invert" not in opened.run(filters.format(name="heatmap"))
        assert "invert" in opened.run(filters.format(name="violins"))
    finally:
        opened.media(prefers_color_scheme="light")


@pytest.mark.slow
def test_all_parts_are_open_on_paper_and_closed_again_after(opened):
    # what Chromium sends before and after it prints
    count = "document.querySelectorAll('details.part[open]').length"
    parts = opened.run("document.querySelectorAll('details.part').length")
    opened.run("document.querySelector('#cells details').open = true")
    opened.run("window.dispatchEvent(new Event('beforeprint'))")
    assert opened.run(count) == parts
    opened.run("window.dispatchEvent(new Event('afterprint'))")
    assert opened.run(count) == 1


@pytest.mark.slow
def test_all_parts_are_on_paper_without_scripts_too(browser, report, tmp_path):
    browser.scripts(on=False)
    try:
        browser.open(report[0])
        browser.pdf(tmp_path / "static.pdf")
    finally:
        browser.scripts(on=True)
    browser.open(report[0])
    browser.pdf(tmp_path / "report.pdf")
    pages = [
        len(re.findall(rb"/Type /Page\b", (tmp_path / name).read_bytes()))
        for name in ("static.pdf", "report.pdf")
    ]
    assert pages[0] == pages[1]
    browser.run("document.querySelector('#cells').remove()")
    browser.pdf(tmp_path / "short.pdf")
    assert len(re.findall(rb"/Type /Page\b", (tmp_path / "short.pdf").read_bytes())) < pages[1]


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

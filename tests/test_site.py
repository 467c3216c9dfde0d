"""The site has every page and no link that leads nowhere; ``make docs`` builds it."""

import runpy
import tomllib

import pytest

from tests.test_architecture import ROOT

SITE = runpy.run_path(str(ROOT / "docs/build_site.py"))
NAMES = sorted(SITE["gather"]())


def in_menu(items):
    """Names of the pages that a menu leads to."""
    for item in items:
        for value in item.values():
            yield from in_menu(value) if isinstance(value, list) else [value]


def test_the_menu_leads_to_every_page_once():
    with (ROOT / "zensical.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert sorted(in_menu(project["nav"])) == NAMES
    assert (project["docs_dir"], project["site_dir"]) == (SITE["PAGES"], SITE["SITE"])


def test_no_page_of_the_site_links_to_code():
    for name, text in SITE["gather"]().items():
        for _, _, target in SITE["LINK"].findall(text):
            file = target.partition("#")[0]
            assert not file or "://" in file or file.endswith((".md", *SITE["ASSETS"])), name


def test_links_to_pages_and_to_code_are_written_for_the_site():
    pages = SITE["gather"]()
    assert "[docs/choices.md](choices.md)" in pages["index.md"]
    assert "![violin plots of the demo](violins.png)" in pages["index.md"]
    assert "`Study.cells` (`stilt/study.py`)" in pages["architecture.md"]
    assert "[examples](examples.md)" in pages["quick-start.md"]
    assert "[Add a task](../tasks.md)" in pages["reference/task.md"]


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("other/", []),
        ("other/#there", []),
        ("#here", []),
        ("https://example.org/x", []),
        ("othr/", ["index.html: othr/"]),
        ("other/#nowhere", ["index.html: other/#nowhere"]),
        ("#nowhere", ["index.html: #nowhere"]),
        ("picture.svg", ["index.html: picture.svg"]),
    ],
)
def test_a_link_that_leads_nowhere_is_told(tmp_path, link, said):
    (tmp_path / "other").mkdir()
    (tmp_path / "index.html").write_text(f'<h1 id="here">x</h1><a href="{link}">y</a>')
    (tmp_path / "other/index.html").write_text('<h1 id="there">x</h1><a href="../">back</a>')
    assert SITE["broken"](tmp_path) == said

"""The report as a file: what stands in it, its links, and what it keeps out."""

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import polars as pl
import pytest

from analysis.read.collect import collect
from analysis.report.page import HERE
from stilt.folder import StudyFolder
from stilt.records.results import Failure, Result, read_record, write_record
from tests.support.fake_study import fail_source, make_study
from tests.support.report_page import CELLS, PROBLEMS, REPORT_GRID, Page, built


def change(path: Path, model, **fields) -> None:
    """Changes fields of a record on disk."""
    record = read_record(model, path)
    write_record(model.model_validate(record.model_dump() | fields), path)


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


def test_the_head_and_the_facts_tell_the_same_hours_sources_included(report, page):
    _, study, folder = report
    collection = collect(folder, study)
    took = pl.concat([collection.cells["seconds"], collection.sources["seconds"]]).sum()
    told = f"{took / 3600:.2f}"
    assert f", {told} hours of computing." in page.text
    assert f"Hours in all {told} of " in page.text


def test_nothing_is_loaded_from_anywhere(page):
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in page.all("img"))
    assert not page.all("link")
    assert not any("src" in script for script in page.all("script"))
    assert "@import" not in (HERE / "page.css").read_text()
    assert "url(" not in (HERE / "page.css").read_text()


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
    study = make_study(folder.path, grid=REPORT_GRID)
    source = study.source_named("hellaswag")
    fail_source(folder, study, source)
    page = Page(built(folder, study).read_text(encoding="utf-8"))
    assert "HellaSwag its own training" in page.text
    assert any(a["href"] == f"../failures/{source.id}.json" for a in page.all("a"))


def test_what_comes_from_files_is_text_never_markup(tmp_path):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
    folder = StudyFolder(tmp_path / "s & <s>")
    study = make_study(folder.path, grid=REPORT_GRID, failed=0.3, name="evil")
    failure = next(iter(sorted(folder.failures.iterdir())))
    change(failure, Failure, message=evil, host=evil, log="javascript:alert(1)//x.log")
    ended = next(iter(sorted(folder.results.iterdir())))
    made = read_record(Result, ended).provenance
    hostile = made.model_copy(update={"host": evil, "command": evil, "versions": {evil: evil}})
    change(ended, Result, provenance=hostile.model_dump())
    page = Page(built(folder, study, problems=[evil]).read_text(encoding="utf-8"))
    assert page.scripts == [(HERE / "page.js").read_text()]
    assert not page.all("img")
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count(evil) >= 5
    assert not page.all("b")
    assert all(not urlsplit(a["href"]).scheme for a in page.all("a"))


@pytest.mark.parametrize("log", ["../../../etc/passwd", "/etc/passwd"])
def test_a_log_outside_the_study_is_not_linked(tmp_path, log):
    folder = StudyFolder(tmp_path / "s")
    study = make_study(folder.path, grid=REPORT_GRID, failed=0.2)
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
    study = make_study(folder.path, grid=REPORT_GRID, missing=1.0, sources=False)
    page = Page(built(folder, study).read_text(encoding="utf-8"))
    assert "0 of the grid's 50 cells have a score; 50 have no result yet." in page.text
    assert page.text.count("missing") >= CELLS


def test_every_control_has_a_label_and_every_head_a_scope(page):
    assert len(page.all("label")) == len(page.all("input")) + len(page.all("select"))
    assert all("scope" in head for head in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"


def test_text_has_enough_contrast_in_light_and_dark():
    style = (HERE / "page.css").read_text()
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
    block = REPORT_GRID["blocks"][0] | {"sources": ["none", "hellaswag"], "targets": ["rte"]}
    more = block | {"sources": ["hellaswag"], "learning_rate": [5e-6]}
    folder = StudyFolder(tmp_path / "s")
    study = make_study(folder.path, grid=REPORT_GRID | {"blocks": [block, more], "evaluate": []})
    page = Page(built(folder, study).read_text(encoding="utf-8"))
    assert page.text.count(" 8 pairs ") == 1
    study = make_study(tmp_path / "t", grid=REPORT_GRID | {"blocks": [block], "evaluate": []})
    page = Page(built(StudyFolder(tmp_path / "t"), study).read_text(encoding="utf-8"))
    rows = page.text.partition("Every source on every target")[2]
    assert " pairs " not in rows


def test_the_results_say_what_a_diverged_run_counts_as(page):
    assert "that ended. A diverged run counts as the best constant answer's score." in page.text


@pytest.mark.parametrize(
    ("begun", "told"),
    [
        ("/opt/env/bin/stilt-summarize", "/opt/env/bin/stilt-summarize s --degenerate auto"),
        ("pytest", "python analysis/summarize.py s --degenerate auto"),
    ],
)
def test_the_page_names_the_command_that_made_it_as_it_was_begun(
    tmp_path, monkeypatch, begun, told
):
    folder = StudyFolder(tmp_path / "s")
    study = make_study(folder.path, grid=REPORT_GRID)
    monkeypatch.setattr("sys.argv", [begun])
    text = built(folder, study).read_text(encoding="utf-8")
    assert f'<pre tabindex="0">{told}' in text


def test_every_interval_and_p_of_the_results_says_what_it_generalises_to(page):
    results = page.text.partition("Every source on every target")[2]
    heads = results[: results.index(" RTE ")]
    for head in ("Share this dev", "Δ mean new dev", "p new dev", "Δ best this dev, range"):
        assert f" {head} " in f"{heads} "
    assert "'new dev': generalises to new dev examples, configurations and seeds" in page.text
    assert "'this dev': for these dev examples and source checkpoints" in page.text


def test_the_report_claims_nothing_of_what_is_not_final(page):
    assert "clearly higher on" not in page.text.partition("Results")[0]
    assert "Not final, so nothing is claimed of it yet: HellaSwag on 2 targets" in page.text
    results = page.text.partition("Every source on every target")[2]
    assert re.search(r"\d of 8 pairs", results)


def test_of_many_cells_those_that_went_wrong_are_listed_and_the_rest_is_counted(
    tmp_path, monkeypatch
):
    folder = StudyFolder(tmp_path / "many")
    study = make_study(
        folder.path, grid=REPORT_GRID, missing=0.2, failed=0.1, diverged=0.1, degenerate=0.2, seed=4
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


def test_how_the_study_was_made_is_told_in_one_section(page):
    section = page.text[page.text.index("Reproducibility Licences") :]
    for what in (
        *("Weight decay 0", "Precision fp32, without TF32", "Energy not measured"),
        *("Optimizer AdamW, betas 0.9 and 0.999", "Hardware cpu (", "Peak memory at most 1.5 GB"),
        "RTE 2,490 training rows, 120 development rows",
        "CoLA none: excerpts of published works",
        "the hyperparameters of the best run of each source on each target",
    ):
        assert what in section, what

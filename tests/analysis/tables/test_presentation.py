"""How names and numbers are written for people."""

import pytest

from analysis.tables.presentation import capitalized, number, source_title, thousands
from tests.support.cell_frame import study_of


def test_names_of_sources_for_people():
    sources = ["none", {"task": "hellaswag-p", "train_size": 2000, "seeds": [1, 2]}, "hellaswag"]
    study = study_of(sources)
    names = [
        source_title(study, name) for name in ("none", *(s.name for s in study.sources.values()))
    ]
    assert names == ["None", "HellaSwag-p@2k#1", "HellaSwag-p@2k#2", "HellaSwag"]
    assert source_title(study, "of another study") == "of another study"


@pytest.mark.parametrize(
    ("count", "text"), [(512, "512"), (2000, "2k"), (39905, "39.9k"), (30000, "30k")]
)
def test_counts_are_short(count, text):
    assert thousands(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(5e-6, "5e-6"), (2e-5, "2e-5"), (0.2, "0.2"), (0.0, "0"), (16, "16"), (20210925, "20210925")],
)
def test_hyperparameters_are_written_as_people_do(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("head", "text"),
    [
        ("sources", "Sources"),
        ("smallest Δ, after Holm", "Smallest Δ, after Holm"),
        ("two seeds", "Two seeds"),
        ("p, this dev", "p, this dev"),
        ("n", "n"),
        ("Δ mean [95 %], new dev", "Δ mean [95 %], new dev"),
        ("IQR", "IQR"),
    ],
)
def test_heads_begin_with_a_capital_unless_they_are_signs(head, text):
    assert capitalized(head) == text

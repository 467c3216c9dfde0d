"""Ids never change: studies on disk find their results by them."""

import hashlib
import json
from pathlib import Path

import pytest

from stilt.grid import load_grid
from stilt.study import bind

GOLDEN = json.loads((Path(__file__).parent.parent / "golden/cell_ids.json").read_text())


@pytest.mark.parametrize("grid", GOLDEN)
def test_ids_are_those_that_studies_on_disk_were_begun_with(grid):
    study = bind(load_grid(grid), "golden-identity")
    ids = list(study.cells)
    assert {
        "study": study.digest,
        "cells": len(ids),
        "first": ids[0],
        "last": ids[-1],
        "sha256": hashlib.sha256("\n".join(ids).encode()).hexdigest(),
        "sources": {source.name: source.id for source in study.sources.values()},
    } == GOLDEN[grid]

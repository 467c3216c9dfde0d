"""Ids never change: studies on disk find their results by them."""

import hashlib
import json
from pathlib import Path

import pytest

from stilt.cell import SYNTHESIS, digest
from stilt.grid import grid_names, load_grid
from stilt.revisions import Change
from stilt.study import Revision, Study, bind

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


@pytest.mark.parametrize("grid", grid_names())
@pytest.mark.parametrize("fields", [{}, {"processes": 2, "chunk": 3, "head": "reset"}])
def test_an_id_is_the_digest_of_what_identifies_its_run(grid, fields):
    study = bind(load_grid(grid).model_copy(update=fields), "golden-identity")
    for run in study.runs.values():
        if run.id != SYNTHESIS:
            assert digest(study.identity_of(run)) == run.id


def test_the_history_of_a_study_is_no_part_of_its_digest():
    study = bind(load_grid("demo"), "golden-identity")
    seen = Revision(number=1, when="2026-11-30T10:00:00+00:00", digest=study.digest, cells=18)
    again = Study.model_validate(study.model_dump() | {"revisions": [seen]})
    assert again.digest == study.digest == GOLDEN["demo"]["study"]
    assert (study.revision, again.revision) == (1, 1)


def test_what_a_task_tells_people_is_no_part_of_an_id_or_digest():
    study = bind(load_grid("full"), "golden-identity")
    table = study.model_dump()
    for task in table["tasks"].values():
        task |= {"licence": "another", "credentialed": not task["credentialed"]}
        task["data"] = [o | {"note": "another", "preferred": True} for o in task["data"]]
    again = Study.model_validate(table)
    assert again.digest == study.digest
    assert list(again.cells) == list(study.cells)
    assert Change(study, again).same and Change(study, again).other_fields() == []


def ids(grid, **fields):
    """(target, batch size) -> id of its one cell; sources by name."""
    study = bind(grid.model_copy(update=fields), "golden-identity")
    point = {"learning_rate": 1e-5, "warmup_ratio": 0.0, "seed": 12}
    cells = {
        (cell.source, cell.target, cell.hyperparameters.batch_size): cell.id
        for cell in study.cells.values()
        if cell.hyperparameters is not None
        and point.items() <= cell.hyperparameters.model_dump().items()
    }
    return cells, {source.name: source.id for source in study.sources.values()}


@pytest.mark.parametrize("chunk", [4, 8, 16, 32, 100])
def test_smaller_passes_make_other_cells_only_where_a_batch_does_not_fit_into_one(chunk):
    grid = load_grid("full")
    (whole, sources), (parted, others) = ids(grid), ids(grid, chunk=chunk)
    assert whole.keys() == parted.keys()
    for (source, target, batch), cell in parted.items():
        # SocialIQA's batches are computed 4 examples at a time anyway; sources have batches of 16
        own = chunk < (4 if target == "socialiqa" else batch)
        before = source != "none" and others[source] != sources[source]
        assert (cell != whole[source, target, batch]) == (own or before), (source, target, batch)
    for name, source in others.items():
        size = 4 if name.startswith("socialiqa") else 16
        assert (source != sources[name]) == (chunk < size), name


def test_two_sizes_of_smaller_passes_make_two_cells():
    grid = load_grid("full")
    assert not set(ids(grid, chunk=2)[0].values()) & set(ids(grid, chunk=1)[0].values())


def test_passes_of_several_processes_are_as_large_as_their_shares():
    grid = load_grid("full").model_copy(update={"processes": 2})
    (whole, _), (parted, _) = ids(grid), ids(grid, chunk=8)
    changed = {
        batch
        for (source, target, batch), cell in parted.items()
        if source == "none" and cell != whole[source, target, batch]
    }
    # 16 in two processes are 8 in each
    assert changed == {32}

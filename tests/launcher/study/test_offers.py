"""What other studies have of what a study lacks: exactly the runs of both, and nothing written."""

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.study.offers import find_offers
from launcher.study.outstanding import Outstanding
from launcher.study.reuse import other_studies
from stilt.folder import read_study
from tests.support.taken_study import begun, block, everything, lacks, make_done

AXES = {
    "sources": ["none", "hellaswag", "hella-sh"],
    "targets": ["rte", "cola", "wic"],
    "batch_size": [8, 16],
    "seed": [12, 13],
}
GRIDS = st.fixed_dictionaries(
    {axis: st.lists(st.sampled_from(v), min_size=1, unique=True) for axis, v in AXES.items()}
)


@settings(max_examples=12)
@given(there=GRIDS, here=GRIDS, missing=st.sampled_from([0.0, 0.5]))
def test_what_is_offered_is_what_both_studies_have(there, here, missing):
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        rows = make_done(root / "rows", grid=block(**AXES), points=2, dev_rows=20)
        done = make_done(root, grid=block(**there), missing=missing, points=2, dev_rows=20)
        new = begun(root, grid=block(**here), like=rows)
        before = everything(done)
        offers = find_offers(new, lacks(new), other_studies(new.folder))
        scored = {path.stem for path in done.results.glob("*.json")}
        both = new.study.cells.keys() & scored
        assert {offer.run.id for offer in offers.cells} == both
        # every source that is there and that a cell needs, whether it is taken over or run
        sources = new.study.sources.keys() & read_study(done).sources.keys()
        assert offers.there == sources
        assert offers.left == []
        assert everything(done) == before
        assert not list(new.folder.path.glob("results/*"))
        # what others need comes first
        kinds = [offer.run.cell is not None for offer in offers.found]
        assert kinds == sorted(kinds)


def test_nothing_is_looked_for_where_nothing_is_missing(tmp_path):
    done = make_done(tmp_path)
    new = begun(tmp_path)
    assert find_offers(new, Outstanding(), [done]).found == []
    assert find_offers(new, lacks(new), []).found == []


def test_where_the_rows_are_not_known_nothing_is_offered_and_the_reason_is_told(tmp_path):
    done = make_done(tmp_path)
    new = replace(begun(tmp_path), data_dir=tmp_path)
    offers = find_offers(new, lacks(new), [done])
    assert offers.found == []
    assert all("here is not known:" in line for line in offers.left)
    assert len(offers.left) == 3  # rte, cola, and the source's task


def test_weights_that_most_cells_started_from_are_preferred(tmp_path):
    few = make_done(tmp_path, "a")
    many = make_done(tmp_path, "b")
    new = begun(tmp_path, like=few)
    (source,) = new.study.sources
    for folder, digest in ((few, "a" * 64), (many, "b" * 64)):
        path = folder.source(source) / "result.json"
        text = path.read_text()
        start = text.index('"checkpoint":"') + len('"checkpoint":"')
        path.write_text(text[:start] + digest + text[start + 64 :])
    cells = [cell for cell in new.study.cells.values() if cell.source_id]
    few.result(cells[0].id).unlink()
    offers = find_offers(new, lacks(new), [few, many])
    (trained,) = (offer for offer in offers.found if offer.run.source)
    assert (trained.record.checkpoint, trained.folders) == ("b" * 64, (many,))
    mine = {offer.run.id: offer.folders[0] for offer in offers.cells}
    assert {mine[cell.id] for cell in cells} == {many}
    assert len(mine) == 8

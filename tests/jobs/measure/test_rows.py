"""Work that is reckoned is the work that training does."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from jobs.measure.rows import batches, chosen, longest, scoring_work, work_of
from stilt.data.encode import Encoded
from stilt.model.build import StartModels
from stilt.model.place import ModelPlace
from stilt.training.runtime import Runtime, make_accelerator
from stilt.training.train import fit
from tests.support import tiny_training


def encoded(lengths, options=1):
    rows = len(lengths) // options
    return Encoded(
        ids=np.full(sum(lengths), 7, dtype=np.int32),
        types=np.array([], dtype=np.int8),
        offsets=np.cumsum([0, *lengths]),
        labels=np.arange(rows) % 2,
    )


@given(st.lists(st.integers(4, 60), min_size=4, max_size=40), st.integers(1, 9))
def test_no_position_is_lost_and_a_pass_is_no_longer_than_its_longest_sequence(lengths, size):
    data = encoded(lengths)
    order = np.arange(len(data))
    found = work_of(data, batches(order, size), chunk=size, device="cpu")
    assert found.positions >= sum(lengths)
    assert found.passes >= -(-len(lengths) // size)
    assert found.squares <= found.positions * max(lengths)
    scored = scoring_work(data, "cpu")
    assert scored.positions >= sum(lengths)
    # twice the rows, twice the work
    twice = work_of(data, [*batches(order, size)] * 2, chunk=size, device="cpu")
    assert twice == found.times(2)


def test_training_computes_as_many_positions_as_were_reckoned(roberta):
    task = tiny_training.task(epochs=1)
    data, point = tiny_training.encoded(rows=40), tiny_training.point()
    model = tiny_training.fresh(StartModels(ModelPlace(str(roberta))), task)
    _, _, curves = fit(model, data, task, point, Runtime(make_accelerator("cpu"), 8))
    order = torch.randperm(40, generator=torch.Generator().manual_seed(point.seed)).numpy()
    assert curves.computed == work_of(data, batches(order, 8), 8, "cpu").positions


def test_chosen_rows_are_those_of_the_split_with_all_their_options():
    data = encoded([4, 5, 6, 7, 8, 9], options=2)
    some = chosen(data, np.array([2, 0, 2]))
    assert list(some.lengths) == [8, 9, 4, 5, 8, 9]
    assert list(some.labels) == [0, 0, 0]
    assert some.options == 2
    assert list(longest(data, 2)) == [2, 1]
    assert list(longest(data, 5)) == [2, 1, 0, 2, 1]

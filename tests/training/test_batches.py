"""The order in which training visits rows."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.training.batches import LabelledRows, shuffled_batches


@given(st.integers(1, 200), st.integers(1, 250), st.integers(0, 10))
def test_every_row_once_in_batches_of_nearly_equal_size(n_rows, batch_size, seed):
    batches = list(shuffled_batches(n_rows, batch_size, torch.Generator().manual_seed(seed)))
    sizes = [len(batch) for batch in batches]
    assert torch.cat(batches).sort().values.tolist() == list(range(n_rows))
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-n_rows // batch_size)


def test_order_follows_the_generator():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.cat(list(shuffled_batches(50, 7, generator))) for _ in range(2))
    again = torch.cat(list(shuffled_batches(50, 7, torch.Generator().manual_seed(0))))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_take_keeps_rows_together():
    rows = LabelledRows(
        torch.arange(12, dtype=torch.int32).view(6, 2), torch.arange(6.0), torch.arange(6.0) + 10
    )
    taken = rows.take(torch.tensor([4, 1]))
    assert len(taken) == 2
    assert taken.codes.tolist() == [[8, 9], [2, 3]]
    assert taken.codes.dtype == torch.int32
    assert taken.targets.tolist() == [4, 1]
    assert taken.weights.tolist() == [14, 11]
    assert rows.class_numbers().tolist() == [0, 1, 2, 3, 4, 5]

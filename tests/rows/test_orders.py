"""The order in which training visits rows."""

from itertools import islice

import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.rows.orders import endless_batches, shuffled_batches


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


def test_endless_batches_are_one_order_after_the_other():
    batches = endless_batches(10, 4, torch.Generator().manual_seed(0))
    rounds = [torch.cat(list(islice(batches, 3))) for _ in range(2)]
    assert [sorted(order.tolist()) for order in rounds] == 2 * [list(range(10))]
    assert not torch.equal(*rounds)

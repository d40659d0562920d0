"""The order in which training visits rows."""

from itertools import islice

import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.rows import orders
from sparsectr.rows.orders import endless_batches, random_order, shuffled_batches


@given(st.integers(1, 200), st.integers(1, 250), st.integers(0, 10), st.sampled_from([1, 2, 7]))
def test_every_row_once_in_batches_of_nearly_equal_size(n_rows, batch_size, seed, block_rows):
    generator = torch.Generator().manual_seed(seed)
    batches = list(shuffled_batches(n_rows, batch_size, generator, block_rows))
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


def test_blocks_of_neighbours_come_together_and_are_mixed(monkeypatch):
    monkeypatch.setattr(orders, "MIXED_BLOCKS", 5)
    batches = list(shuffled_batches(800, 50, torch.Generator().manual_seed(0), 10))
    blocks = torch.stack(batches) // 10
    for of_batch in blocks:  # every batch is five whole blocks
        assert torch.bincount(of_batch, minlength=80).unique().tolist() == [0, 10]
    firsts = torch.stack([of_batch.unique() for of_batch in blocks])
    assert (firsts[:, -1] - firsts[:, 0]).double().mean() > 30  # from anywhere
    neighbours = torch.stack(batches).diff().abs() == 1
    assert neighbours.double().mean() < 0.2  # two in ten in their order


def test_a_batch_of_sorted_labels_holds_both():
    generator = torch.Generator().manual_seed(0)
    n_rows = 100_000
    batches = list(shuffled_batches(n_rows, 4096, generator, 64))
    shares = [float((rows < n_rows // 4).double().mean()) for rows in batches]
    # Blocks are drawn: the standard deviation of 64 of them is .054.
    assert all(abs(share - 0.25) < 0.2 for share in shares)


@given(st.integers(0, 300), st.integers(0, 10))
def test_short_numbers_are_in_the_order_of_long_ones(n_rows, seed):
    def ordered(**options):
        return torch.randperm(n_rows, generator=torch.Generator().manual_seed(seed), **options)

    short = random_order(n_rows, torch.Generator().manual_seed(seed))
    assert short.dtype == torch.int32
    assert torch.equal(short.long(), ordered(dtype=torch.int64))
    batches = list(shuffled_batches(max(n_rows, 1), 7, torch.Generator().manual_seed(seed)))
    assert {batch.dtype for batch in batches} == {torch.int64}


def test_more_rows_than_short_numbers_count_have_long_ones(monkeypatch):
    monkeypatch.setattr(orders, "MOST_SHORT", 4)
    assert random_order(4, torch.Generator()).dtype == torch.int32
    assert random_order(5, torch.Generator()).dtype == torch.int64

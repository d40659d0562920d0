"""What processes send each other; fits of several are in tests/test_process_groups.py."""

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional

from sparsectr.training.descent import descend
from sparsectr.training.exchange import exchanging
from sparsectr.training.optimizers import FTRL, GroupFTRL, RowAdagrad, RowAdam
from sparsectr.training.processes import GroupExchange, _Lookups, _pack, _unpack

needs_gloo = pytest.mark.skipif(not dist.is_available(), reason="torch without torch.distributed")


@pytest.fixture
def exchange(tmp_path):
    """The exchange of a group of one process."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/s", rank=0, world_size=1)
    yield GroupExchange(dist.group.WORLD)
    dist.destroy_process_group()


def make_lookups():
    generator = torch.Generator().manual_seed(0)
    rows = torch.tensor([2, 5, 9])
    sums = [torch.randn(3, dim, generator=generator) for dim in (4, 1)]
    empty = torch.zeros(0, dtype=torch.int64)
    return [
        _Lookups(rows, torch.ones_like(rows), [], sums),
        _Lookups(empty, empty, [], [torch.zeros(0, 2)]),
    ]


def test_rows_and_sums_come_back():
    lookups = make_lookups()
    packed = _pack(lookups, 0.5)
    assert packed.dtype == torch.int32
    assert len(packed) == 1 + 3 * (1 + 4 + 1) + 1
    (rows, sums), (no_rows, no_sums) = _unpack(packed, [[4, 1], [2]])
    assert rows.tolist() == [2, 5, 9]
    for found, sent in zip(sums, lookups[0].sums, strict=True):
        torch.testing.assert_close(found, sent / 2, rtol=0, atol=0)
    assert len(no_rows) == 0
    assert no_sums[0].shape == (0, 2)


@needs_gloo
@pytest.mark.parametrize("make", [RowAdam, RowAdagrad, GroupFTRL])
def test_the_decay_of_lookups_is_counted_before_rows_are_summed(make, exchange):
    def train(steps):
        table = nn.Parameter(torch.linspace(-1, 1, 10).view(5, 2))
        optimizer = make([table], lr=0.1)
        optimizer.lookup_decay[table] = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5])
        for rows in steps:
            loss = functional.embedding(torch.tensor(rows), table, sparse=True).square().sum()
            descend(loss / len(rows), [optimizer], len(rows))
        return table.detach()

    steps = [[1, 1, 1, 3], [0, 3, 3, 1], [4, 4]]
    expected = train(steps)
    with exchanging(exchange):
        torch.testing.assert_close(train(steps), expected)
    assert exchange.n_bytes > 0


@needs_gloo
def test_optimizers_of_parts_of_a_table_have_their_own_decay(exchange):
    def train():
        table = nn.Parameter(torch.ones(4, 3))
        first = RowAdam([table], lr=0.1, columns=(0, 2))
        second = RowAdam([table], lr=0.2, columns=(2, 3))
        first.lookup_decay[table] = torch.tensor([1.0, -30.0, 1.0, 1.0])
        for _ in range(3):
            rows = functional.embedding(torch.tensor([1, 1, 2]), table, sparse=True)
            descend(rows.square().mean(), [first, second], 3)
        return table.detach()

    expected = train()
    with exchanging(exchange):
        torch.testing.assert_close(train(), expected)
    assert expected[1, 0] > 1 > expected[1, 2]  # a decay below zero drives weights up


@needs_gloo
def test_dense_gradients_and_the_number_of_rows(exchange):
    weight = nn.Parameter(torch.ones(2, 2))
    optimizer = FTRL([weight])
    with exchanging(exchange):
        descend((3 * weight).sum(), [optimizer], n_rows=17)
    assert optimizer.param_groups[0]["gradient_scale"] == 17
    torch.testing.assert_close(weight.grad, torch.full((2, 2), 3.0))


@needs_gloo
def test_parts_of_a_batch_are_in_the_order_of_the_file(exchange):
    exchange.n_processes, exchange.rank = 3, 1
    assert exchange.share(torch.tensor([9, 1, 4, 8, 2, 7, 3])).tolist() == [4, 7]
    with pytest.raises(ValueError, match="a row for each of 3 processes, got one of 2 rows"):
        exchange.share(torch.tensor([9, 1]))

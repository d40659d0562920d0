"""Rows with targets and weights."""

import numpy as np
import pytest
import torch

from sparsectr.losses import LOG_LOSS
from sparsectr.rows import labelled
from sparsectr.rows.labelled import LabelledRows, count_codes, label_rows
from sparsectr.rows.memory import MemoryRows
from sparsectr.targets.weights import balance, check_weights

CODES = torch.tensor([[0, 1], [2, 0], [2, 1], [2, 0]], dtype=torch.int32)


def read(rows, name):
    return torch.cat([getattr(piece, name) for piece in rows.pieces(3)])


def test_take_keeps_rows_together():
    rows = LabelledRows(
        MemoryRows(torch.arange(12, dtype=torch.int32).view(6, 2)),
        torch.arange(6.0),
        torch.arange(6.0) + 10,
    )
    taken = rows.take(torch.tensor([4, 1]))
    assert len(taken) == 2
    assert taken.codes.tolist() == [[8, 9], [2, 3]]
    assert taken.codes.dtype == torch.int32
    assert taken.targets.tolist() == [4, 1]
    assert taken.weights.tolist() == [14, 11]
    assert rows.target_values().tolist() == [0, 1, 2, 3, 4, 5]


def test_parts_of_rows_share_their_codes():
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(5, (40, 2), generator=generator, dtype=torch.int32)
    targets, weights = torch.arange(40.0), torch.rand(40, generator=generator)
    whole = LabelledRows(MemoryRows(codes), targets, weights)
    numbers = torch.randperm(40, generator=generator)[:30]
    part = whole.select(numbers).select(torch.arange(29, 4, -1))
    copy = whole.take(numbers[torch.arange(29, 4, -1)])
    assert part.source is whole.source
    assert len(part) == len(copy) == 25
    assert part.n_lookups == 50
    for name in ("codes", "targets", "weights"):
        pieces = [getattr(piece, name) for piece in part.pieces(10)]
        assert list(map(len, pieces)) == [10, 10, 5]
        assert torch.equal(torch.cat(pieces), getattr(copy, name))
        assert torch.equal(read(whole, name)[numbers][torch.arange(29, 4, -1)], read(part, name))
    assert torch.equal(part.take(torch.tensor([3, 3, 0])).codes, copy.codes[[3, 3, 0]])


def test_weights_that_are_all_alike_take_the_memory_of_one():
    numbers = np.array([5, 2, 2, 0])
    for came in (None, 3, np.full(6, 3.0)):
        weights = balance(check_weights(came, 6))
        rows = label_rows(MemoryRows(CODES.repeat(2, 1)[:6]), np.arange(6.0), weights, LOG_LOSS)
        part = rows.select(torch.from_numpy(numbers)).select(torch.tensor([3, 1]))
        for some in (rows, part):
            n_bytes = some.weights.untyped_storage().nbytes()
            assert n_bytes == (4 * len(some) if isinstance(came, np.ndarray) else 4)
            batch = some.take(torch.tensor([1, 0, 1]))
            for weights in (some.weights, batch.weights, read(some, "weights")):
                assert weights.dtype == torch.float32
                assert weights.unique().tolist() == [1]
            assert batch.weights.is_contiguous()
            assert next(some.pieces(2)).weights.is_contiguous()
        assert part.targets.tolist() == [0, 2]


@pytest.mark.parametrize(("n_rows", "expected"), [(3, 3), (4, 4), (9, 4)])
def test_a_sample_is_rows_in_random_order(n_rows, expected):
    rows = LabelledRows(MemoryRows(CODES), torch.arange(4.0), torch.ones(4))
    orders = set()
    for seed in range(40):
        sample = rows.sample(n_rows, torch.Generator().manual_seed(seed))
        numbers = sample.targets.long()
        assert torch.equal(sample.codes, CODES[numbers])
        assert len(numbers.unique()) == len(sample) == expected
        orders.add(tuple(numbers.tolist()))
    assert len(orders) > 10


def test_codes_are_counted_by_field():
    assert count_codes(CODES, [4, 2]).tolist() == [1, 0, 3, 0, 2, 2]
    weights = torch.tensor([0.5, 1.0, 2.0, 0.0])
    assert count_codes(CODES, [4, 2], weights).tolist() == [0.5, 0, 3, 0, 1, 2.5]
    # float32 stops counting at 2 ** 24.
    many = count_codes(torch.zeros(3, 1, dtype=torch.int32), [1], torch.tensor([2.0**24, 1, 1]))
    assert many.tolist() == [2**24 + 2]


@pytest.mark.parametrize("piece_rows", [1, 3, 100])
def test_rows_are_counted_piece_by_piece(monkeypatch, piece_rows):
    monkeypatch.setattr(labelled, "PIECE_ROWS", piece_rows)
    codes = torch.tensor([[0], [1], [1], [0], [1], [1], [1]], dtype=torch.int32)
    whole = LabelledRows(MemoryRows(codes), torch.zeros(7), torch.arange(7.0))
    for rows in (whole, whole.select(torch.arange(6, -1, -1))):
        assert rows.count([2]).tolist() == [2, 5]
        assert rows.count([2], weighted=True).tolist() == [3, 18]
    part = whole.select(torch.tensor([0, 1]))
    assert part.count([2]).tolist() == [1, 1]

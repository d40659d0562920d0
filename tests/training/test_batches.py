"""The order in which training visits rows."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.training import batches
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


def test_parts_of_rows_share_their_codes():
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(5, (40, 2), generator=generator, dtype=torch.int32)
    targets, weights = torch.arange(40.0), torch.rand(40, generator=generator)
    whole = LabelledRows(codes, targets, weights)
    numbers = torch.randperm(40, generator=generator)[:30]
    part = whole.select(numbers).select(torch.arange(29, 4, -1))
    copy = whole.take(numbers).take(torch.arange(29, 4, -1))
    assert part.all_codes is codes
    assert copy.numbers is None
    assert len(part) == len(copy) == 25
    assert part.n_lookups == copy.n_lookups == 50
    table = FieldEmbedding((5, 5), 2)
    for name in ("codes", "targets", "weights"):
        assert torch.equal(getattr(part, name), getattr(copy, name))
        for rows in (part, copy):
            pieces = [getattr(piece, name) for piece in rows.pieces(10)]
            assert list(map(len, pieces)) == [10, 10, 5]
            assert torch.equal(torch.cat(pieces), getattr(copy, name))
    assert torch.equal(part.take(torch.tensor([3, 3, 0])).codes, copy.codes[[3, 3, 0]])
    assert torch.equal(part.count(table), table.count_codes(copy.codes))
    expected = table.count_codes(copy.codes, copy.weights)
    torch.testing.assert_close(part.count(table, weighted=True), expected, rtol=1e-15, atol=0)


def test_rows_are_counted_piece_by_piece(monkeypatch):
    monkeypatch.setattr(batches, "PIECE_ROWS", 3)
    codes = torch.tensor([[0], [1], [1], [0], [1], [1], [1]], dtype=torch.int32)
    rows = LabelledRows(codes, torch.zeros(7), torch.arange(7.0)).select(torch.arange(6, -1, -1))
    table = FieldEmbedding((2,), 2)
    assert rows.count(table).tolist() == [2, 5]
    assert rows.count(table, weighted=True).tolist() == [3, 18]

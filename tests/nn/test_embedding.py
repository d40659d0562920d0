"""The embedding table of all fields."""

import pytest
import torch

from sparsectr.nn.embedding import FieldEmbedding

SIZES = (3, 4)
COUNTS = [1, 0, 3, 0, 0, 2, 2]  # of CODES
CODES = torch.tensor([[0, 2], [2, 2], [2, 3], [2, 3]], dtype=torch.int32)


@pytest.fixture
def table():
    table = FieldEmbedding(SIZES, 2)
    table.reset_parameters(torch.Generator().manual_seed(0), 1.0)
    return table


def test_every_field_owns_its_rows(table):
    with torch.no_grad():
        table.weight.copy_(torch.arange(14.0).view(7, 2))
    assert table(CODES)[1].tolist() == [[4, 5], [10, 11]]
    assert table(CODES).shape == (4, 2, 2)


def test_gradient_is_that_of_a_dense_table_and_holds_touched_rows_only(table):
    dense = FieldEmbedding(SIZES, 2, sparse=False)
    dense.load_state_dict(table.state_dict())
    for net in (table, dense):
        net(CODES).square().sum().backward()
    gradient = table.weight.grad
    assert gradient.is_sparse
    assert gradient._nnz() == CODES.numel()
    torch.testing.assert_close(gradient.to_dense(), dense.weight.grad)


def test_no_global_random_state_is_used():
    before = torch.random.get_rng_state()
    FieldEmbedding(SIZES, 2).reset_parameters(torch.Generator().manual_seed(0), 1.0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_rows_without_a_count_take_the_weighted_mean_of_their_field(table):
    before = table.weight.detach().clone()
    table.fill_untrained(torch.tensor(COUNTS))
    after = table.weight.detach()
    trained = [0, 2, 5, 6]
    assert torch.equal(after[trained], before[trained])
    torch.testing.assert_close(after[1], (before[0] + 3 * before[2]) / 4)
    torch.testing.assert_close(after[3], (before[5] + before[6]) / 2)
    assert torch.equal(after[3], after[4])


def test_only_some_rows_without_a_count_are_filled(table):
    before = table.weight.detach().clone()
    counts = torch.tensor(COUNTS)
    assert table.untrained_rows(counts).tolist() == [1, 3, 4]
    used = torch.tensor([2, 0, 0, 1, 1, 0, 0])
    rows = table.untrained_rows(counts, used)
    assert rows.tolist() == [3, 4]
    table.fill_untrained(counts, rows[1:])
    after = table.weight.detach()
    assert torch.equal(after[:4], before[:4])
    torch.testing.assert_close(after[4], (before[5] + before[6]) / 2)


def test_counts_are_kept_to_half_precision_and_zeros_exactly(table):
    counts = torch.tensor([0, 1, 2, 1000, 10**6, 10**9, 0.25], dtype=torch.float64)
    assert table.past_counts().tolist() == [0] * 7
    table.keep_counts(counts)
    torch.testing.assert_close(table.past_counts(), counts, rtol=2e-3, atol=0)
    assert table.past_counts()[0] == 0
    other = FieldEmbedding(SIZES, 2)
    other.load_state_dict(table.state_dict())
    assert torch.equal(other.past_counts(), table.past_counts())

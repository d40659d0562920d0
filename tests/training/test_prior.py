"""The embedding prior: an unbiased, exactly summing estimate of the penalty of a table."""

import pytest
import torch

from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.training.batches import shuffled_batches
from sparsectr.training.prior import EmbeddingPrior

L2 = 0.3


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    sizes = (3, 20, 6)
    codes = torch.stack([torch.randint(s, (60,), generator=generator) for s in sizes], 1).int()
    codes[:, 1].clamp_(max=9)  # half of the values of field 1 occur in no row
    table = FieldEmbedding(sizes, 4)
    table.reset_parameters(generator, 1.0)
    table = table.double()
    prior = EmbeddingPrior(table, codes, L2)
    prior.shares = len(codes) / table.count_codes(codes).clamp(min=1).double()
    return table, codes, prior, generator


def full_penalty(table, codes):
    used = table.count_codes(codes) > 0
    return L2 / 2 * table.weight[used].square().sum()


@pytest.mark.parametrize("batch_size", [1, 7, 60])
def test_mean_over_an_epoch_is_the_penalty_of_the_used_rows(case, batch_size):
    table, codes, prior, generator = case
    batches = list(shuffled_batches(len(codes), batch_size, generator))
    estimates = [prior(codes[rows], table(codes[rows])) * len(rows) for rows in batches]
    mean = torch.stack(estimates).sum() / len(codes)
    torch.testing.assert_close(mean, full_penalty(table, codes), rtol=1e-12, atol=0)


def test_gradient_over_an_epoch_is_l2_times_the_used_rows(case):
    table, codes, prior, generator = case
    for rows in shuffled_batches(len(codes), 7, generator):
        estimate = prior(codes[rows], table(codes[rows])) * len(rows) / len(codes)
        estimate.backward()
    used = (table.count_codes(codes) > 0)[:, None]
    expected = L2 * table.weight.detach() * used
    torch.testing.assert_close(table.weight.grad.to_dense(), expected, rtol=1e-12, atol=0)


def test_shares_are_rows_per_occurrence(case):
    table, codes, _, _ = case
    prior = EmbeddingPrior(table, codes, L2)
    first = codes[0] + table.offsets
    counts = (codes == codes[0]).sum(0)
    torch.testing.assert_close(prior.shares[first], len(codes) / counts)


def test_no_penalty_costs_nothing(case):
    table, codes, _, _ = case
    assert EmbeddingPrior(table, codes, 0.0)(codes, table(codes)).item() == 0

"""The embedding prior: an unbiased, exactly summing estimate of the penalty of a table."""

from dataclasses import replace

import pytest
import torch

from sparsectr.kernels.rows import decay_lookups
from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.rows.labelled import LabelledRows, count_codes
from sparsectr.rows.memory import MemoryRows
from sparsectr.rows.orders import shuffled_batches
from sparsectr.training.descent import descend
from sparsectr.training.optimizers import make_optimizers
from sparsectr.training.optimizers.per_parameter import PerParameterOptimizer
from sparsectr.training.prior import LEAST_PRECISION, add_embedding_prior, automatic_l2, l2_by_rows

L2 = 0.3


def labelled(codes, weights=None):
    weights = torch.ones(len(codes)) if weights is None else weights
    targets = torch.full((len(codes),), 0.5)  # as of two classes of equal shares
    return LabelledRows(MemoryRows(codes), targets, weights)


class Recorder(PerParameterOptimizer):
    """Adds up the gradients of the mean over an epoch, decay included, and moves nothing."""

    def __init__(self, table, n_rows_of_epoch):
        super().__init__([table], {})
        self.total, self.n = torch.zeros_like(table), n_rows_of_epoch

    def _update(self, parameter, gradient, state, group):
        rows = gradient._indices()[0]
        values = decay_lookups(
            parameter, rows, gradient._values(), self.lookup_decay.get(parameter), self.n_rows
        )
        self.total.index_add_(0, rows, values * self.n_rows / self.n)


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    sizes = (3, 20, 6)
    codes = torch.stack([torch.randint(s, (60,), generator=generator) for s in sizes], 1).int()
    codes[:, 1].clamp_(max=9)  # half of the values of field 1 occur in no row
    table = FieldEmbedding(sizes, 4)
    table.reset_parameters(generator, 1.0)
    return table.double(), codes, generator


@pytest.mark.parametrize("batch_size", [1, 7, 60])
def test_gradient_over_an_epoch_is_l2_times_the_used_rows(case, batch_size):
    table, codes, generator = case
    optimizer = Recorder(table.weight, len(codes))
    add_embedding_prior([optimizer], table, labelled(codes), L2)
    for rows in shuffled_batches(len(codes), batch_size, generator):
        optimizer.zero_grad()
        descend(0 * table(codes[rows]).sum(), [optimizer], len(rows))
    used = (count_codes(codes, table.vocabulary_sizes) > 0)[:, None]
    expected = L2 * table.weight.detach() * used
    torch.testing.assert_close(optimizer.total, expected, rtol=1e-6, atol=0)


def test_decay_is_rows_per_occurrence(case):
    table, codes, _ = case
    (optimizer,) = make_optimizers([table.weight], [], "adam", learning_rate=0.1)
    add_embedding_prior([optimizer], table, labelled(codes), L2)
    first = codes[0] + table.offsets
    counts = (codes == codes[0]).sum(0)
    decay = optimizer.lookup_decay[table.weight]
    torch.testing.assert_close(decay[first], L2 * len(codes) / counts)


@pytest.mark.parametrize("weighted", [False, True])
def test_earlier_rows_count(case, weighted):
    table, codes, generator = case
    weights = torch.rand(60, generator=generator) + 0.5 if weighted else torch.ones(60)
    first, second = slice(0, 40), slice(40, 60)
    past = count_codes(codes[first], table.vocabulary_sizes, weights[first])
    table.keep_counts(past)
    optimizer = Recorder(table.weight, 20)
    add_embedding_prior([optimizer], table, labelled(codes[second], weights[second]), L2)
    for rows in shuffled_batches(20, 7, generator):
        optimizer.zero_grad()
        descend(0 * table(codes[second][rows]).sum(), [optimizer], len(rows))
    # Of the penalty on all rows so far, times their number, a value pays what it has new of rows.
    counts = count_codes(codes[second], table.vocabulary_sizes, weights[second])
    n_rows = weights.sum() / weights[second].sum()
    expected = n_rows * (counts / (past + counts).clamp(min=1e-9))[:, None] * L2
    # The past is kept in half precision.
    torch.testing.assert_close(
        optimizer.total, expected * table.weight.detach(), rtol=2e-3, atol=1e-6
    )


def test_the_same_rows_again_pay_the_same(case):
    table, codes, _ = case
    decays = []
    for _ in range(2):
        (optimizer,) = make_optimizers([table.weight], [], "adam", learning_rate=0.1)
        add_embedding_prior([optimizer], table, labelled(codes), L2)
        decays.append(optimizer.lookup_decay[table.weight])
        table.keep_counts(table.past_counts() + count_codes(codes, table.vocabulary_sizes))
    used = count_codes(codes, table.vocabulary_sizes) > 0
    torch.testing.assert_close(decays[1][used], decays[0][used], rtol=2e-3, atol=0)


@pytest.mark.parametrize("kind", ["adam", "ftrl"])
def test_optimizers_follow_the_gradient_of_the_penalty(case, kind):
    table, codes, _ = case
    prior, plain = (FieldEmbedding(table.vocabulary_sizes, 4).double() for _ in range(2))
    for other in (prior, plain):
        other.weight.data.copy_(table.weight.data)
    shares = len(codes) / count_codes(codes, table.vocabulary_sizes).clamp(min=1)
    for net, penalised in ((prior, True), (plain, False)):
        optimizers = make_optimizers([net.weight], [], kind, learning_rate=0.1)
        if penalised:
            add_embedding_prior(optimizers, net, labelled(codes), L2)
        for rows in (torch.arange(20), torch.arange(15, 40)):
            looked_up = net(codes[rows])
            loss = looked_up.sigmoid().sum(-1).mean()
            if not penalised:  # as a part of the loss
                share = shares[codes[rows] + net.offsets]
                penalty = (looked_up.square().sum(-1) * share).sum() / len(rows)
                loss = loss + L2 / 2 * penalty
            descend(loss, optimizers, len(rows))
    assert not torch.equal(prior.weight, table.weight)
    torch.testing.assert_close(prior.weight, plain.weight, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("n_rows", "expected"), [(58, 3e-4), (5_800, 1e-2)])
def test_automatic_weight_follows_the_rows_of_a_value(n_rows, expected):
    # Each row has three values of the 29: six rows per value, or six hundred.
    rows, table = labelled(torch.zeros(n_rows, 3, dtype=torch.int32)), FieldEmbedding((3, 20, 6), 4)
    assert automatic_l2(table, rows, (8,)) == pytest.approx(expected)
    assert automatic_l2(table, rows, ()) == 1e-4


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 1e-2), (0.1, 6e-3), (0.9, 6e-3), (0.0, 6.3e-4)]
)
def test_automatic_weight_is_as_large_as_gradients(share, expected):
    rows, table = labelled(torch.zeros(6000, 3, dtype=torch.int32)), FieldEmbedding((3, 20, 6), 4)
    rows.targets[:] = (torch.arange(6000) < 6000 * share).float()
    assert automatic_l2(table, rows, (8,)) == pytest.approx(expected, rel=1e-2)
    several = replace(rows, targets=rows.targets.long())
    assert automatic_l2(table, several, (8,)) == pytest.approx(1e-2)


def test_automatic_weight_counts_earlier_rows():
    rows, table = labelled(torch.zeros(29, 3, dtype=torch.int32)), FieldEmbedding((3, 20, 6), 4)
    assert automatic_l2(table, rows, (8,)) == pytest.approx(1.5e-4)
    table.keep_counts(rows.count(table.vocabulary_sizes))
    assert automatic_l2(table, rows, (8,)) == pytest.approx(3e-4, rel=2e-3)  # of half precision


@pytest.mark.parametrize(
    ("n_rows", "expected"),
    [(50, 1e-2), (1_500, 1e-2), (5_000, LEAST_PRECISION / 5_000), (20_000, 1e-3)],
)
def test_the_prior_does_not_fade_with_few_rows(n_rows, expected):
    rows = labelled(torch.zeros(n_rows, 3, dtype=torch.int32))
    assert l2_by_rows(1e-3, FieldEmbedding((3, 20, 6), 4), rows) == pytest.approx(expected)


def test_the_prior_of_few_rows_counts_earlier_ones():
    rows, table = labelled(torch.zeros(2_500, 3, dtype=torch.int32)), FieldEmbedding((3, 20, 6), 4)
    table.keep_counts(rows.count(table.vocabulary_sizes))
    assert l2_by_rows(1e-3, table, rows) == pytest.approx(LEAST_PRECISION / 5_000, rel=2e-3)


def test_no_penalty_costs_nothing(case):
    table, codes, _ = case
    optimizers = make_optimizers([table.weight], [], "adam", learning_rate=0.1)
    add_embedding_prior(optimizers, table, labelled(codes), 0.0)
    assert not optimizers[0].lookup_decay


def test_other_tables_have_no_prior(case):
    table, codes, _ = case
    other = FieldEmbedding((4,), 2)
    optimizers = make_optimizers([other.weight], [], "adam", learning_rate=0.1)
    add_embedding_prior(optimizers, table, labelled(codes), L2)
    assert not optimizers[0].lookup_decay

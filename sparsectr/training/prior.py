"""The Gaussian prior of embeddings, one share per lookup."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.rows.labelled import LabelledRows
from sparsectr.training.optimizers.per_parameter import PerParameterOptimizer

# With an MLP: AUTO_L2_PER_ROW per training row of an average value, at most MOST_AUTO_L2. Without:
# SUM_L2 (docs/decisions.md).
AUTO_L2_PER_ROW, MOST_AUTO_L2 = 5e-5, 1e-2
# A class that is rarer than this counts as one with this share: a chunk may lack it.
SMALLEST_SHARE = 1e-3
SUM_L2 = 1e-4
# The least precision of an automatic prior of every coordinate, up to the largest weight: of fewer
# than 1,500 rows, nothing was measured.
LEAST_PRECISION, MOST_L2_OF_FEW = 15.0, 1e-2


def add_embedding_prior(
    optimizers: Iterable[Optimizer], table: FieldEmbedding, rows: LabelledRows, l2: float
) -> None:
    """Let the optimizers of a table follow the gradient of a prior, too.

    The penalised objective is

        mean loss of the n training rows + l2 / 2 * sum_v |e_v|^2

    with every value v counted once, rare or frequent: a normal prior of precision ``n * l2`` on
    every coordinate. The lookups of a batch of B rows see a value in proportion to its count
    c_v; every lookup therefore pays the share ``n / (B c_v)`` of its value's penalty. That is
    an unbiased estimate of the sum, and only touched rows get a gradient.

    Where training goes on (warm start, partial fit), n and c_v count the earlier rows as well:
    over all chunks of a stream, a value that is met in one of them alone pays as much as in one
    training on all rows.

    Parameters
    ----------
    optimizers : iterable of Optimizer
        Those that update the table must be our own.
    table : FieldEmbedding
        The table.
    rows : LabelledRows
        All training rows.
    l2 : float
        Weight of the penalty beside the mean loss; it needs no change with the batch size.

    Notes
    -----
    Weight decay per step or per touch would shrink a value seen ten thousand times as often
    as it is seen, and one seen twice hardly at all. A prior does the opposite.

    The penalty is no part of the loss: its gradient, ``l2 n / (B c_v) e_v``, needs nothing but the
    row, which the optimizer reads in any case.
    """
    if not l2:
        return
    shares = _rows_per_lookup(table, rows)
    for optimizer in optimizers:
        if isinstance(optimizer, PerParameterOptimizer) and any(
            table.weight is parameter
            for group in optimizer.param_groups
            for parameter in group["params"]
        ):
            optimizer.lookup_decay[table.weight] = l2 * shares


def l2_by_rows(usual: float, table: FieldEmbedding, rows: LabelledRows) -> float:
    """Return a weight of the penalty: the usual one, and more where there are few rows.

    The precision of the prior is the weight times the number of rows. With a fixed weight it would
    fade where there is least to learn from. Earlier rows count as well.

    Parameters
    ----------
    usual : float
        The weight where there are many rows.
    table : FieldEmbedding
        The table.
    rows : LabelledRows
        All training rows.
    """
    n_rows = len(rows) + _past_rows(table)
    return max(usual, min(MOST_L2_OF_FEW, LEAST_PRECISION / n_rows))


def automatic_l2(table: FieldEmbedding, rows: LabelledRows, hidden_units: Sequence[int]) -> float:
    """Return a weight of the penalty.

    With hidden units it is a hundredth where a value has 200 rows or more on average, in
    proportion less where it has fewer; earlier rows count as well. Without, nothing makes up for
    small embeddings, and the penalty is weak.

    Of two classes of shares s and 1 - s, it is 2 sqrt(s (1 - s)) times as large, as gradients are:
    products of embeddings leave zero only where their gradients are larger than the penalty's.
    """
    if len(hidden_units) == 0:  # an array has no truth value
        return SUM_L2
    n_lookups = rows.n_lookups + float(table.past_counts().sum())
    n_values = len(table.weight) - rows.n_sets
    return _size_of_gradients(rows) * min(MOST_AUTO_L2, AUTO_L2_PER_ROW * n_lookups / n_values)


def _size_of_gradients(rows: LabelledRows) -> float:
    """Return the size of gradients by a logit at the prior, beside that of two equal classes."""
    if rows.loss.link != "logit" or rows.targets.dtype == torch.int64:  # of more classes
        return 1.0
    share = float(torch.sigmoid(rows.loss.prior_logits(rows.targets, rows.weights, 1)))
    share = min(max(share, SMALLEST_SHARE), 1 - SMALLEST_SHARE)
    return 2 * math.sqrt(share * (1 - share))


def _rows_per_lookup(table: FieldEmbedding, rows: LabelledRows) -> Tensor:
    """Return n / c_v for every row v of the table, shape (V,), float32."""
    shares = len(rows) / rows.count(table.vocabulary_sizes).clamp(min=1).to(torch.float32)
    past = table.past_counts().to(shares.device)
    n_past = _past_rows(table)
    if not n_past:
        return shares
    # Past counts are sums of sample weights, so current counts are weighted, too.
    counts = rows.count(table.vocabulary_sizes, weighted=True)
    n_rows = rows.weights.double().sum()
    growth = (1 + n_past / n_rows) * counts / (past + counts).clamp(min=1e-30)
    return shares * growth.to(shares.dtype)


def _past_rows(table: FieldEmbedding) -> float:
    """Return the summed weights of earlier rows: each has one value of the first field.

    Of several values, each has a share.
    """
    return float(table.past_counts()[: table.vocabulary_sizes[0]].sum())

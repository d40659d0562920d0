"""The Gaussian prior of embeddings, one share per look-up."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.training.optimizers.per_parameter import PerParameterOptimizer


def add_embedding_prior(
    optimizers: Iterable[Optimizer], table: FieldEmbedding, codes: Tensor, l2: float
) -> None:
    """Let the optimizers of a table follow the gradient of a prior, too.

    The penalised objective is

        mean loss of the n training rows + l2 / 2 * sum_v |e_v|^2

    with every value v counted once, rare or frequent: a normal prior of precision ``n * l2`` on
    every coordinate. The look-ups of a batch of B rows see a value in proportion to its count
    c_v; every look-up therefore pays the share ``n / (B c_v)`` of its value's penalty. That is
    an unbiased estimate of the sum, and only touched rows get a gradient.

    Parameters
    ----------
    optimizers : iterable of Optimizer
        Those that update the table must be our own.
    table : FieldEmbedding
        The table.
    codes : Tensor of shape (n, F)
        All training rows.
    l2 : float
        Weight of the penalty beside the mean loss; it needs no change with the batch size.

    Notes
    -----
    Weight decay per step or per touch would shrink a value seen ten thousand times as often
    as it is seen, and one seen twice hardly at all: the wrong way round.

    The penalty is no part of the loss: its gradient, ``l2 n / (B c_v) e_v``, needs nothing but the
    row, which the optimizer has in its hands anyway.
    """
    if not l2:
        return
    counts = table.count_codes(codes).clamp(min=1).to(torch.float32)
    for optimizer in optimizers:
        if isinstance(optimizer, PerParameterOptimizer) and any(
            table.weight is parameter
            for group in optimizer.param_groups
            for parameter in group["params"]
        ):
            optimizer.lookup_decay[table.weight] = l2 * len(codes) / counts

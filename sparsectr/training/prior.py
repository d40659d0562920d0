"""The Gaussian prior of embeddings, one share per look-up."""

import torch
from torch import Tensor

from sparsectr.nn.embedding import FieldEmbedding


class EmbeddingPrior:
    """Estimate the L2 penalty of a whole table from the rows of a batch.

    The penalised objective of n training rows is

        sum of their losses + l2 / 2 * sum_v |e_v|^2,

    that is a normal prior of precision ``l2`` on every coordinate of every value v, rare or
    frequent. The look-ups of a batch see a value in proportion to its count c_v; every look-up
    therefore pays the share ``1 / c_v`` of its penalty. The mean over a batch is then an
    unbiased estimate of the penalty per row, and only touched rows get a gradient.

    Parameters
    ----------
    table : FieldEmbedding
        The table.
    codes : Tensor of shape (n, F)
        All training rows.
    l2 : float
        Precision of the prior. It needs no change with the batch size or with n.

    Notes
    -----
    Weight decay per step or per touch would shrink a value seen ten thousand times as often
    as it is seen, and one seen twice hardly at all: the wrong way round.
    """

    def __init__(self, table: FieldEmbedding, codes: Tensor, l2: float) -> None:
        self.l2 = l2
        self.shares = table.count_codes(codes).clamp(min=1).to(torch.float32).reciprocal_()
        self.offsets = table.offsets

    def __call__(self, codes: Tensor, embeddings: Tensor) -> Tensor:
        """Return the penalty per row of a batch.

        Parameters
        ----------
        codes : Tensor of shape (B, F)
            Codes of the batch.
        embeddings : Tensor of shape (B, F, D)
            Their embeddings, from `table`.

        Returns
        -------
        Tensor of shape ()
            Nats per row.
        """
        if not self.l2:
            return embeddings.new_zeros(())
        shares = self.shares[codes + self.offsets]
        norms = embeddings.square().sum(-1)
        return self.l2 / 2 * (norms * shares).sum() / len(codes)

"""The Gaussian prior of embeddings, one share per look-up."""

import torch
from torch import Tensor

from sparsectr.kernels.prior import weighted_squares
from sparsectr.nn.embedding import FieldEmbedding


class EmbeddingPrior:
    """Estimate the L2 penalty of a whole table from the rows of a batch.

    The penalised objective is

        mean loss of the n training rows + l2 / 2 * sum_v |e_v|^2

    with every value v counted once, rare or frequent: a normal prior of precision ``n * l2`` on
    every coordinate. The look-ups of a batch of B rows see a value in proportion to its count
    c_v; every look-up therefore pays the share ``n / (B c_v)`` of its value's penalty. That is
    an unbiased estimate of the sum, and only touched rows get a gradient.

    Parameters
    ----------
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
    """

    def __init__(self, table: FieldEmbedding, codes: Tensor, l2: float) -> None:
        self.l2 = l2
        # n / c_v: the number of rows per occurrence of a value.
        self.shares = len(codes) / table.count_codes(codes).clamp(min=1).to(torch.float32)
        self.offsets = table.offsets

    def __call__(self, codes: Tensor, embeddings: Tensor) -> Tensor:
        """Return the estimate that a batch gives of the penalty.

        Parameters
        ----------
        codes : Tensor of shape (B, F)
            Codes of the batch.
        embeddings : Tensor of shape (B, F, D)
            Their embeddings, from `table`.

        Returns
        -------
        Tensor of shape ()
            Nats per row, as the mean loss.
        """
        if not self.l2:
            return embeddings.new_zeros(())
        shares = self.shares[codes + self.offsets]
        return self.l2 / 2 * weighted_squares(embeddings, shares) / len(codes)

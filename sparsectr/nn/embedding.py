"""The embedding table of all fields."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class FieldEmbedding(nn.Module):
    """Look up the values of all fields in one table.

    Field ``f`` owns the rows ``offsets[f]`` to ``offsets[f] + vocabulary_sizes[f] - 1`` of the
    table, in the order of its codes. The gradient is sparse: it holds only the rows that a
    batch has touched.

    Parameters
    ----------
    vocabulary_sizes : sequence of int
        Number of codes of every field.
    embedding_dim : int
        Length D of an embedding.
    sparse : bool, default=True
        Whether the gradient of the table is a sparse tensor. Dense gradients cost time in
        proportion to the table and serve tests.

    Notes
    -----
    Shapes: codes (B, F) of any integer type to embeddings (B, F, D).
    """

    offsets: Tensor

    def __init__(
        self, vocabulary_sizes: Sequence[int], embedding_dim: int, *, sparse: bool = True
    ) -> None:
        super().__init__()
        self.vocabulary_sizes = [int(size) for size in vocabulary_sizes]
        self.sparse = sparse
        sizes = torch.tensor(self.vocabulary_sizes, dtype=torch.int64)
        first_rows = (sizes.cumsum(0) - sizes).to(torch.int32)
        self.register_buffer("offsets", first_rows, persistent=False)
        self.weight = nn.Parameter(torch.empty(int(sizes.sum()), embedding_dim))

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator, std: float) -> None:
        """Draw every number of the table from N(0, std)."""
        self.weight.normal_(0.0, std, generator=generator)

    def forward(self, codes: Tensor) -> Tensor:
        """Return the embeddings (B, F, D) of codes (B, F)."""
        return functional.embedding(codes + self.offsets, self.weight, sparse=self.sparse)

    def count_codes(self, codes: Tensor) -> Tensor:
        """Count how often every row of the table is used by codes (n, F); shape (V,), int64."""
        counts = torch.zeros(self.weight.shape[0], dtype=torch.int64, device=codes.device)
        for column, offset, size in zip(
            codes.unbind(1), self.offsets.tolist(), self.vocabulary_sizes, strict=True
        ):
            counts[offset : offset + size] = torch.bincount(column, minlength=size)
        return counts

    @torch.no_grad()
    def fill_untrained(self, counts: Tensor) -> None:
        """Give every row without a training row the mean embedding of its field.

        The mean is weighted by frequency, so that a value that training never saw (unknown,
        missing, or only in the validation rows) predicts like an average value of its field
        and not like the random numbers it was initialised with.

        Parameters
        ----------
        counts : Tensor of shape (V,)
            Number of training rows of every row of the table, see `count_codes`.
        """
        for offset, size in zip(self.offsets.tolist(), self.vocabulary_sizes, strict=True):
            rows = self.weight[offset : offset + size]
            frequency = counts[offset : offset + size].to(rows.dtype)
            rows[frequency == 0] = (frequency @ rows) / frequency.sum().clamp(min=1)

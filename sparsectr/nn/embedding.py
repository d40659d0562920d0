"""The embedding table of all fields."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparsectr.kernels.rows import look_up
from sparsectr.nn.graph import Graph, write_lookup
from sparsectr.nn.linear import undrawn


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
    root_counts: Tensor

    def __init__(
        self, vocabulary_sizes: Sequence[int], embedding_dim: int, *, sparse: bool = True
    ) -> None:
        super().__init__()
        self.vocabulary_sizes = [int(size) for size in vocabulary_sizes]
        self.sparse = sparse
        sizes = torch.tensor(self.vocabulary_sizes, dtype=torch.int64, device="cpu")
        first_rows = (sizes.cumsum(0) - sizes).to(torch.int32)
        self.register_buffer("offsets", first_rows, persistent=False)
        self.weight = undrawn(int(sizes.sum()), embedding_dim)
        # Square roots of how often training has seen every row so far: in half precision they
        # hold counts up to 4e9 to one part in a thousand, in two bytes.
        counts = torch.zeros(self.weight.shape[0], dtype=torch.float16, device="cpu")
        self.register_buffer("root_counts", counts)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator, std: float) -> None:
        """Draw every number of the table from N(0, std)."""
        self.weight.normal_(0.0, std, generator=generator)

    def forward(self, codes: Tensor) -> Tensor:
        """Return the embeddings (B, F, D) of codes (B, F)."""
        rows = codes + self.offsets
        return (
            look_up(self.weight, rows) if self.sparse else functional.embedding(rows, self.weight)
        )

    def write(self, graph: Graph, codes: str) -> str:
        """Add the lookup of codes (B, F), int64, to a graph: embeddings (B, F, D)."""
        return self.write_parts(graph, codes, [self.weight.shape[1]])[0]

    def write_parts(self, graph: Graph, codes: str, ends: Sequence[int]) -> list[str]:
        """Add the lookups of parts of the embeddings, which end at some of the D numbers.

        Cutting vectors apart afterwards would copy them number by number.
        """
        rows, offsets = graph.add("Add", codes, self.offsets.long()), self.offsets.tolist()
        tables = [self.weight[:, first:last] for first, last in pairwise([0, *ends])]
        return [write_lookup(graph, table, rows, offsets) for table in tables]

    def past_counts(self) -> Tensor:
        """Return how often earlier trainings have seen every row; shape (V,), float64."""
        return self.root_counts.double().square()

    @torch.no_grad()
    def keep_counts(self, counts: Tensor) -> None:
        """Keep counts (V,) for `past_counts`."""
        self.root_counts.copy_(counts.double().sqrt())

    def untrained_rows(self, counts: Tensor, used: Tensor | None = None) -> Tensor:
        """Return the rows without a training row, of the whole table or of those that are used.

        Parameters
        ----------
        counts : Tensor of shape (V,)
            As for `fill_untrained`.
        used : Tensor of shape (V,), optional
            How often other rows of data use every row of the table; by default all are.

        Returns
        -------
        Tensor of shape (m,), int64
            Numbers of rows, in rising order.
        """
        untrained = counts == 0
        if used is not None:
            untrained &= used > 0
        return untrained.nonzero()[:, 0]

    @torch.no_grad()
    def fill_untrained(self, counts: Tensor, rows: Tensor | None = None) -> None:
        """Give every row without a training row the mean embedding of its field.

        The mean is weighted by frequency, so that a value that training never saw (unknown,
        missing, or only in the validation rows) predicts like an average value of its field
        and not like the random numbers it was initialised with.

        Parameters
        ----------
        counts : Tensor of shape (V,)
            Number (or summed weight) of the training rows of every row of the table, those of
            earlier trainings included; see `past_counts`.
        rows : Tensor of shape (m,), optional
            Only these of them are filled, as `untrained_rows` returns them; by default all.
        """
        rows = self.untrained_rows(counts) if rows is None else rows
        ends = list(accumulate(self.vocabulary_sizes))
        lasts = torch.searchsorted(rows, rows.new_tensor(ends)).tolist()
        first = 0
        for end, size, last in zip(ends, self.vocabulary_sizes, lasts, strict=True):
            if last > first:
                offset = end - size
                frequency = counts[offset:end].to(self.weight.dtype)
                mean = (frequency @ self.weight[offset:end]) / frequency.sum().clamp(min=1)
                self.weight[rows[first:last]] = mean
            first = last

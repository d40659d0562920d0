"""The net in which crosses of all orders are searched, and the parts it shares with others."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparsectr.kernels.fused import fused
from sparsectr.methods.profit.search_spaces import SearchSpace
from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.nn.graph import Graph, sum_over
from sparsectr.nn.linear import apply_evenly, undrawn
from sparsectr.rows.labelled import Batch
from sparsectr.training.prediction import logits_in_batches

# Embeddings start at 0.1, not at the usual 0.01 to 0.05: the gradient of a cross of order o
# falls with the (o - 1)-th power of it. Powers up to order 6 stay far above denormal numbers.
EMBEDDING_STD = 0.1


class FieldLinear(nn.Module):
    """Add up one number per field value, and a bias.

    Parameters
    ----------
    vocabulary_sizes : sequence of int
        Number of codes of every field.
    n_outputs : int
        Number K of logits.

    Notes
    -----
    Shapes: codes (B, F) to logits (B, K).
    """

    def __init__(self, vocabulary_sizes: Sequence[int], n_outputs: int) -> None:
        super().__init__()
        self.table = FieldEmbedding(vocabulary_sizes, n_outputs)
        self.bias = undrawn(n_outputs)

    @torch.no_grad()
    def reset_parameters(self, prior_logits: Tensor | float = 0.0) -> None:
        """Start at prior_logits (K,), with no effect of any value."""
        self.table.weight.zero_()
        self.bias[:] = prior_logits

    def forward(self, codes: Tensor) -> Tensor:
        """Return logits (B, K) of codes (B, F)."""
        return self.table(codes).sum(1) + self.bias

    def write(self, graph: Graph, codes: str) -> str:
        """Add the term to a graph: codes (B, F), int64, to logits (B, K)."""
        return graph.add("Add", sum_over(graph, self.table.write(graph, codes), 1), self.bias)


class Readout(nn.Module):
    """Turn vectors of length D into logits: their sum, or for K > 1 one weighted sum per logit.

    Parameters
    ----------
    embedding_dim : int
        Length D.
    n_outputs : int
        Number K of logits.

    Notes
    -----
    Shapes: (..., D) to (..., K).
    """

    weight: Tensor

    def __init__(self, embedding_dim: int, n_outputs: int) -> None:
        super().__init__()
        if n_outputs > 1:
            self.weight = undrawn(n_outputs, embedding_dim)
        else:
            ones = torch.ones(1, embedding_dim, dtype=torch.float32, device="cpu")
            self.register_buffer("weight", ones, persistent=False)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw the weights of several logits; a single one has none."""
        if self.weight.requires_grad:
            self.weight.normal_(generator=generator)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return logits (..., K) of vectors (..., D)."""
        if self.training:
            return vectors @ self.weight.T
        return apply_evenly(vectors, self.weight)


class CrossSearchNet(nn.Module):
    """Add up all crosses of the orders 1 to ``order``, weighted by a search space.

        logits = linear(x) + readout(sum_{o <= order} sum_{c in C(F, o)} A_c prod_{m in c} e_m)

    Parameters
    ----------
    vocabulary_sizes : sequence of int
        Number of codes of every field.
    embedding_dim : int
        Length D of an embedding.
    n_outputs : int
        Number K of logits.
    space : SearchSpace
        The weights A of all sets.

    Attributes
    ----------
    order : int
        Orders above this one take no part; starts at 1.

    Notes
    -----
    Shapes: codes (B, F) to logits (B, K).
    """

    def __init__(
        self,
        vocabulary_sizes: Sequence[int],
        embedding_dim: int,
        n_outputs: int,
        space: SearchSpace,
    ) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(vocabulary_sizes, embedding_dim)
        self.linear = FieldLinear(vocabulary_sizes, n_outputs)
        self.readout = Readout(embedding_dim, n_outputs)
        self.space = space
        # Only the architecture step lets gradients in, and only to the order it trains.
        self.space.requires_grad_(False)
        self.order = 1

    def reset_parameters(
        self, generator: torch.Generator, prior_logits: Tensor | float = 0.0
    ) -> None:
        """Draw all weights; the linear term starts at prior_logits (K,)."""
        self.embedding.reset_parameters(generator, std=EMBEDDING_STD)
        self.linear.reset_parameters(prior_logits)
        self.readout.reset_parameters(generator)
        self.space.reset_parameters(generator)

    def forward(self, codes: Tensor) -> Tensor:
        """Return logits (B, K) of codes (B, F)."""
        return self.combine(self.linear(codes), self.embedding(codes))

    def combine(self, linear: Tensor, embeddings: Tensor) -> Tensor:
        """Return logits (B, K) of the linear term (B, K) and embeddings (B, F, D)."""
        return linear + self.readout(self.space.sum_orders(embeddings, self.order))

    def betas(self) -> list[Tensor]:
        """Return the betas (R, F) of all orders; none where the space is of another kind."""
        return self.space.symmetric_betas(self.order) or []

    def loss(self, batch: Batch, *, of_space: bool) -> Tensor:
        """Return the loss of a batch, shape ().

        Parameters
        ----------
        batch : Batch
            B rows.
        of_space : bool
            Whether the gradient is that of the space, or that of everything else.
        """
        return symmetric_loss(self, batch, of_space=of_space)

    def logits_by_row(self, codes: Tensor) -> NDArray[np.float32]:
        """Return logits (B, K) of codes (B, F), every row by itself."""
        return symmetric_logits(self, codes)

    @torch.no_grad()
    def fold_first_order(self) -> Tensor:
        """Return the linear table (V, K) with the crosses of order 1 added to it."""
        sizes = self.embedding.offsets.new_tensor(self.embedding.vocabulary_sizes)
        fields = torch.arange(len(sizes), dtype=torch.int64, device=sizes.device)[:, None]
        # Of every row of the table, (V, 1).
        of_rows = self.space.set_weights(fields).repeat_interleave(sizes)[:, None]
        return self.linear.table.weight + of_rows * self.readout(self.embedding.weight)


def _has_betas(net: CrossSearchNet, *_: object, **__: object) -> bool:
    return len(net.linear.bias) == 1 and net.space.is_symmetric


@fused(cpu="profit.symmetric_loss", covers=_has_betas)
def symmetric_loss(net: CrossSearchNet, batch: Batch, *, of_space: bool) -> Tensor:
    """Return the loss of a batch, shape (), with gradients for the space or for the rest."""
    with torch.no_grad() if of_space else nullcontext():
        linear, embeddings = net.linear(batch.codes), net.embedding(batch.codes)
    return batch.mean_loss(net.combine(linear, embeddings))


@fused(cpu="profit.symmetric_loss", covers=_has_betas)
def symmetric_logits(net: CrossSearchNet, codes: Tensor) -> NDArray[np.float32]:
    """Return the logits (B, K) of codes (B, F)."""
    return logits_in_batches(net, codes)

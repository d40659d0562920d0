"""From embeddings and weighted crosses to logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sparsectr.methods.profit.search_net import FieldLinear, Readout
from sparsectr.nn.graph import Graph, reshape
from sparsectr.nn.mlp import MLP


class LinearPredictor(nn.Module):
    """Add the linear term and the sum of the crosses.

    Parameters
    ----------
    vocabulary_sizes : sequence of int
        Number of codes of every field.
    embedding_dim : int
        Length D of an embedding.
    n_outputs : int
        Number K of logits.

    Notes
    -----
    Shapes: codes (B, F), embeddings (B, F, D), weighted crosses (N, B, D) to logits (B, K).
    """

    def __init__(self, vocabulary_sizes: Sequence[int], embedding_dim: int, n_outputs: int) -> None:
        super().__init__()
        self.linear = FieldLinear(vocabulary_sizes, n_outputs)
        self.readout = Readout(embedding_dim, n_outputs)

    def reset_parameters(
        self, generator: torch.Generator, prior_logits: Tensor | float = 0.0
    ) -> None:
        """Draw the weights; the linear term starts at prior_logits (K,)."""
        self.linear.reset_parameters(prior_logits)
        self.readout.reset_parameters(generator)

    def seed(self, generator: torch.Generator) -> None:
        """Do nothing: training draws no random numbers here."""

    def forward(self, codes: Tensor, embeddings: Tensor, crosses: Tensor) -> Tensor:
        """Return logits (B, K) of codes (B, F), embeddings (B, F, D) and crosses (N, B, D)."""
        return self.add_up(codes, crosses.sum(0))

    def write(self, graph: Graph, codes: str, crossed: str | None) -> str:
        """Add the predictor to a graph, ``crossed`` (B, D) as for `add_up`, None for no cross."""
        linear = self.linear.write(graph, codes)
        if crossed is None:
            return linear
        return graph.add("Add", linear, graph.add("MatMul", crossed, self.readout.weight.T))

    def add_up(self, codes: Tensor, crossed: Tensor) -> Tensor:
        """Return logits (B, K) of codes (B, F) and of all crosses, crossed (B, D), summed up."""
        return self.linear(codes) + self.readout(crossed)


class MLPPredictor(nn.Module):
    """Add the linear term and an MLP over embeddings and crosses, side by side.

    Parameters
    ----------
    vocabulary_sizes : sequence of int
        Number of codes of every field.
    n_outputs : int
        Number K of logits.
    mlp : MLP
        Takes (F + N) D inputs, returns K outputs.

    Notes
    -----
    Shapes: as for `LinearPredictor`.
    """

    def __init__(self, vocabulary_sizes: Sequence[int], n_outputs: int, mlp: MLP) -> None:
        super().__init__()
        self.linear = FieldLinear(vocabulary_sizes, n_outputs)
        self.mlp = mlp

    def reset_parameters(
        self, generator: torch.Generator, prior_logits: Tensor | float = 0.0
    ) -> None:
        """Draw the weights; the linear term starts at prior_logits (K,)."""
        self.linear.reset_parameters(prior_logits)
        self.mlp.reset_parameters(generator)

    def seed(self, generator: torch.Generator) -> None:
        """Draw the dropout from a generator."""
        self.mlp.seed_dropout(generator)

    def forward(self, codes: Tensor, embeddings: Tensor, crosses: Tensor) -> Tensor:
        """Return logits (B, K) of codes (B, F), embeddings (B, F, D) and crosses (N, B, D)."""
        return self.linear(codes) + self.mlp(self._inputs(embeddings, crosses))

    def write(self, graph: Graph, codes: str, embeddings: str, crosses: list[str]) -> str:
        """Add the predictor to a graph; crosses come in parts (B, N', D)."""
        inputs = reshape(graph, graph.add("Concat", embeddings, *crosses, axis=1), 0, -1)
        linear = self.linear.write(graph, codes)
        return graph.add("Add", linear, self.mlp.write(graph, inputs))

    @staticmethod
    def _inputs(embeddings: Tensor, crosses: Tensor) -> Tensor:
        """Put (B, F, D) and (N, B, D) side by side: (B, (F + N) D)."""
        return torch.cat([embeddings, crosses.transpose(0, 1)], 1).flatten(1)

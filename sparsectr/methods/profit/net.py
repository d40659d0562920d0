"""The light net over a few kept crosses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparsectr.kernels.arrays import TensorViews
from sparsectr.kernels.fused import fused
from sparsectr.kernels.nets import table_of
from sparsectr.methods.profit.predictors import LinearPredictor, MLPPredictor
from sparsectr.methods.profit.search_net import EMBEDDING_STD, CrossSearchNet, FieldLinear
from sparsectr.nn.cross_products import Cross, CrossProducts, WeightedCrosses
from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.nn.graph import Graph
from sparsectr.nn.interplay import hide, joint_effects
from sparsectr.nn.mlp import MLP
from sparsectr.rows.labelled import Batch
from sparsectr.training.prediction import logits_in_batches


@dataclass(frozen=True)
class ProfitConfig:
    """Fix the shape of a `ProfitNet`.

    Attributes
    ----------
    crosses : tuple of tuples of int
        Field numbers of every kept cross, by rising order.
    predictor : {"linear", "mlp"}
        What turns crosses into logits.
    hidden_units : tuple of int
        Hidden layers of "mlp".
    dropout : float
        Dropout of "mlp".
    learn_weights : bool
        Whether the weights of the crosses are trained.
    """

    crosses: tuple[Cross, ...]
    predictor: str = "linear"
    hidden_units: tuple[int, ...] = ()
    dropout: float = 0.0
    learn_weights: bool = True


class ProfitNet(nn.Module):
    """Turn codes into logits through a few kept crosses.

        logits = linear(x) + phi(w_c prod_{m in c} e_m  for every kept cross c)

    with phi the sum over crosses and coordinates ("linear") or an MLP that also sees the
    embeddings ("mlp").

    Parameters
    ----------
    vocabulary_sizes : sequence of int
        Number of codes of every field, length F.
    embedding_dim : int
        Length D of an embedding.
    n_outputs : int
        Number K of logits.
    config : ProfitConfig
        Kept crosses and predictor.

    Notes
    -----
    Shapes: codes (B, F) to logits (B, K). Cost grows with the number of kept crosses, not with
    the number of sets. Source: see `ProfitClassifier`.
    """

    def __init__(
        self,
        vocabulary_sizes: Sequence[int],
        embedding_dim: int,
        n_outputs: int,
        config: ProfitConfig,
    ) -> None:
        super().__init__()
        self.arguments = {
            "vocabulary_sizes": tuple(vocabulary_sizes),
            "embedding_dim": embedding_dim,
            "n_outputs": n_outputs,
            "config": config,
        }
        self.config = config
        self.embedding = FieldEmbedding(vocabulary_sizes, embedding_dim)
        self.architecture = WeightedCrosses(config.crosses)
        self.architecture.weight.requires_grad_(config.learn_weights)
        self.predictor: LinearPredictor | MLPPredictor
        if config.predictor == "linear":
            self.predictor = LinearPredictor(vocabulary_sizes, embedding_dim, n_outputs)
        else:
            mlp = MLP(
                (len(vocabulary_sizes) + len(config.crosses)) * embedding_dim,
                config.hidden_units,
                n_outputs,
                config.dropout,
            )
            self.predictor = MLPPredictor(vocabulary_sizes, n_outputs, mlp)
        self.views = self._make_views()

    def _make_views(self) -> TensorViews | None:
        """Return what fused logits read, or None where they are not built."""
        if not isinstance(self.predictor, LinearPredictor):
            return None
        linear = self.predictor.linear
        return TensorViews(
            [
                (self.embedding, "offsets"),
                (self.embedding, "weight"),
                (linear.table, "weight"),
                (self.architecture, "weight"),
                (self.architecture.products, "all_fields"),
                (self.architecture.products, "starts"),
                (self.predictor.readout, "weight"),
                (linear, "bias"),
            ]
        )

    @torch.no_grad()
    def reset_parameters(
        self,
        generator: torch.Generator,
        prior_logits: Tensor | float = 0.0,
        weights: Tensor | float = 1.0,
    ) -> None:
        """Draw embeddings and predictor, and set the weights of the crosses."""
        self.embedding.reset_parameters(generator, std=EMBEDDING_STD)
        self.architecture.weight[:] = weights
        self.predictor.reset_parameters(generator, prior_logits)

    @property
    def intercept(self) -> Tensor:
        """What is added to the logits of all rows, (K,)."""
        return self.predictor.linear.bias

    @torch.no_grad()
    def take_over(self, searched: CrossSearchNet) -> None:
        """Copy embeddings and linear term of a search net, crosses of order 1 folded in."""
        self.embedding.weight.copy_(searched.embedding.weight)
        self.predictor.linear.bias.copy_(searched.linear.bias)
        if isinstance(self.predictor, LinearPredictor):
            self.predictor.linear.table.weight.copy_(searched.fold_first_order())
            self.predictor.readout.weight.copy_(searched.readout.weight)

    def forward(self, codes: Tensor) -> Tensor:
        """Return logits (B, K) of codes (B, F)."""
        return self.combine(codes, self.embedding(codes))

    def write(self, graph: Graph, codes: str) -> str:
        """Add the net to a graph: codes (B, F), int64, to logits (B, K)."""
        embeddings = self.embedding.write(graph, codes)
        crosses = self.architecture.write(graph, embeddings)
        return self.predictor.write(graph, codes, embeddings, crosses)

    def combine(self, codes: Tensor, embeddings: Tensor) -> Tensor:
        """Return logits (B, K) of codes (B, F) and their embeddings (B, F, D)."""
        if isinstance(self.predictor, LinearPredictor):
            return self.predictor.add_up(codes, self.architecture.sum(embeddings))
        return self.predictor(codes, embeddings, self.architecture(embeddings))

    @property
    def linear(self) -> FieldLinear:
        """The linear term."""
        return self.predictor.linear

    @property
    def crosses(self) -> CrossProducts:
        """The kept crosses."""
        return self.architecture.products

    @property
    def cross_weights(self) -> Tensor:
        """Weights of the kept crosses, (N,)."""
        return self.architecture.weight

    def loss(self, batch: Batch) -> Tensor:
        """Return the loss of a batch, shape ()."""
        return crosses_loss(self, batch)

    def logits_by_row(self, codes: Tensor) -> NDArray[np.float32]:
        """Return logits (B, K) of codes (B, F), every row by itself."""
        return linear_logits(self, codes)

    def cross_effects(self, codes: Tensor, crosses: Sequence[Cross]) -> Tensor:
        """Return what crosses do to the logits, (Q, B, K).

        With the linear predictor, what each adds. With an MLP, what its fields do together,
        hidden units included; see `sparsectr.nn.interplay`.

        Parameters
        ----------
        codes : Tensor of shape (B, F)
            Rows.
        crosses : sequence of tuples of int
            Field numbers of Q kept crosses.
        """
        if not isinstance(self.predictor, LinearPredictor):
            return joint_effects(lambda fields: self(hide(codes, fields)), crosses)
        effects: Tensor = self.predictor.readout(self.architecture(self.embedding(codes)))
        return effects[[self.config.crosses.index(cross) for cross in crosses]]

    def main_effects(self, codes: Tensor) -> Tensor:
        """Return what every field adds to the logits by itself, (F, B, K).

        Through an MLP, fields have no effect of their own: (0, B, K).
        """
        effects: Tensor = self.predictor.linear.table(codes).transpose(0, 1)
        return effects if self.config.predictor == "linear" else effects[:0]


def _has_one_logit(net: ProfitNet, *_: object) -> bool:
    return net.views is not None and len(net.linear.bias) == 1


@fused(cpu="profit.crosses_loss", numbers=table_of, covers=_has_one_logit)
def crosses_loss(net: ProfitNet, batch: Batch) -> Tensor:
    """Return the loss of a batch, shape ()."""
    return batch.mean_loss(net(batch.codes))


@fused(cpu="profit.crosses", numbers=table_of, covers=lambda net, _: net.views is not None)
def linear_logits(net: ProfitNet, codes: Tensor) -> NDArray[np.float32]:
    """Return the logits (B, K) of codes (B, F)."""
    return logits_in_batches(net, codes)


def without_crosses(searched: CrossSearchNet) -> ProfitNet:
    """Return the linear part of a search net, crosses of order 1 folded in."""
    table = searched.embedding
    n_outputs, embedding_dim = searched.readout.weight.shape
    net = ProfitNet(table.vocabulary_sizes, embedding_dim, n_outputs, ProfitConfig(crosses=()))
    net = net.to(table.weight.device)
    net.take_over(searched)
    return net

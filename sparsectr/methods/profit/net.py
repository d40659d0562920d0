"""The light net over a few kept crosses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparsectr.kernels.arrays import TensorViews
from sparsectr.kernels.fused import fused
from sparsectr.methods.profit.effects import product_effects
from sparsectr.methods.profit.predictors import LinearPredictor, MLPPredictor
from sparsectr.methods.profit.search_net import EMBEDDING_STD, CrossSearchNet, FieldLinear
from sparsectr.nn.cross_products import Cross, CrossProducts, WeightedCrosses
from sparsectr.nn.effects import Columns, FieldSet, effects_by_passes
from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.nn.graph import Graph
from sparsectr.nn.mlp import MLP
from sparsectr.rows.labelled import Batch
from sparsectr.training.prediction import logits_in_batches, logits_of


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

    @property
    def output_weights(self) -> list[Tensor]:
        """Weights in which the logits without the intercept are linear."""
        if isinstance(self.predictor, LinearPredictor):
            return [self.linear.table.weight, self.architecture.weight]
        last = self.predictor.mlp.last
        return [self.linear.table.weight, last.weight, last.bias]

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
        if isinstance(self.predictor, LinearPredictor):
            n_fields = len(self.embedding.vocabulary_sizes)
            crossed = self.architecture.write_sum(graph, embeddings, n_fields)
            return self.predictor.write(graph, codes, crossed)
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

    @property
    def takes_passes(self) -> bool:
        """Whether effects take passes of the net: an MLP has no sums for them."""
        return not isinstance(self.predictor, LinearPredictor)

    def effects(self, codes: Tensor, sets: Sequence[FieldSet], columns: Columns) -> Tensor:
        """Return what sets of fields do to the logits, (P, B, K); see `sparsectr.nn.effects`.

        Parameters
        ----------
        codes : Tensor of shape (B, F)
            Rows.
        sets : sequence of tuples of int
            P sets of fields, of any orders.
        columns : sequence of tuples of int
            The code columns of every field.
        """
        if not isinstance(self.predictor, LinearPredictor):
            return effects_by_passes(partial(logits_of, self), codes, sets, columns)
        unknown = torch.zeros_like(codes[:1])
        crosses = list(zip(self.config.crosses, self.cross_weights, strict=True))
        products = product_effects(
            self.embedding(codes), self.embedding(unknown)[0], crosses, sets, columns
        )
        effects: Tensor = self.predictor.readout(products)
        changes = self.linear.table(codes) - self.linear.table(unknown)  # (B, F, K)
        for place, fields in enumerate(sets):
            if len(fields) == 1:
                effects[place] += changes[:, list(columns[fields[0]])].sum(1)
        return effects


def _has_one_logit(net: ProfitNet, *_: object) -> bool:
    return net.views is not None and len(net.linear.bias) == 1


@fused(cpu="profit.crosses_loss", covers=_has_one_logit)
def crosses_loss(net: ProfitNet, batch: Batch) -> Tensor:
    """Return the loss of a batch, shape ()."""
    return batch.mean_loss(net(batch.codes))


@fused(cpu="profit.crosses", covers=lambda net, _: net.views is not None)
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

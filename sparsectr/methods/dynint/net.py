"""The net of DynInt: polynomial interactions whose weights may depend on the instance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparsectr.kernels.arrays import TensorViews
from sparsectr.kernels.fused import fused
from sparsectr.methods.dynint.effects import AnchoredPolynomial
from sparsectr.methods.dynint.layers import (
    DynamicActivationLayer,
    GateNetwork,
    GeneratedLayer,
    PinLayer,
    WeightedLayer,
    sum_fields,
)
from sparsectr.nn.effects import Columns, FieldSet, effects_by_passes
from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.nn.graph import Graph, affine, reshape, sum_over
from sparsectr.nn.linear import UndrawnLinear
from sparsectr.rows.labelled import Batch
from sparsectr.training.prediction import logits_in_batches, logits_of

VARIANTS = ("pin", "da", "dgp", "dwp")
# Standard deviation of a fresh embedding, times sqrt(D); start of the output weights.
EMBEDDING_SCALE = 0.4
OUTPUT_START = 0.3
# Most layers for which `AnchoredPolynomial` leaves nothing out.
LONGEST_SUMS = 2


@dataclass(frozen=True)
class DynIntConfig:
    """Fix the shape of a `DynIntNet`.

    Attributes
    ----------
    variant : {"pin", "da", "dgp", "dwp"}
        Which weights depend on the instance; see `DynIntNet`.
    n_layers : int
        Number L of interaction layers; crosses reach order L + 1.
    n_subspaces : int
        Number h of parts that an embedding is cut into; divides the embedding dimension.
    rank : int
        Rank K of the generated weights ("dgp") or of the generated gates ("dwp").
    hidden_units : int
        Width of the hidden layer of every gate network.
    """

    variant: str = "pin"
    n_layers: int = 2
    n_subspaces: int = 1
    rank: int = 1
    hidden_units: int = 8

    def make_layer(self, n_rows: int) -> PinLayer | GeneratedLayer:
        """Build one interaction layer over n interaction rows."""
        if self.variant == "dgp":
            return GeneratedLayer(n_rows, self.rank)
        if self.variant == "dwp":
            return WeightedLayer(n_rows, self.rank)
        return DynamicActivationLayer(n_rows) if self.variant == "da" else PinLayer(n_rows)


class DynIntNet(nn.Module):
    """Turn codes into logits through residual interaction layers.

    With X0 the embeddings of a row, cut into h subspaces (n = F * h interaction rows):

        X_l = X_{l-1} * A_l + X_{l-1},    logit = sum_f w_f sum_d X_L[f, d] + b

    ========  ==============================================================  ==============
    variant   A_l                                                             depends on row
    ========  ==============================================================  ==============
    "pin"     W_l X0                                                          nothing
    "da"      G_l * (W_l X0),  G_l = 2 sigmoid(DNN_l(X0))                     G (n,)
    "dgp"     U_l diag(s_l) V_l^T X0,  s_l = 1 + DNN_l(X0)                    s (K,)
    "dwp"     sum_p u_p * (W_l (v_p * X0)),  (u, v)_l = DNN_l(X0) + K^-1/2    u, v (K, n)
    ========  ==============================================================  ==============

    The gate networks see X0 through a stopped gradient.

    Parameters
    ----------
    vocabulary_sizes : sequence of int
        Number of codes of every field, length F.
    embedding_dim : int
        Length D of an embedding.
    n_outputs : int
        Number K of logits.
    config : DynIntConfig
        Variant and shape of the layers.

    Notes
    -----
    Shapes: codes (B, F) to logits (B, K). Source: Y. Yan and L. Li, "DynInt: Dynamic
    Interaction Modeling for Large-scale Click-Through Rate Prediction", DLP-KDD 2022, equations
    2 to 12; for subspaces "xDeepInt: a hybrid architecture for modeling the vector-wise and
    bit-wise feature interactions", equations of section 3. Differences:

    * the D additions of the scalar b are folded into one bias;
    * gates are one number per interaction row, singular values are 1 + DNN, and the offset of
      "dwp" is 1/sqrt(K), so that every variant starts as a static net.
    """

    def __init__(
        self,
        vocabulary_sizes: Sequence[int],
        embedding_dim: int,
        n_outputs: int,
        config: DynIntConfig,
    ) -> None:
        super().__init__()
        self.arguments = {
            "vocabulary_sizes": tuple(vocabulary_sizes),
            "embedding_dim": embedding_dim,
            "n_outputs": n_outputs,
            "config": config,
        }
        self.config = config
        self.n_fields = len(vocabulary_sizes)
        self.n_subspaces = config.n_subspaces
        self.embedding = FieldEmbedding(vocabulary_sizes, embedding_dim)
        n_rows = self.n_fields * config.n_subspaces
        layers = [config.make_layer(n_rows) for _ in range(config.n_layers)]
        self.layers = nn.ModuleList(layers)
        self.gates = nn.ModuleList(
            GateNetwork(self.n_fields * embedding_dim, config.hidden_units, layer.gate_size)
            for layer in layers
            if layer.gate_size
        )
        self.output = UndrawnLinear(self.n_fields, n_outputs)
        self.views = TensorViews(
            [
                (self.embedding, "offsets"),
                (self.embedding, "weight"),
                (self.output, "weight"),
                (self.output, "bias"),
                *((layer, "weight") for layer in layers if config.variant == "pin"),
            ]
        )

    @torch.no_grad()
    def reset_parameters(
        self, generator: torch.Generator, prior_logits: Tensor | float = 0.0
    ) -> None:
        """Draw all weights; a net without interactions then predicts about the prior."""
        embedding_dim = self.embedding.weight.shape[1]
        self.embedding.reset_parameters(generator, std=EMBEDDING_SCALE * embedding_dim**-0.5)
        layers = cast("list[PinLayer | GeneratedLayer]", list(self.layers))
        for layer in layers:
            layer.reset_parameters(generator)
        gated = [layer for layer in layers if layer.gate_size]
        for layer, gate in zip(gated, self.gates, strict=True):
            cast(GateNetwork, gate).reset_parameters(generator, layer.gate_start(generator))
        # Positive weights: a zero or mixed start leaves fields without gradient for long.
        self.output.weight.fill_(OUTPUT_START)
        self.output.bias[:] = prior_logits

    @property
    def intercept(self) -> Tensor:
        """What is added to the logits of all rows, (K,)."""
        return self.output.bias

    @property
    def output_weights(self) -> list[Tensor]:
        """Weights in which the logits without the intercept are linear."""
        return [self.output.weight]

    def forward(self, codes: Tensor) -> Tensor:
        """Return logits (B, K) of codes (B, F)."""
        embeddings = self.embedding(codes)
        return self.combine(embeddings, self.compute_gates(embeddings))

    @property
    def variant(self) -> str:
        """What depends on the row; see `DynIntConfig`."""
        return self.config.variant

    def layer_weights(self) -> list[tuple[Tensor, ...]]:
        """Return the tensors of every layer."""
        return [tuple(layer.parameters()) for layer in self.layers]

    def gate_weights(self) -> list[tuple[Tensor, ...]]:
        """Return the tensors of every gate network."""
        return [tuple(network.parameters()) for network in self.gates]

    def loss(self, batch: Batch, penalty: float = 0.0) -> Tensor:
        """Return the loss of a batch plus ``penalty`` times the orthogonality penalty, ()."""
        if self.variant == "pin":
            return polynomial_loss(self, batch)
        loss = gated_loss(self, batch, penalty if self.variant == "dwp" else 0.0)
        if penalty and self.variant == "dgp":  # a penalty of the weights alone
            loss = loss + penalty * self.penalty([None] * len(self.layers))
        return loss

    def logits_by_row(self, codes: Tensor) -> NDArray[np.float32]:
        """Return logits (B, K) of codes (B, F), every row by itself."""
        if self.variant == "pin":
            return polynomial_logits(self, codes)
        return gated_logits(self, codes)

    def compute_gates(self, embeddings: Tensor) -> list[Tensor | None]:
        """Return the output of every layer's gate network, (B, gate_size) or None."""
        if not self.gates:
            return [None] * len(self.layers)
        # The networks must not train the embeddings (section 3.1, stop-gradient).
        flat = embeddings.detach().flatten(1)
        return [network(flat) for network in self.gates]

    def combine(self, embeddings: Tensor, gates: Sequence[Tensor | None]) -> Tensor:
        """Return logits (B, K) of embeddings (B, F, D) and gates."""
        layers = cast("Sequence[PinLayer | GeneratedLayer]", self.layers)
        return self.output(sum_fields(layers, embeddings, gates, self.n_subspaces))

    def write(self, graph: Graph, codes: str) -> str:
        """Add the net to a graph: codes (B, F), int64, to logits (B, K)."""
        embeddings = self.embedding.write(graph, codes)
        gates: list[str | None] = [None] * len(self.layers)
        if self.gates:
            flat = reshape(graph, embeddings, 0, -1)
            gates = [cast("GateNetwork", network).write(graph, flat) for network in self.gates]
        h, n = self.n_subspaces, self.n_fields
        if h == 1:
            x0 = x = graph.add("Transpose", embeddings, perm=[0, 2, 1])
        else:
            parts = reshape(graph, embeddings, 0, n, h, -1)  # (B, F, h, d)
            turned = graph.add("Transpose", parts, perm=[0, 3, 2, 1])
            x0 = x = reshape(graph, turned, 0, 0, h * n)
        layers = cast("Iterable[PinLayer | GeneratedLayer]", self.layers)
        for layer, gate in zip(layers, gates, strict=True):
            x = graph.add("Add", x, graph.add("Mul", x, layer.write(graph, x0, gate)))
        sums = sum_over(graph, x, 1)
        if h > 1:
            sums = sum_over(graph, reshape(graph, sums, 0, h, n), 1)
        return affine(graph, sums, self.output.weight, self.output.bias)

    def penalty(self, gates: Sequence[Tensor | None]) -> Tensor:
        """Return the orthogonality penalty, summed over layers; shape ()."""
        if not len(self.layers):
            return self.output.weight.new_zeros(())
        layers = cast("Iterable[PinLayer | GeneratedLayer]", self.layers)
        return torch.stack(
            [layer.penalty(gate) for layer, gate in zip(layers, gates, strict=True)]
        ).sum()

    def anchored_polynomial(self, columns: Columns) -> AnchoredPolynomial:
        """Return the polynomial of the net around a row of which nothing is known.

        Parameters
        ----------
        columns : sequence of tuples of int
            The code columns of every field.
        """
        nothing = torch.zeros(1, self.n_fields, dtype=torch.int64, device=self.output.bias.device)
        anchor = self.embedding(nothing)
        gates = self.compute_gates(anchor)
        layers = cast("Sequence[PinLayer | GeneratedLayer]", self.layers)
        weights = [layer.matrix(gate) for layer, gate in zip(layers, gates, strict=True)]
        return AnchoredPolynomial(anchor[0], weights, self.output.weight, columns, self.n_subspaces)

    def rough_effects(self, codes: Tensor, sets: Sequence[FieldSet], columns: Columns) -> Tensor:
        """Return `effects` with the gates of an unknown row, and without passes of the net."""
        return self.anchored_polynomial(columns).effects(self.embedding(codes), sets)

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
        if self.takes_passes:
            return effects_by_passes(partial(logits_of, self), codes, sets, columns)
        return self.rough_effects(codes, sets, columns)

    @property
    def takes_passes(self) -> bool:
        """Whether effects take passes of the net: only a short polynomial has sums for them."""
        return self.variant != "pin" or len(self.layers) > LONGEST_SUMS


def _has_one_logit(net: DynIntNet, *_: object) -> bool:
    return len(net.output.bias) == 1 and net.embedding.sparse and len(net.layers) > 0


@fused(cpu="dynint.pin_loss", gpu="pin_loss", covers=_has_one_logit)
def polynomial_loss(net: DynIntNet, batch: Batch) -> Tensor:
    """Return the loss of a net without gates, shape ()."""
    return batch.mean_loss(net(batch.codes))


@fused(cpu="dynint.gated_loss", covers=_has_one_logit)
def gated_loss(net: DynIntNet, batch: Batch, penalty: float) -> Tensor:
    """Return the loss of a net with gates plus ``penalty`` times the penalty of gates, ()."""
    embeddings = net.embedding(batch.codes)
    gates = net.compute_gates(embeddings)
    loss = batch.mean_loss(net.combine(embeddings, gates))
    return loss + penalty * net.penalty(gates) if penalty else loss


def _has_layers(net: DynIntNet, *_: object) -> bool:
    return len(net.layers) > 0


@fused(cpu="dynint.pin", covers=_has_layers)
def polynomial_logits(net: DynIntNet, codes: Tensor) -> NDArray[np.float32]:
    """Return the logits (B, K) of a net without gates for codes (B, F)."""
    return logits_in_batches(net, codes)


@fused(cpu="dynint.gated_logits", covers=_has_layers)
def gated_logits(net: DynIntNet, codes: Tensor) -> NDArray[np.float32]:
    """Return the logits (B, K) of a net with gates for codes (B, F)."""
    return logits_in_batches(net, codes)

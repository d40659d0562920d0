"""What fused losses and logits read of a net: kernels import no net, they describe it.

A fused loss takes a net and a `Batch` and returns the mean loss, shape (), which knows its
gradients (`sparsectr.kernels.one_pass`), or NotImplemented for a loss that it does not know. Fused
logits take a net and codes (B, F) and return an array (B, K), every row computed by itself. Both
have a reference beside the net, see `sparsectr.kernels.fused`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class NamedLoss(Protocol):
    """Have the name by which kernels know a loss."""

    @property
    def name(self) -> str: ...


class Batch(Protocol):
    """Hold B rows: codes (B, F), targets (B,), weights (B,), and what compares them with logits."""

    @property
    def codes(self) -> Tensor: ...
    @property
    def targets(self) -> Tensor: ...
    @property
    def weights(self) -> Tensor: ...
    @property
    def loss(self) -> NamedLoss: ...


class Table(Protocol):
    """Hold the embeddings (V, D) of all fields, and where each field begins, (F,)."""

    @property
    def offsets(self) -> Tensor: ...
    @property
    def weight(self) -> Tensor: ...


class EmbeddingNet(Protocol):
    """Describe any net over one table of embeddings."""

    @property
    def embedding(self) -> Table: ...


class Affine(Protocol):
    """Hold the weights (K, n) and the bias (K,) of a linear layer."""

    @property
    def weight(self) -> Tensor: ...
    @property
    def bias(self) -> Tensor: ...


class Views(Protocol):
    """Give the tensors that logits of a single row need as arrays, made once."""

    def arrays(self) -> list[NDArray[Any]]: ...


class PolynomialNet(Protocol):
    """Describe `DynIntNet`: interaction layers, their gate networks, one weight per field.

    ``layer_weights`` and ``gate_weights`` are the tensors of every layer and gate network.
    """

    @property
    def embedding(self) -> Table: ...
    @property
    def output(self) -> Affine: ...
    @property
    def variant(self) -> str: ...
    @property
    def n_subspaces(self) -> int: ...
    @property
    def views(self) -> Views: ...
    def layer_weights(self) -> Sequence[tuple[Tensor, ...]]: ...
    def gate_weights(self) -> Sequence[tuple[Tensor, ...]]: ...


class LinearTerm(Protocol):
    """Hold one number per value, a table (V, K), and a bias (K,)."""

    @property
    def table(self) -> Table: ...
    @property
    def bias(self) -> Tensor: ...


class ListedCrosses(Protocol):
    """List the fields of all crosses, one after the other, and where each cross starts."""

    @property
    def listed(self) -> tuple[Tensor, Tensor]: ...


class KeptCrossesNet(Protocol):
    """Describe `ProfitNet` with the linear predictor: a linear term and weighted crosses."""

    @property
    def embedding(self) -> Table: ...
    @property
    def linear(self) -> LinearTerm: ...
    @property
    def cross_weights(self) -> Tensor: ...
    @property
    def crosses(self) -> ListedCrosses: ...
    @property
    def views(self) -> Views: ...


class AllCrossesNet(Protocol):
    """Describe `CrossSearchNet`: a linear term and all sets of fields, weighted by betas (R, F)."""

    @property
    def embedding(self) -> Table: ...
    @property
    def linear(self) -> LinearTerm: ...
    def betas(self) -> list[Tensor]: ...


class PairsNet(Protocol):
    """Describe `OptFeatureNet`: embeddings and inner products of pairs (P', 2) into an MLP.

    ``widths`` are the numbers of a table's row that are embedding, and selection embedding.
    """

    @property
    def embedding(self) -> Table: ...
    @property
    def widths(self) -> tuple[int, int]: ...
    @property
    def pairs(self) -> NDArray[np.int64] | None: ...
    def mlp_layers(self) -> list[tuple[Tensor, Tensor]]: ...

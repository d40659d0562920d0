"""Polynomial interaction layers, with static and with instance-dependent weights.

All layers work on embeddings transposed: ``x`` has shape (..., d, n), n interaction
rows with d coordinates each, so that a layer is one matrix product over the last axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparsectr.kernels.pin import polynomial_sums
from sparsectr.nn.graph import Graph, affine, insert_axis, reshape, take
from sparsectr.nn.linear import UndrawnLinear, undrawn

# Standard deviation of fresh interaction weights, as a share of their mean.
INITIAL_SPREAD = 0.1


class PinLayer(nn.Module):
    """Multiply every row by a linear combination of all rows: ``A = W x``.

    Layer l of a polynomial interaction network is ``x_l = x_{l-1} * (1 + A)``.

    Parameters
    ----------
    n_rows : int
        Number n of interaction rows.
    """

    gate_size = 0

    def __init__(self, n_rows: int) -> None:
        super().__init__()
        self.weight = undrawn(n_rows, n_rows)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw the weights around ``n^(-1/2)``, the size of Glorot's, all with one sign."""
        # NOTE[DIFF] not zero-mean: a cross whose weight starts near zero learns late, and one
        # with a head start takes its place. So all start alike, as in a factorization machine.
        mean = self.weight.shape[0] ** -0.5
        self.weight.normal_(mean, INITIAL_SPREAD * mean, generator=generator)

    def forward(self, x: Tensor, gate: Tensor | None) -> Tensor:
        """Return the factor A, of the shape of x."""
        return functional.linear(x, self.weight)

    def matrix(self, gate: Tensor | None) -> Tensor:
        """Return the matrix (n, n) with which ``A = matrix x`` for the one row of a gate (1, g)."""
        return self.weight

    def vectors(self, gate: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Return the vectors u and v around W as `polynomial_sums` takes them; None for ones."""
        return None, None

    def write(self, graph: Graph, x: str, gate: str | None) -> str:
        """Add the layer to a graph: x (B, d, n) to the factor A."""
        return graph.add("MatMul", x, self.weight.T)

    def penalty(self, gate: Tensor | None) -> Tensor:
        """Return the orthogonality penalty: none here."""
        return self.weight.new_zeros(())

    def gate_start(self, generator: torch.Generator) -> Tensor | float:
        """Return the output, (gate_size,) or one of all gates, with which a gate network starts."""
        return 0.0


class DynamicActivationLayer(PinLayer):
    """Scale every row of ``W x`` by a gate of the instance: ``A = G * (W x)``.

    ``G = 2 sigmoid(gate)`` has one number per row (B, n) and starts at 1.
    """

    def __init__(self, n_rows: int) -> None:
        super().__init__(n_rows)
        self.gate_size = n_rows

    def forward(self, x: Tensor, gate: Tensor | None) -> Tensor:
        """Return the factor A, of the shape of x."""
        # NOTE[DIFF] one gate per row, broadcast over the coordinates; the equation's
        # element-wise product leaves that open.
        return 2 * torch.sigmoid(_columns(gate)) * super().forward(x, None)

    def matrix(self, gate: Tensor | None) -> Tensor:
        """Return the matrix (n, n) of the one row of a gate (1, n)."""
        return 2 * torch.sigmoid(_columns(gate))[0].T * self.weight

    def vectors(self, gate: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Return the gates (B, 1, n) as u, and no v."""
        return 2 * torch.sigmoid(_columns(gate)), None

    def write(self, graph: Graph, x: str, gate: str | None) -> str:
        """Add the layer to a graph: x (B, d, n) and the gate (B, n) to the factor A."""
        share = graph.add("Mul", graph.add("Sigmoid", _named(gate)), 2.0)
        return graph.add("Mul", super().write(graph, x, None), insert_axis(graph, share, 1))


class GeneratedLayer(nn.Module):
    """Generate the singular values of a low-rank W: ``A = U diag(s) V^T x``.

    Parameters
    ----------
    n_rows : int
        Number n of interaction rows.
    rank : int
        Number K of singular values.
    """

    def __init__(self, n_rows: int, rank: int) -> None:
        super().__init__()
        self.gate_size = rank
        self.left = undrawn(n_rows, rank)
        self.right = undrawn(n_rows, rank)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw both factors so that the product lies around ``n^(-1/2)``, see `PinLayer`.

        The first components give the mean, and the others, of mean zero, the spread around it: all
        components with the same mean would start parallel, and the net as one of rank one.
        """
        n_rows, rank = self.left.shape
        mean = n_rows**-0.25
        # K - 1 products of two such numbers have a standard deviation of INITIAL_SPREAD * mean^2.
        spread = (INITIAL_SPREAD / max(1, rank - 1) ** 0.5) ** 0.5 * mean
        for factor in (self.left, self.right):
            factor[:, :1].normal_(mean, INITIAL_SPREAD * mean, generator=generator)
            factor[:, 1:].normal_(0, spread, generator=generator)

    def forward(self, x: Tensor, gate: Tensor | None) -> Tensor:
        """Return the factor A, of the shape of x."""
        # NOTE[DIFF] s = 1 + network, so that the layer starts as a static one.
        values = 1 + _columns(gate)
        return functional.linear(functional.linear(x, self.right.T) * values, self.left)

    def matrix(self, gate: Tensor | None) -> Tensor:
        """Return the matrix (n, n) of the one row of a gate (1, K)."""
        return (self.left * (1 + _columns(gate)[0])) @ self.right.T

    def write(self, graph: Graph, x: str, gate: str | None) -> str:
        """Add the layer to a graph: x (B, d, n) and the gate (B, K) to the factor A."""
        values = insert_axis(graph, graph.add("Add", _named(gate), 1.0), 1)
        scaled = graph.add("Mul", graph.add("MatMul", x, self.right), values)
        return graph.add("MatMul", scaled, self.left.T)

    def penalty(self, gate: Tensor | None) -> Tensor:
        """Return the summed absolute cosines between the columns of U, and of V."""
        return column_cosines(self.left.mT) + column_cosines(self.right.mT)

    def gate_start(self, generator: torch.Generator) -> float:
        """Return the output with which a gate network starts: singular values of 1."""
        return 0.0


class WeightedLayer(PinLayer):
    """Weigh W by a low-rank matrix of the instance: ``A = sum_p u_p * (W (v_p * x))``.

    Parameters
    ----------
    n_rows : int
        Number n of interaction rows.
    rank : int
        Number K of terms.
    """

    def __init__(self, n_rows: int, rank: int) -> None:
        super().__init__(n_rows)
        self.rank = rank
        self.gate_size = 2 * rank * n_rows

    def forward(self, x: Tensor, gate: Tensor | None) -> Tensor:
        """Return the factor A, of the shape of x."""
        u, v = self.vectors(gate)
        terms = [
            _columns(u[:, p]) * functional.linear(_columns(v[:, p]) * x, self.weight)
            for p in range(self.rank)
        ]
        return torch.stack(terms).sum(0) if self.rank > 1 else terms[0]

    def matrix(self, gate: Tensor | None) -> Tensor:
        """Return the matrix (n, n) of the one row of a gate (1, 2 K n)."""
        u, v = self.vectors(gate)
        return (u[0].T @ v[0]) * self.weight

    def write(self, graph: Graph, x: str, gate: str | None) -> str:
        """Add the layer to a graph: x (B, d, n) and the gate (B, 2 K n) to the factor A."""
        shape = (0, 2 * self.rank, self.weight.shape[0])
        vectors = reshape(graph, graph.add("Add", _named(gate), self.rank**-0.5), *shape)
        total = ""
        for p in range(self.rank):
            u, v = (take(graph, vectors, [place]) for place in (p, self.rank + p))  # (B, 1, n)
            term = graph.add("MatMul", graph.add("Mul", v, x), self.weight.T)
            term = graph.add("Mul", u, term)
            total = graph.add("Add", total, term) if total else term
        return total

    def penalty(self, gate: Tensor | None) -> Tensor:
        """Return the absolute cosines between the u_p, and the v_p, averaged over rows."""
        u, v = self.vectors(gate)
        return (column_cosines(u) + column_cosines(v)) / u.shape[0]

    def gate_start(self, generator: torch.Generator) -> Tensor:
        """Draw the output (2 K n,) with which a gate network starts.

        The first u and v are ones. The others have random signs and are so short that together they
        change W by `INITIAL_SPREAD`: K vectors of ones would be parallel, vectors of zeros without
        direction.
        """
        start = self.weight.new_ones(2, self.rank, self.weight.shape[0])
        others = start[:, 1:]
        length = (INITIAL_SPREAD / max(1, self.rank - 1) ** 0.5) ** 0.5
        others.bernoulli_(generator=generator).mul_(2 * length).sub_(length)
        return (start - self.rank**-0.5).flatten()

    def vectors(self, gate: Tensor | None) -> tuple[Tensor, Tensor]:
        """Split a gate (B, 2 K n) into u and v, each (B, K, n)."""
        if gate is None:
            raise ValueError("this layer needs the output of its gate network, got None.")
        # NOTE[DIFF] an offset of 1/sqrt(K), not 1/K: only then is sum_p u_p v_p^T a
        # matrix of ones when the network's output is zero.
        vectors = gate.unflatten(1, (2, self.rank, -1)) + self.rank**-0.5
        return vectors[:, 0], vectors[:, 1]


def split_subspaces(embeddings: Tensor, n_subspaces: int) -> Tensor:
    """Cut embeddings (B, F, D) into h subspaces: (B, d, n), row s * F + f of n.

    d = D / h coordinates, n = F * h interaction rows.
    """
    parts = embeddings.unflatten(2, (n_subspaces, -1))  # (B, F, h, d)
    return parts.permute(0, 3, 2, 1).flatten(2)


def sum_fields(
    layers: Sequence[PinLayer | GeneratedLayer],
    embeddings: Tensor,
    gates: Sequence[Tensor | None],
    n_subspaces: int,
) -> Tensor:
    """Run ``x_l = x_{l-1} * (1 + A_l)`` through all layers, and sum every field over x.

    Parameters
    ----------
    layers : sequence of L layers
        All of one class.
    embeddings : Tensor of shape (B, F, D)
        Become x_0, cut into subspaces.
    gates : sequence of L tensors of shape (B, gate_size) or None
        Output of every layer's gate network.
    n_subspaces : int
        Number of subspaces.

    Returns
    -------
    Tensor of shape (B, F)
    """
    if not len(layers):
        return embeddings.sum(2)
    if isinstance(layers[0], GeneratedLayer):
        x0 = split_subspaces(embeddings, n_subspaces)
        x = x0
        for layer, gate in zip(layers, gates, strict=True):
            x = torch.addcmul(x, x, layer(x0, gate))
        # (B, d, n) -> (B, n) -> (B, h, F) -> (B, F): the sum over all D coordinates.
        return x.sum(1).unflatten(1, (n_subspaces, -1)).sum(1)
    around = cast("Sequence[PinLayer]", layers)
    vectors = [layer.vectors(gate) for layer, gate in zip(around, gates, strict=True)]
    left, right = (
        None if side[0] is None else torch.stack(cast("list[Tensor]", side))
        for side in zip(*vectors, strict=True)
    )
    weights = torch.stack([layer.weight for layer in around])
    return polynomial_sums(embeddings, weights, left, right, n_subspaces)


def column_cosines(vectors: Tensor) -> Tensor:
    """Sum abs(cos) over all pairs of the K vectors (..., K, n), and over the leading axes."""
    unit = functional.normalize(vectors, dim=-1)
    cosines = (unit @ unit.mT).abs()
    # Every pair stands twice beside the diagonal.
    return (cosines.sum() - cosines.diagonal(dim1=-2, dim2=-1).sum()) / 2


class GateNetwork(nn.Module):
    """Compute gates from the embeddings of an instance: Linear, ReLU, Linear.

    Parameters
    ----------
    n_inputs : int
        Length of the flattened embeddings, F * D.
    hidden_units : int
        Width of the hidden layer.
    gate_size : int
        Number of outputs.
    """

    def __init__(self, n_inputs: int, hidden_units: int, gate_size: int) -> None:
        super().__init__()
        self.hidden = UndrawnLinear(n_inputs, hidden_units)
        self.output = UndrawnLinear(hidden_units, gate_size)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator, start: Tensor | float = 0.0) -> None:
        """Draw the weights; the last layer a tenth as large, so that gates begin near ``start``.

        Parameters
        ----------
        generator : torch.Generator
            Source of random numbers.
        start : Tensor of shape (gate_size,) or float, default=0.0
            Output of a network without inputs.
        """
        for layer, gain in ((self.hidden, 1.0), (self.output, 0.1)):
            nn.init.xavier_uniform_(layer.weight, gain=gain, generator=generator)
            nn.init.zeros_(layer.bias)
        self.output.bias[:] = start

    def write(self, graph: Graph, flat: str) -> str:
        """Add the network to a graph: flattened embeddings (B, F * D) to gates."""
        hidden = graph.add("Relu", affine(graph, flat, self.hidden.weight, self.hidden.bias))
        return affine(graph, hidden, self.output.weight, self.output.bias)

    def forward(self, flat: Tensor) -> Tensor:
        """Return gates (B, gate_size) of flattened embeddings (B, F * D)."""
        return self.output(self.hidden(flat).relu())


def _named(gate: str | None) -> str:
    if gate is None:
        raise ValueError("this layer needs the output of its gate network, got None.")
    return gate


def _columns(gate: Tensor | None) -> Tensor:
    """Bring a gate (B, n) to (B, 1, n)."""
    if gate is None:
        raise ValueError("this layer needs the output of its gate network, got None.")
    return gate[:, None]

"""Gates that open or close crosses, by their fields and by the values of a row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional

from sparsectr.methods.optfeature.crosses import (
    align,
    inner_crosses,
    upper_triangle,
    write_inner,
)
from sparsectr.nn.graph import Graph, take
from sparsectr.nn.linear import apply_evenly, undrawn

# Length of a fresh selection vector beside a bias of length 1. Every score then starts
# positive for orders 2 (1 +- 0.16) and 3, and selection vectors are far enough apart for
# one gate to be closed without its neighbours.
START_LENGTH = 0.4
# How far the values of a field start from their field's vector, as a share of its length.
START_SPREAD = 0.1


class _OpenGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, scores: Tensor) -> Tensor:
        return (scores > 0).to(scores.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        return gradients[0]


def open_gate(scores: Tensor) -> Tensor:
    """Return 1 where scores (...) are > 0, else 0; the gradient passes as if they were returned."""
    return _OpenGate.apply(scores)  # type: ignore[no-any-return,no-untyped-call]


class LowRankScores(nn.Module):
    """Score every set of vectors by a symmetric low-rank form.

    ``u_i = W h_i + b`` and ``score(i_1, ..., i_t) = sum_r s_r * u_{i_1, r} * ... * u_{i_t, r}``.

    Parameters
    ----------
    selection_dim : int
        Length of the selection vectors h.
    selection_rank : int
        Length of u, larger than ``selection_dim``.
    order : int
        Number t of vectors in a set: 2 to 4.

    Notes
    -----
    Shapes: (..., F, selection_dim) to (..., P).

    For t = 2 the vectors u are never built: ``score = h_i^T (W^T S W) h_j + q^T (h_i + h_j) + c``
    with ``q = W^T S b``, ``c = b^T S b``, S = diag(s), is the same number with ``selection_dim``
    instead of ``selection_rank`` products per pair.
    """

    def __init__(self, selection_dim: int, selection_rank: int, order: int) -> None:
        super().__init__()
        self.order = order
        self.weight = undrawn(selection_rank, selection_dim)
        self.bias = undrawn(selection_rank)
        self.scale = undrawn(selection_rank)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Start with ``score = 1 + <h_i, h_j>`` (t = 2), or a positive multiple of the like."""
        draws = torch.empty_like(self.weight).normal_(generator=generator)
        # Orthonormal columns, orthogonal to the constant bias.
        self.weight.copy_(torch.linalg.qr(draws - draws.mean(0)).Q)
        self.bias.fill_(len(self.bias) ** -0.5)
        self.scale.fill_(1.0)

    def forward(self, vectors: Tensor, others: Tensor | None = None) -> Tensor:
        """Return one score per set of vectors (..., F, d), shape (..., P).

        The second vector of a pair is among others (..., F, d), if given.
        """
        if self.order > 2:
            projected = self._project(vectors, self.weight.T) + self.bias
            return inner_crosses(projected, self.order, self.scale)
        scaled = self.weight * self.scale[:, None]
        form = self.weight.T @ scaled
        tilt = self.bias @ scaled
        others = vectors if others is None else others
        projected = align(self._project(vectors, form) + tilt)
        gram = projected @ align(others).mT + (vectors @ tilt)[..., None]
        return upper_triangle(gram) + self.bias @ (self.scale * self.bias)

    def write(
        self, graph: Graph, vectors: str, sets: Sequence[tuple[int, ...]], n_fields: int
    ) -> str:
        """Add the scores of sets of vectors to a graph: (B, F, selection_dim) to (B, P)."""
        if self.order > 2:
            projected = graph.add("Add", graph.add("MatMul", vectors, self.weight.T), self.bias)
            return write_inner(graph, projected, sets, n_fields, scale=self.scale)
        scaled = self.weight * self.scale[:, None]
        tilt = self.bias @ scaled
        projected = graph.add("Add", graph.add("MatMul", vectors, self.weight.T @ scaled), tilt)
        scores = write_inner(graph, projected, sets, n_fields, others=vectors)
        tilts = take(graph, graph.add("MatMul", vectors, tilt), [first for first, _ in sets])
        scores = graph.add("Add", scores, tilts)
        return graph.add("Add", scores, self.bias @ (self.scale * self.bias))

    def _project(self, vectors: Tensor, matrix: Tensor) -> Tensor:
        return vectors @ matrix if self.training else apply_evenly(vectors, matrix.T)


class Selection(nn.Module):
    """Hold the gates of all crosses of one order.

    A gate follows the fields of its cross (A_f), the values of the row (A_v), or a learnt
    choice between both, with one number alpha per cross:

    ==========  ==================================================  ============================
    combine     gate while searching                                chosen gate
    ==========  ==================================================  ============================
    "paper"     sigmoid(alpha) S(a_f) + (1 - sigmoid(alpha)) S(a_v)  S(a_f) if alpha > 0 else S(a_v)
    "raw"       S(sigmoid(alpha) a_f + (1 - sigmoid(alpha)) a_v)     the same
    ==========  ==================================================  ============================

    with S of `open_gate`, and a_f, a_v of `LowRankScores`.

    Parameters
    ----------
    n_fields : int
        Number F of fields.
    order : int
        Number of fields in a cross.
    granularity : {"field", "value", "hybrid"}
        Which gates there are.
    combine : {"paper", "raw"}
        How a hybrid gate mixes.
    selection_dim, selection_rank : int
        See `LowRankScores`.
    """

    def __init__(
        self,
        n_fields: int,
        order: int,
        granularity: str,
        combine: str,
        selection_dim: int,
        selection_rank: int,
    ) -> None:
        super().__init__()
        self.granularity = granularity
        self.combine = combine
        self.n_crosses = comb(n_fields, order)
        if granularity != "value":
            self.field_vectors = undrawn(n_fields, selection_dim)
            self.field_scorer = LowRankScores(selection_dim, selection_rank, order)
        if granularity != "field":
            self.value_scorer = LowRankScores(selection_dim, selection_rank, order)
        if granularity == "hybrid":
            self.alpha = undrawn(self.n_crosses)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator, field_share: float = 0.5) -> None:
        """Start with all gates open and sigmoid(alpha) at ``field_share``, in (0, 1)."""
        if self.granularity != "value":
            n_fields, selection_dim = self.field_vectors.shape
            self.field_vectors.copy_(start_vectors(n_fields, selection_dim, generator))
            self.field_scorer.reset_parameters(generator)
        if self.granularity != "field":
            self.value_scorer.reset_parameters(generator)
        if self.granularity == "hybrid":
            self.alpha.fill_(field_share).logit_()

    def field_scores(self) -> Tensor:
        """Return a_f, one score per cross, (P,)."""
        scores: Tensor = self.field_scorer(self.field_vectors)
        return scores

    def value_scores(self, vectors: Tensor, others: Tensor | None = None) -> Tensor:
        """Return a_v (B, P) for the selection vectors (B, F, selection_dim) of rows.

        The second field of a pair has its vector among others (B, F, selection_dim), if given.
        """
        scores: Tensor = self.value_scorer(vectors, others)
        return scores

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the gates while searching, (B, P), or (P,) if they depend on fields only."""
        if self.granularity == "field":
            return open_gate(self.field_scores())
        if self.granularity == "value":
            return open_gate(self.value_scores(vectors))
        share = torch.sigmoid(self.alpha)
        field, value = self.field_scores(), self.value_scores(vectors)
        if self.combine == "raw":
            return open_gate(share * field + (1 - share) * value)
        return share * open_gate(field) + (1 - share) * open_gate(value)

    @torch.no_grad()
    def follows_fields(self) -> Tensor:
        """Return for every cross whether its chosen gate follows the fields, (P,) bool."""
        if self.granularity == "hybrid":
            return self.alpha > 0
        device = next(self.parameters()).device
        by_field = self.granularity == "field"
        return torch.full((self.n_crosses,), by_field, dtype=torch.bool, device=device)

    @torch.no_grad()
    def chosen_scores(self, vectors: Tensor, others: Tensor | None = None) -> Tensor:
        """Return the scores behind the chosen gates, (B, P) or (P,) as in `forward`.

        The second field of a pair has its vector in ``others``, if given.
        """
        if self.granularity == "field":
            return self.field_scores()
        if self.granularity == "value":
            return self.value_scores(vectors, others)
        return torch.where(self.alpha > 0, self.field_scores(), self.value_scores(vectors, others))

    @torch.no_grad()
    def write(
        self, graph: Graph, vectors: str, kept: Sequence[tuple[int, ...]], n_fields: int
    ) -> str:
        """Add the scores of `chosen_scores` to a graph, only those of some crosses.

        Parameters
        ----------
        graph : Graph
            Takes the operators.
        vectors : str
            Selection vectors (B, F, selection_dim) of values: some gates depend on them.
        kept : sequence of tuples of int
            Fields of P' crosses of this order, in the order of all.
        n_fields : int
            Number F of fields.
        """
        scores = self.value_scorer.write(graph, vectors, kept, n_fields)
        if self.granularity == "value":
            return scores
        listed = combinations(range(n_fields), len(kept[0]))
        place = {fields: k for k, fields in enumerate(listed)}
        places = [place[fields] for fields in kept]
        by_field = (self.alpha > 0)[places]
        return graph.add("Where", by_field, self.field_scores()[places], scores)

    @torch.no_grad()
    def closed_for_good(self) -> Tensor:
        """Return for every cross whether its chosen gate is closed for all rows, (P,) bool."""
        by_field = self.follows_fields()
        return by_field & (self.field_scores() <= 0) if by_field.any() else by_field


def start_vectors(n_vectors: int, selection_dim: int, generator: torch.Generator) -> Tensor:
    """Draw vectors of length `START_LENGTH`, as orthogonal as their number allows, (n, d)."""
    draws = torch.empty((n_vectors, selection_dim), dtype=torch.float32, device=generator.device)
    nn.init.orthogonal_(draws, generator=generator)
    return START_LENGTH * functional.normalize(draws, dim=1)


def spread_vectors(centre: Tensor, n_vectors: int, generator: torch.Generator) -> Tensor:
    """Draw vectors of the same length close to one vector (selection_dim,)."""
    draws = centre.new_empty(n_vectors, len(centre))
    draws.normal_(0, START_LENGTH * START_SPREAD * len(centre) ** -0.5, generator=generator)
    return START_LENGTH * functional.normalize(centre + draws, dim=1)

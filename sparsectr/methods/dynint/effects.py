"""What sets of fields do in a polynomial net, without a pass for every part of a set.

Let u be the embeddings of a row of which nothing is known, and d what the known values add to them.
With ``alpha_l = 1 + W_l u``, the logits of a row of which only the fields T are known are

    sum over rows i of T of  w_i d_i prod_l (alpha_l,i + sum_{j in T} W_l,ij d_j)         (inside)
  + sum over all rows i  of  w_i u_i prod_l (alpha_l,i + sum_{j in T} W_l,ij d_j)         (outside)

with products and sums coordinate by coordinate, and summed over coordinates at the end. The part
inside takes the interaction rows of T alone. Of the part outside, the terms of first and second
degree in d are taken: with up to two layers there are no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import prod

import torch
from torch import Tensor

from sparsectr.methods.dynint.layers import split_subspaces
from sparsectr.nn.effects import Columns, FieldSet

ROWS_AT_ONCE = 512
SETS_AT_ONCE = 64
# A GPU takes so many times as many rows and sets at once; fewer leave it waiting for the next call.
TIMES_ON_A_GPU = 8


class AnchoredPolynomial:
    """Compute the effects of sets of fields on the logits of a polynomial net.

    Exact for at most two layers whose weights are the same for all rows. Gates are taken as they
    are where nothing is known.

    Parameters
    ----------
    anchor : Tensor of shape (C, D)
        Embeddings u of unknown values.
    weights : sequence of L tensors of shape (n, n)
        W_l over the n = C * h interaction rows, column c of subspace s being row s * C + c.
    output : Tensor of shape (K, C)
        Weights w of the columns.
    columns : sequence of tuples of int
        The code columns of every field.
    n_subspaces : int
        Number h of parts of an embedding.
    """

    def __init__(
        self,
        anchor: Tensor,
        weights: Sequence[Tensor],
        output: Tensor,
        columns: Columns,
        n_subspaces: int = 1,
    ) -> None:
        self.anchor = anchor
        self.n_subspaces = n_subspaces
        n_columns = len(anchor)
        unknown = split_subspaces(anchor[None], n_subspaces)[0].T  # (n, d)
        n_rows = len(unknown)
        # One more row, of zeros, fills up fields that have fewer columns than others.
        widest = max(map(len, columns))
        own = [
            [s * n_columns + c for s in range(n_subspaces) for c in some]
            + [n_rows] * (n_subspaces * (widest - len(some)))
            for some in columns
        ]
        self.rows_of_fields = torch.tensor(own, dtype=torch.int64, device=anchor.device)  # (F, m)
        self.factors = [_with_zero(1 + weight @ unknown) for weight in weights]  # alpha_l, (n+1, d)
        self.weights = [_with_zero(_with_zero(weight).T).T for weight in weights]
        self.output = _with_zero(output.repeat(1, n_subspaces).T)  # (n + 1, K)
        base = self.output[:n_rows, :, None] * unknown[:, None]  # w_i u_i, (n, K, d)
        alphas = [factor[:n_rows, None] for factor in self.factors]
        terms = [
            torch.einsum("ij,ikd->jkd", weight[:n_rows], base * prod(_without(alphas, {layer})))
            for layer, weight in enumerate(self.weights)
        ]
        nothing = base.new_zeros(n_rows + 1, *base.shape[1:])  # all there is without layers
        self.linear = sum(terms, nothing)  # (n + 1, K, d)
        self.bilinear = [  # W_l, W_m (n, n + 1) and the rest of their terms (n, K * d)
            (
                self.weights[first][:n_rows],
                self.weights[second][:n_rows],
                (base * prod(_without(alphas, {first, second}))).flatten(1),
            )
            for first, second in combinations(range(len(weights)), 2)
        ]

    def effects(self, embeddings: Tensor, sets: Sequence[FieldSet]) -> Tensor:
        """Return what P sets of fields, of any orders, do to the logits.

        Parameters
        ----------
        embeddings : Tensor of shape (B, C, D)
            Of rows.
        sets : sequence of tuples of int
            P sets of one or more fields.

        Returns
        -------
        Tensor of shape (P, B, K)
        """
        times = TIMES_ON_A_GPU if embeddings.is_cuda else 1
        effects = embeddings.new_empty(len(sets), len(embeddings), self.output.shape[1])
        for order in {len(fields) for fields in sets}:
            places = [place for place, fields in enumerate(sets) if len(fields) == order]
            for first in range(0, len(places), SETS_AT_ONCE * times):
                some = places[first : first + SETS_AT_ONCE * times]
                chosen = [sets[place] for place in some]
                fields = torch.tensor(chosen, dtype=torch.int64, device=embeddings.device)
                parts = [
                    self._effects(rows, fields) for rows in embeddings.split(ROWS_AT_ONCE * times)
                ]
                effects[some] = torch.cat(parts, 1)
        return effects

    def _effects(self, embeddings: Tensor, sets: Tensor) -> Tensor:
        """Return the effects (P, B, K) of sets (P, o) of one order."""
        changes = split_subspaces(embeddings - self.anchor, self.n_subspaces)  # (B, d, n)
        changes = _with_zero(changes.permute(2, 0, 1))  # (n + 1, B, d)
        order = sets.shape[1]
        total = self._inside(changes, sets)
        for size in range(1, order):
            for members in combinations(range(order), size):
                # Sets share most of their parts: 120 triples of ten fields have 45 pairs.
                parts, places = sets[:, list(members)].unique(dim=0, return_inverse=True)
                total = total + (-1) ** (order - size) * self._inside(changes, parts)[places]
        if order <= 2:
            total = total + self._outside(changes, sets)
        return total

    def _inside(self, changes: Tensor, sets: Tensor) -> Tensor:
        """Return the part inside of the logits (P, B, K) when only some fields are known."""
        rows = self.rows_of_fields[sets].flatten(1)  # (P, r)
        known = changes[rows]  # (P, r, B, d)
        flat = known.flatten(2)
        x = known
        for weight, factor in zip(self.weights, self.factors, strict=True):
            block = weight[rows[:, :, None], rows[:, None, :]]
            mixed = torch.bmm(block, flat).unflatten(2, known.shape[2:])
            x = mixed.add_(factor[rows][:, :, None]).mul_(x)
        return torch.bmm(x.sum(3).mT, self.output[rows])  # (P, B, r) times (P, r, K)

    def _outside(self, changes: Tensor, sets: Tensor) -> Tensor:
        """Return the effects (P, B, K) of sets (P, 1 or 2) in the part outside."""
        rows = self.rows_of_fields[sets]  # (P, o, m)
        firsts, seconds = rows[:, 0], rows[:, -1]
        n_outputs = self.output.shape[1]
        total = changes.new_zeros(len(sets), changes.shape[1], n_outputs)
        if sets.shape[1] == 1:
            for row in firsts.unbind(1):
                total += torch.einsum("pbd,pkd->pbk", changes[row], self.linear[row])
        share = 0.5 if sets.shape[1] == 1 else 1.0  # a field meets itself twice
        for first in firsts.unbind(1):
            for second in seconds.unbind(1):
                product = changes[first] * changes[second]
                for left, right, rest in self.bilinear:
                    met = left[:, first] * right[:, second] + left[:, second] * right[:, first]
                    weight = (met.T @ rest).unflatten(1, (n_outputs, -1))  # (P, K, d)
                    total += share * torch.einsum("pbd,pkd->pbk", product, weight)
        return total


def _with_zero(x: Tensor) -> Tensor:
    """Append a row of zeros along the first axis."""
    return torch.cat([x, x.new_zeros(1, *x.shape[1:])])


def _without(factors: list[Tensor], left_out: set[int]) -> list[Tensor | float]:
    """Return the factors of a product without some of them."""
    return [1.0, *(factor for place, factor in enumerate(factors) if place not in left_out)]

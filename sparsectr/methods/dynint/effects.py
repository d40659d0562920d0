"""What sets of fields do in a polynomial net, without a pass for every part of a set.

Let u be the embeddings of a row of which nothing is known, and d what the known values add to them.
With ``alpha_l = 1 + W_l u``, the logits of a row of which only the fields T are known are

    sum over rows i of T of  w_i d_i prod_l (alpha_l,i + sum_{j in T} W_l,ij d_j)         (inside)
  + sum over all rows i  of  w_i u_i prod_l (alpha_l,i + sum_{j in T} W_l,ij d_j)         (outside)

with products and sums coordinate by coordinate, and summed over coordinates at the end.

Inside, the factor of a layer for row i is ``alpha_l,i`` and a sum over the fields f of T, of
``M_l,i,f = sum_{j in f} W_l,ij d_j``. Of the product of these factors, the effect of a set S has
the terms in which every field of S, but for that of row i itself, is met by one layer or more.
Outside, the terms of first and second degree in d are taken: with up to two layers there are no
others.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from sparsectr.methods.dynint.layers import split_subspaces
from sparsectr.nn.effects import Columns, FieldSet

# Few, so that what is computed of them stays in the cache of a core.
ROWS_AT_ONCE = 64
SETS_AT_ONCE = 64
# A GPU takes so many times as many rows and sets at once; fewer leave it waiting for the next call.
TIMES_ON_A_GPU = 16


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
        self.weights = list(weights)
        n_columns = len(anchor)
        unknown = split_subspaces(anchor[None], n_subspaces)[0].T  # (n, d)
        # Fields that have fewer columns than others are filled up with n, which is no row.
        widest = n_subspaces * max(map(len, columns))
        own = [[s * n_columns + c for s in range(n_subspaces) for c in some] for some in columns]
        filled = [some + [len(unknown)] * (widest - len(some)) for some in own]
        self.rows_of_fields = _as_index(filled, anchor)  # (F, m)
        self.factors = [1 + weight @ unknown for weight in weights]  # alpha_l, (n, d)
        self.output = output.repeat(1, n_subspaces).T  # (n, K)
        base = self.output[:, :, None] * unknown[:, None]  # w_i u_i, (n, K, d)
        alphas = [factor[:, None] for factor in self.factors]
        terms = [
            torch.einsum("ij,ikd->jkd", weight, base * prod(_without(alphas, {layer})))
            for layer, weight in enumerate(self.weights)
        ]
        self.linear = sum(terms, torch.zeros_like(base))  # (n, K, d); 0 without layers
        self.bilinear = [  # W_l, W_m (n, n) and the rest of their terms (n, K * d)
            (
                self.weights[first],
                self.weights[second],
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
        changes = split_subspaces(embeddings - self.anchor, self.n_subspaces).permute(2, 0, 1)
        # One more row, of ones, stands where a term has one factor less.
        changes = torch.cat([changes, torch.ones_like(changes[:1])])  # (n + 1, B, d)
        parts = changes.split(ROWS_AT_ONCE * times, 1)
        effects = embeddings.new_zeros(len(sets), len(embeddings), self.output.shape[1])
        # A layer meets one field more: larger sets have no effect.
        for order in {n for n in map(len, sets) if n <= len(self.weights) + 1}:
            places = [place for place, fields in enumerate(sets) if len(fields) == order]
            for first in range(0, len(places), SETS_AT_ONCE * times):
                some = places[first : first + SETS_AT_ONCE * times]
                fields = _as_index([sets[place] for place in some], embeddings)
                inside, outside = self._plan_inside(fields), self._plan_outside(fields)
                found = [self._inside(d, inside) + self._outside(d, outside) for d in parts]
                effects[some] = torch.cat(found, 1)
        return effects

    # Inside ---------------------------------------------------------------------------

    def _plan_inside(self, sets: Tensor) -> _Inside:
        """List the terms of the part inside of P sets (P, o) of one order."""
        n_rows, order = len(self.output), sets.shape[1]
        rows = self.rows_of_fields[sets]  # (P, o, m)
        owners, members, _ = (rows < n_rows).nonzero().unbind(1)
        rows = rows[rows < n_rows]
        # The field of the row itself first, then the others.
        turns = [[k, *(other for other in range(order) if other != k)] for k in range(order)]
        met = sets[owners[:, None], _as_index(turns, sets)[members]]  # (T, o)
        meetings, places = (met * n_rows + rows[:, None]).unique(return_inverse=True)
        blocks = []
        for field in (meetings // n_rows).unique().tolist():
            own = self.rows_of_fields[field]
            own, some = own[own < n_rows], meetings[meetings // n_rows == field] % n_rows
            blocks.append((own, [weight[some[:, None], own] for weight in self.weights]))
        output = _spread(owners, len(sets), self.output)[:, None] * self.output[rows].T
        return _Inside(rows, places.T, blocks, output)

    def _inside(self, changes: Tensor, plan: _Inside) -> Tensor:
        """Return the effects (P, B, K) in the part inside, of changes (n + 1, B, d) of rows."""
        # The products of the layers so far by the others that they met, a bit for each.
        products = {0: changes.new_ones(1, 1, 1)}
        for layer in range(len(self.weights)):
            parts = [
                weights[layer] @ changes.index_select(0, own).flatten(1)
                for own, weights in plan.blocks
            ]
            met = torch.cat(parts).unflatten(1, changes.shape[1:])  # (U, B, d)
            products = self._multiply(layer, products, met, plan)
        sums = (products[max(products)] * changes.index_select(0, plan.rows)).sum(2)  # (T, B)
        return torch.einsum("pkt,tb->pbk", plan.output, sums)

    def _multiply(
        self, layer: int, before: dict[int, Tensor], met: Tensor, plan: _Inside
    ) -> dict[int, Tensor]:
        """Multiply the terms (T, B, d) by the factors of a layer, of what rows meet (U, B, d)."""
        own, *others = plan.places
        n_left = len(self.weights) - 1 - layer
        products: dict[int, Tensor] = {}
        for some in range(1 << len(others)):
            if len(others) - some.bit_count() > n_left:
                continue  # too many are left for the layers that follow
            bits = [1 << place for place in range(len(others)) if some >> place & 1]
            terms = [
                (before[some ^ bit], met.index_select(0, others[bit.bit_length() - 1]))
                for bit in bits
                if some ^ bit in before
            ]
            if some in before:
                factor = met.index_select(0, own).add_(self.factors[layer][plan.rows][:, None])
                for bit in bits:
                    factor += met.index_select(0, others[bit.bit_length() - 1])
                terms.append((before[some], factor))
            for product, factor in terms:
                if some in products:
                    products[some].addcmul_(product, factor)
                else:
                    products[some] = factor if layer == 0 else factor.mul_(product)
        return products

    # Outside --------------------------------------------------------------------------

    def _plan_outside(self, sets: Tensor) -> _Outside | None:
        """List the terms of the part outside of P sets (P, o); None where there are none."""
        n_rows, order = len(self.output), sets.shape[1]
        if order > 2:
            return None
        rows = self.rows_of_fields[sets]  # (P, o, m)
        firsts, seconds = rows[:, 0, :, None], rows[:, -1, None]  # (P, m, 1) and (P, 1, m)
        owners, left, right = ((firsts < n_rows) & (seconds < n_rows)).nonzero().unbind(1)
        firsts, seconds = rows[owners, 0, left], rows[owners, -1, right]
        slopes = self.linear.new_zeros(len(firsts), self.linear[0].numel())
        for one, other, rest in self.bilinear:
            met = one[:, firsts] * other[:, seconds] + one[:, seconds] * other[:, firsts]
            slopes += met.T @ rest
        slopes = slopes.unflatten(1, self.linear.shape[1:])
        if order == 1:
            single, place = (rows[:, 0] < n_rows).nonzero().unbind(1)
            own = rows[single, 0, place]
            owners, firsts = torch.cat([owners, single]), torch.cat([firsts, own])
            seconds = torch.cat([seconds, torch.full_like(own, n_rows)])
            # A field meets itself twice.
            slopes = torch.cat([slopes / 2, self.linear[own]])
        return _Outside(firsts, seconds, slopes, _spread(owners, len(sets), slopes))

    def _outside(self, changes: Tensor, plan: _Outside | None) -> Tensor:
        """Return the effects (P, B, K) in the part outside, of changes (n + 1, B, d) of rows."""
        if plan is None:
            return changes.new_zeros(())
        products = changes.index_select(0, plan.firsts)  # (T, B, d)
        products *= changes.index_select(0, plan.seconds)
        terms = torch.bmm(products, plan.slopes.mT)  # (T, B, K)
        effects: Tensor = (plan.spread @ terms.flatten(1)).unflatten(1, terms.shape[1:])
        return effects


class _Inside(NamedTuple):
    """The T terms of the part inside of P sets of order o.

    A term is a row of a field of a set. A row meets fields: ``places`` (o, T) are the places of
    what a term needs, its own field first, among all U meetings. Those with one field follow each
    other: ``blocks`` has its rows (m,), and for every layer the weights (U', m). ``output``
    (P, K, T) has the output weights of the terms, 0 for those of other sets.
    """

    rows: Tensor
    places: Tensor
    blocks: list[tuple[Tensor, list[Tensor]]]
    output: Tensor


class _Outside(NamedTuple):
    """The T terms of the part outside of P sets.

    A term is the product of what is known in two rows, times its slopes (T, K, d). ``spread``
    (P, T) sums the terms of every set.
    """

    firsts: Tensor
    seconds: Tensor
    slopes: Tensor
    spread: Tensor


def _spread(owners: Tensor, n_sets: int, like: Tensor) -> Tensor:
    """Return the matrix (P, T) that sums the terms of every set; ``owners`` (T,) are the sets."""
    numbers = torch.arange(n_sets, dtype=torch.int64, device=owners.device)
    return (numbers[:, None] == owners).to(like.dtype)


def _as_index(numbers: Sequence[Sequence[int]], like: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=torch.int64, device=like.device)


def _without(factors: list[Tensor], left_out: set[int]) -> list[Tensor | float]:
    """Return the factors of a product without some of them."""
    return [1.0, *(factor for place, factor in enumerate(factors) if place not in left_out)]

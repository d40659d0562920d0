"""The best sets of an order by a score: exhaustive, or a beam search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, comb
from typing import NamedTuple

import torch
from torch import Tensor

from sparsectr.methods.profit.search_net import CrossSearchNet
from sparsectr.nn.cross_products import Cross

# Sets (P, k) to one number each (P,).
Score = Callable[[Tensor], Tensor]

# Up to this many sets are listed; beyond, a beam of this width is extended field by field.
MOST_LISTED = 1_000_000
BEAM_WIDTH = 10_000
# Rows on which contributions are measured, and how many times the wanted number of sets, after
# an estimate for all of them.
RANKING_ROWS = 10_000
RANKING_MARGIN = 4


def best_sets(
    score: Score,
    n_fields: int,
    order: int,
    n_best: int,
    *,
    most_listed: int = MOST_LISTED,
    beam_width: int = BEAM_WIDTH,
    device: torch.device | None = None,
) -> Tensor:
    """Return the sets of distinct fields with the highest scores, best first.

    Parameters
    ----------
    score : callable
        Takes sets (P, k), with rising field numbers, returns scores (P,). A beam also scores
        sets of fewer than ``order`` fields.
    n_fields : int
        Number F of fields.
    order : int
        Number of fields in a set.
    n_best : int
        Number of sets wanted; all sets if there are fewer.
    most_listed : int, default=1_000_000
        Largest number of sets that are all scored. Beyond, the best ``beam_width`` sets of
        k fields are extended by one field each, for k = 1, ..., order - 1.
    beam_width : int, default=10_000
        Sets kept from one size to the next.
    device : torch.device, optional
        Where the sets are made.

    Returns
    -------
    Tensor of shape (n_best, order), int64
        Equal scores in lexicographic order.
    """
    fields = torch.arange(n_fields, dtype=torch.int64, device=device or "cpu")
    if comb(n_fields, order) <= most_listed:
        return _highest(score, torch.combinations(fields, order), n_best)
    sets = fields[:, None]
    for _ in range(order - 1):
        sets = _highest(score, sets, beam_width)
        extended = torch.cat(
            [sets.repeat_interleave(n_fields, 0), fields.repeat(len(sets))[:, None]], 1
        )
        extended = extended.sort(1).values
        distinct = (extended[:, 1:] > extended[:, :-1]).all(1)
        sets = extended[distinct].unique(dim=0)  # rows in lexicographic order
    return _highest(score, sets, n_best)


def _highest(score: Score, sets: Tensor, n_best: int) -> Tensor:
    scores = torch.cat([score(some) for some in sets.split(65_536)])
    return sets[scores.argsort(descending=True, stable=True)[:n_best]]


def count_crosses(
    wanted: int | Mapping[int, int] | str, n_fields: int, max_order: int
) -> dict[int, int]:
    """Return how many crosses to keep of every order from 2 on.

    Parameters
    ----------
    wanted : int, mapping of int to int, or "auto"
        The same number for all orders (all sets of a higher order that has fewer), or one for
        each. "auto": the smaller of 2 F and 15 % of the sets for order 2, the smaller of F and all
        sets for each higher order.
    n_fields : int
        Number F of fields.
    max_order : int
        Largest order.

    Raises
    ------
    ValueError
        If there is one field only, the largest order is above the number of fields, or a number
        above that of the sets.
    """
    if n_fields < 2:
        raise ValueError(f"a cross takes at least two fields, got n_features = {n_fields}.")
    if max_order > n_fields:
        raise ValueError(
            f"max_order must be at most the number of fields, n_features = {n_fields}, "
            f"got {max_order}."
        )
    n_sets = {order: comb(n_fields, order) for order in range(2, max_order + 1)}
    if isinstance(wanted, str):
        return {
            order: min(2 * n_fields, ceil(0.15 * n)) if order == 2 else min(n_fields, n)
            for order, n in n_sets.items()
        }
    if isinstance(wanted, Mapping):
        counts = dict(wanted)
    else:
        counts = {order: wanted if order == 2 else min(wanted, n) for order, n in n_sets.items()}
    if set(counts) != set(n_sets):
        raise ValueError(
            f"n_crosses must have the keys {list(n_sets)}, the orders from 2 to max_order, "
            f"got {list(counts)}."
        )
    for order, n in n_sets.items():
        if not 0 <= counts[order] <= n:
            raise ValueError(
                f"n_crosses must be at most the number of sets of order {order}, {n} with "
                f"{n_fields} fields, got {counts[order]}."
            )
    return counts


class ProductSpread:
    """Estimate by how much the product of some fields varies from row to row.

    If the fields are independent, the variance of ``sum_d prod_k e[k, d]`` over rows follows
    from the moments of single fields, with ``M_k = E[e_k e_k^T]``:

        sum_{d, d'} prod_k M_k[d, d'] - (sum_d prod_k E[e_k][d])^2

    That costs D^2 per field of a set, whatever the number of rows.

    Parameters
    ----------
    embeddings : Tensor of shape (n_rows, F, D)
        Embeddings of a sample of rows.
    """

    def __init__(self, embeddings: Tensor) -> None:
        columns = embeddings.transpose(0, 1)  # (F, n, D)
        self.means = columns.mean(1)
        self.moments = (columns.mT @ columns / columns.shape[1]).flatten(1)  # (F, D * D)

    def __call__(self, sets: Tensor) -> Tensor:
        """Return the standard deviation (P,) for sets (P, k)."""
        mean = self._product(self.means, sets).sum(1)
        square = self._product(self.moments, sets).sum(1)
        return (square - mean.square()).clamp(min=0).sqrt()

    @staticmethod
    def _product(values: Tensor, sets: Tensor) -> Tensor:
        product = values[sets[:, 0]]
        for column in sets.unbind(1)[1:]:
            product = product * values[column]
        return product


def measure_spread(embeddings: Tensor, sets: Tensor) -> Tensor:
    """Return the standard deviation (P,) of ``sum_d prod_k e[k, d]`` over rows, for sets (P, k).

    Parameters
    ----------
    embeddings : Tensor of shape (n_rows, F, D)
    sets : Tensor of shape (P, k)
    """
    columns = embeddings.transpose(0, 1)
    spreads = []
    for fields in sets:
        product = columns[fields[0]]
        for field in fields[1:]:
            product = product * columns[field]
        spreads.append(product.sum(1).std(correction=0))
    return torch.stack(spreads) if spreads else embeddings.new_zeros(0)


class RankedCross(NamedTuple):
    """Record one cross of a search.

    Attributes
    ----------
    fields : tuple of int
        Field numbers, rising.
    rank : int
        Place within its order, from 1.
    weight : float
        Searched weight A_c.
    contribution : float
        ``|A_c|`` times the standard deviation over rows of the product of the embeddings.
    """

    fields: Cross
    rank: int
    weight: float
    contribution: float


@torch.no_grad()
def rank_crosses(
    net: CrossSearchNet, codes: Tensor, n_per_order: dict[int, int], by: str
) -> list[RankedCross]:
    """Return the best crosses of every order.

    Parameters
    ----------
    net : CrossSearchNet
        After the search.
    codes : Tensor of shape (n_rows, F)
        Rows in random order; the first 10,000 are used.
    n_per_order : dict of int to int
        Order to the number of crosses wanted.
    by : {"contribution", "weight"}
        What to rank by; signs never matter.

    Returns
    -------
    list of RankedCross
        By order and rank.
    """
    embeddings = net.embedding(codes[:RANKING_ROWS])
    spread = ProductSpread(embeddings)
    ranked = []
    for order, n_wanted in sorted(n_per_order.items()):

        def score(sets: Tensor, order: int = order) -> Tensor:
            weights = net.space.partial_weights(sets, order).abs()
            return weights * spread(sets) if by == "contribution" else weights

        sets = best_sets(
            score,
            net.space.n_fields,
            order,
            n_wanted * RANKING_MARGIN,
            device=codes.device,
        )
        weights = net.space.set_weights(sets)
        contributions = weights.abs() * measure_spread(embeddings, sets)
        key = contributions if by == "contribution" else weights.abs()
        for rank, place in enumerate(key.argsort(descending=True, stable=True)[:n_wanted], 1):
            ranked.append(
                RankedCross(
                    tuple(sets[place].tolist()),
                    rank,
                    float(weights[place]),
                    float(contributions[place]),
                )
            )
    return ranked

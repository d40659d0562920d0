"""What single crosses add to the logits of a polynomial net."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from math import comb

import torch
from torch import Tensor

# Codes (B, F) and sets (P, o) to the logits (P, B, K) with only the fields of a set present.
RestrictedLogits = Callable[[Tensor, Tensor], Tensor]

# Sets times rows of the screening of one order: a fifth of a second of work on one core. It only
# chooses what is then measured on more rows.
SCREENING_BUDGET = 250_000
# Sets of one order that are screened at all; beyond, the fields of the best pairs are combined.
MOST_SETS = 20_000
FEWEST_ROWS = 256
ROWS_AT_ONCE = 512
SETS_AT_ONCE = 64
# A GPU takes so many times as many rows and sets at once; fewer leave it waiting for the next call.
TIMES_ON_A_GPU = 8


def split_rows(x: Tensor, n_rows: int) -> tuple[Tensor, ...]:
    """Cut rows into parts of ``n_rows``, on a GPU into larger ones."""
    return x.split(n_rows * (TIMES_ON_A_GPU if x.is_cuda else 1))


def cross_contributions(restricted: RestrictedLogits, codes: Tensor, sets: Tensor) -> Tensor:
    """Compute what the crosses of exactly these fields add to the logits.

    A logit that is a polynomial in the embeddings splits into monomials. Those that hold the
    fields of S, all of them and no others, sum to

        c(S) = sum over T in S of (-1)^(|S| - |T|) g(T)

    with g(T) the logit when all fields outside T have zero embeddings (Moebius inversion over
    the subsets of S). The c(S) of all sets S sum to the logit.

    Parameters
    ----------
    restricted : callable
        Computes g for many sets at once.
    codes : Tensor of shape (B, F)
        Rows.
    sets : Tensor of shape (P, o), int64
        P sets of o distinct fields.

    Returns
    -------
    Tensor of shape (P, B, K)
    """
    order = sets.shape[1]
    total = restricted(codes, sets)
    for size in range(1, order):
        for members in combinations(range(order), size):
            # Sets share most of their subsets: 120 triples of ten fields have 45 pairs.
            subsets, places = sets[:, list(members)].unique(dim=0, return_inverse=True)
            part = restricted(codes, subsets)[places]
            total = total + (-1) ** (order - size) * part
    return total


def contributions_of(
    restricted: RestrictedLogits, codes: Tensor, crosses: Sequence[tuple[int, ...]]
) -> Tensor:
    """Return what crosses of any orders add to the logits of codes (B, F): (P, B, K)."""
    found: dict[tuple[int, ...], Tensor] = {}
    for order in {len(cross) for cross in crosses}:
        chosen = [cross for cross in crosses if len(cross) == order]
        sets = torch.tensor(chosen, dtype=torch.int64, device=codes.device)
        for some_sets in split_rows(sets, SETS_AT_ONCE):
            parts = cross_contributions(restricted, codes, some_sets)
            found.update(zip(map(tuple, some_sets.tolist()), parts, strict=True))
    return torch.stack([found[cross] for cross in crosses])


@torch.inference_mode()
def cross_strengths(restricted: RestrictedLogits, codes: Tensor, sets: Tensor) -> Tensor:
    """Return the standard deviation over rows of every cross's contribution, shape (P,).

    With K > 1 logits it is the root mean square over the logits.
    """
    strengths = []
    for some_sets in split_rows(sets, SETS_AT_ONCE):
        sums, squares = [], []
        for rows in split_rows(codes, ROWS_AT_ONCE):
            parts = cross_contributions(restricted, rows, some_sets).double()
            sums.append(parts.sum(1))
            squares.append(parts.square().sum(1))
        mean = torch.stack(sums).sum(0) / len(codes)  # (P, K)
        variance = torch.stack(squares).sum(0) / len(codes) - mean**2
        strengths.append(variance.clamp(min=0).mean(1).sqrt())
    return torch.cat(strengths)


def strongest_crosses(
    restricted: RestrictedLogits, codes: Tensor, max_order: int, n_crosses: int
) -> Iterator[tuple[int, ...]]:
    """Find the strongest crosses of every order from 2 to ``max_order``.

    All sets of an order are screened on as many rows as the budget allows. Where there are more
    than 20,000 sets, only sets of the fields with the strongest smaller crosses are screened.

    Parameters
    ----------
    restricted : callable
        See `cross_contributions`.
    codes : Tensor of shape (n_rows, F)
        Rows in random order.
    max_order : int
        Largest number of fields in a cross.
    n_crosses : int
        Number of crosses wanted per order.

    Yields
    ------
    tuple of int
        Numbers of the crossed fields, rising; within an order, the strongest cross first.
    """
    n_fields = codes.shape[1]
    reach = torch.zeros(n_fields, dtype=torch.float64, device=codes.device)
    for order in range(2, min(max_order, n_fields) + 1):
        sets = _candidate_sets(reach, order)
        screened = cross_strengths(restricted, codes[: _affordable_rows(len(sets))], sets)
        kept = sets[screened.topk(min(n_crosses, len(sets))).indices]
        for members in sets.unbind(1):
            reach.index_add_(0, members, screened)
        yield from map(tuple, kept.tolist())


def _candidate_sets(reach: Tensor, order: int) -> Tensor:
    """Return the sets to screen, (P, order): all, or those of the fields that reach furthest."""
    n_fields = len(reach)
    while comb(n_fields, order) > MOST_SETS and order > 2:
        n_fields -= 1
    fields = reach.argsort(descending=True, stable=True)[:n_fields].sort().values
    return torch.combinations(fields, order)


def _affordable_rows(n_sets: int) -> int:
    return max(FEWEST_ROWS, SCREENING_BUDGET // n_sets)

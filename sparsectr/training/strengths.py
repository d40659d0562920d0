"""How strong sets of fields are: the spread of their effects over a sample of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from sparsectr.nn.effects import Columns, FieldSet

# Sets times rows of one measurement: about a second of work on one core.
MEASURING_BUDGET = 1_000_000
FEWEST_ROWS = 1_000
# Sets times rows of the comparison of all sets of one order, which only chooses what is measured.
COMPARING_BUDGET = 250_000
# Sets of one order above 2 that are compared; beyond, the fields of the best smaller sets are
# combined.
MOST_COMPARED = 20_000
# Effects that are computed at once while sets are compared.
COMPARED_AT_ONCE = 2**22
# Most rows where every set takes passes through an MLP.
MOST_ROWS_BEHIND_MLP = 10_000
ROWS_AT_ONCE = 1024
# Rows times squared fields, the numbers of a matrix of all pairs, that exist at once.
NUMBERS_AT_ONCE = 2**24
# A GPU takes so many times as many rows at once; fewer leave it waiting for the next call.
TIMES_ON_A_GPU = 8
# A smaller effect on the log-odds than this is a rounding error: the set is not active.
ROUNDING = 1e-6
# Samples of the bootstrap: the standard error is then known to about a tenth of itself.
N_SAMPLES = 50

# Codes (B, C) and P sets of fields to effects (P, B, K).
Effects = Callable[[Tensor, Sequence[FieldSet]], Tensor]


class EffectNet(Protocol):
    """Tell what sets of fields do to the logits of rows."""

    @property
    def takes_passes(self) -> bool:
        """Whether every part of a set takes a pass of the net."""

    def eval(self) -> object:
        """Switch to evaluation mode."""

    def effects(self, codes: Tensor, sets: Sequence[FieldSet], columns: Columns) -> Tensor:
        """Return the effects (P, B, K) of P sets of fields; see `sparsectr.nn.effects`."""


class Strengths(NamedTuple):
    """Hold the measures of P sets of fields.

    Attributes
    ----------
    strengths : Tensor of shape (P,)
        Standard deviation over rows of the effect; for K > 1 logits the root mean square.
    errors : Tensor of shape (P,)
        Standard error of the strengths, from a bootstrap of the rows.
    active_shares : Tensor of shape (P,)
        Share of the rows on which a set changes the logits at all.
    """

    strengths: Tensor
    errors: Tensor
    active_shares: Tensor


class ValueEffects(NamedTuple):
    """Hold the most frequent combinations of the values of one set of fields, M of them.

    Attributes
    ----------
    codes : Tensor of shape (M, o)
        Codes of the o fields, the most frequent combination first.
    counts : Tensor of shape (M,)
        Rows with this combination.
    effects : Tensor of shape (M, K)
        Mean effect on the logits over these rows.
    """

    codes: Tensor
    counts: Tensor
    effects: Tensor


def affordable_rows(net: EffectNet, sets: Sequence[FieldSet]) -> int:
    """Return on how many rows a net can measure some sets."""
    n_measured = len(sets)
    if net.takes_passes:
        n_measured = len(
            {part for s in sets for size in range(2, len(s) + 1) for part in combinations(s, size)}
        )
    return max(FEWEST_ROWS, MEASURING_BUDGET // max(1, n_measured))


@torch.inference_mode()
def effects_of(net: EffectNet, codes: Tensor, sets: Sequence[FieldSet], columns: Columns) -> Tensor:
    """Return what sets of fields do to the logits of all rows, (P, n, K).

    Parameters
    ----------
    net : EffectNet
        Left in evaluation mode.
    codes : Tensor of shape (n, C)
        Rows.
    sets : sequence of tuples of int
        P sets of fields.
    columns : sequence of tuples of int
        The code columns of every field.
    """
    net.eval()
    return in_parts(lambda rows, some: net.effects(rows, some, columns), codes, sets)


def in_parts(effects: Effects, codes: Tensor, sets: Sequence[FieldSet]) -> Tensor:
    """Compute the effects (P, n, K) of some rows at a time, the fewer the more pairs of columns."""
    size = max(1, min(ROWS_AT_ONCE, NUMBERS_AT_ONCE // codes.shape[1] ** 2))
    rows = codes.split(size * (TIMES_ON_A_GPU if codes.is_cuda else 1))
    return torch.cat([effects(some, sets) for some in rows], 1)


@torch.inference_mode()
def strongest_sets(
    effects: Effects,
    codes: Tensor,
    n_fields: int,
    n_best: dict[int, int],
    *,
    budget: int = COMPARING_BUDGET,
    fewest_rows: int = 256,
    most_compared: int = MOST_COMPARED,
) -> Iterator[FieldSet]:
    """Find the strongest sets of fields of several orders, as far as few rows tell.

    All sets of an order are compared, on as many rows as the budget allows. Where an order above 2
    has more sets than ``most_compared``, only sets of the fields that are in the strongest smaller
    sets are.

    Parameters
    ----------
    effects : callable
        Computes the effects of sets on the logits of rows.
    codes : Tensor of shape (n, C)
        Rows in random order; some are used.
    n_fields : int
        Number F of fields.
    n_best : dict of int to int
        Number of sets wanted of every order from 2 on.
    budget : int, default=250_000
        Sets times rows of one order.
    fewest_rows : int, default=256
        Rows on which sets are compared, however many there are.
    most_compared : int, default=20_000
        Most sets of an order above 2.

    Yields
    ------
    tuple of int
        Rising numbers of fields; within an order, the strongest set first.
    """
    reach = torch.zeros(n_fields, dtype=torch.float64, device=codes.device)
    for order in range(2, min(max(n_best, default=0), n_fields) + 1):
        sets = _candidates(reach, order, most_compared)
        rows = codes[: max(fewest_rows, budget // len(sets))]
        strengths = _compare(effects, rows, sets)
        kept = sets[strengths.topk(min(n_best[order], len(sets))).indices]
        for members in sets.unbind(1):
            reach.index_add_(0, members, strengths)
        yield from map(tuple, kept.tolist())


def _compare(effects: Effects, codes: Tensor, sets: Tensor) -> Tensor:
    """Return the strengths (P,) of sets (P, o) on some rows."""
    parts = [
        strengths_of(in_parts(effects, codes, list(map(tuple, some.tolist()))))
        for some in sets.split(max(1, COMPARED_AT_ONCE // len(codes)))
    ]
    return torch.cat(parts)


def _candidates(reach: Tensor, order: int, most: int) -> Tensor:
    """Return the sets to compare, (P, order): all, or those of the fields that reach furthest."""
    n_fields = len(reach)
    while comb(n_fields, order) > most and order > 2:
        n_fields -= 1
    fields = reach.argsort(descending=True, stable=True)[:n_fields].sort().values
    return torch.combinations(fields, order)


def strengths_of(effects: Tensor) -> Tensor:
    """Return the strengths (P,) of sets by their effects (P, n, K), float64."""
    return _root_mean(effects.double().var(1, correction=0))


def measure_strengths(effects: Tensor, generator: torch.Generator) -> Strengths:
    """Measure sets of fields by their effects on rows.

    In a bootstrap sample of n rows, the number of times that a row is drawn is nearly Poisson
    with mean 1. With such numbers as weights, the moments of all sets in all samples are one
    matrix product.

    Parameters
    ----------
    effects : Tensor of shape (P, n, K)
        From `effects_of`.
    generator : torch.Generator
        Source of the bootstrap samples.
    """
    n_crosses, n_rows, n_outputs = effects.shape
    effects = effects.double()
    centred = (effects - effects.mean(1, keepdim=True)).transpose(0, 1).flatten(1)  # (n, P * K)
    ones = centred.new_ones(N_SAMPLES, n_rows)
    weights = torch.poisson(ones, generator)
    # An empty sample, thinkable for a handful of rows, measures nothing: no spread.
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1)
    variances = weights @ centred.square() - (weights @ centred).square()
    samples = _root_mean(variances.unflatten(1, (n_crosses, n_outputs)))
    return Strengths(
        strengths=_root_mean(centred.square().mean(0).unflatten(0, (n_crosses, n_outputs))),
        errors=samples.std(0),
        active_shares=(effects.abs() > ROUNDING).any(2).double().mean(1),
    )


def _root_mean(variances: Tensor) -> Tensor:
    """Bring variances (..., K) of the logits to one standard deviation (...,)."""
    return variances.clamp(min=0).mean(-1).sqrt()


def value_effects(codes: Tensor, effects: Tensor, n_most: int) -> ValueEffects:
    """Average the effects of one set of fields over the rows with the same values.

    Parameters
    ----------
    codes : Tensor of shape (n, o)
        Codes of its fields.
    effects : Tensor of shape (n, K)
        What it does to the logits.
    n_most : int
        Largest number of combinations to return.
    """
    cells = codes.new_zeros(len(codes), dtype=torch.int64)
    for column in codes.long().unbind(1):
        # Numbered anew after every column, so that no product of sizes overflows.
        cells = cells * (column.max() + 1) + column
        _, cells, counts = cells.unique(return_inverse=True, return_counts=True)
    sums = effects.new_zeros(len(counts), effects.shape[1], dtype=torch.float64)
    sums.index_add_(0, cells, effects.double())
    rows = torch.arange(len(codes), dtype=torch.int64, device=cells.device)
    example = torch.empty_like(counts).scatter_(0, cells, rows)
    frequent = counts.argsort(descending=True, stable=True)[:n_most]
    return ValueEffects(
        codes=codes[example[frequent]],
        counts=counts[frequent],
        effects=(sums / counts[:, None])[frequent],
    )

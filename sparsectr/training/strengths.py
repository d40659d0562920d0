"""How strong crosses are: what each adds to the log-odds of a sample of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from sparsectr.nn.contributions import split_rows

Cross = tuple[int, ...]

# Crosses times rows of one measurement: about a second of work on one core.
MEASURING_BUDGET = 1_000_000
FEWEST_ROWS = 1_000
# More crosses than these are screened first, with a budget of their own.
MOST_MEASURED = MEASURING_BUDGET // FEWEST_ROWS
SCREENING_BUDGET = 250_000
FEWEST_SCREENED_ROWS = 32
# Most rows where every cross takes passes through an MLP.
MOST_ROWS_BEHIND_MLP = 10_000
ROWS_AT_ONCE = 256
# Rows times squared fields, the numbers of a matrix of all pairs, that exist at once.
NUMBERS_AT_ONCE = 2**25
# A smaller effect on the log-odds than this is a rounding error: the cross is not active.
ROUNDING = 1e-6
# Samples of the bootstrap: the standard error is then known to about a tenth of itself.
N_SAMPLES = 50


class CrossNet(Protocol):
    """Tell what crosses do to the logits of rows."""

    def eval(self) -> object:
        """Switch to evaluation mode."""

    def cross_effects(self, codes: Tensor, crosses: Sequence[Cross]) -> Tensor:
        """Return what every cross adds to the logits, (P, B, K), for codes (B, F)."""


class Strengths(NamedTuple):
    """Hold the measures of P crosses.

    Attributes
    ----------
    strengths : Tensor of shape (P,)
        Standard deviation over rows of the effect; for K > 1 logits the root mean square.
    errors : Tensor of shape (P,)
        Standard error of the strengths, from a bootstrap of the rows.
    active_shares : Tensor of shape (P,)
        Share of the rows on which a cross changes the logits at all.
    """

    strengths: Tensor
    errors: Tensor
    active_shares: Tensor


class ValueEffects(NamedTuple):
    """Hold the most frequent combinations of the values of one cross, M of them.

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


def affordable_rows(n_crosses: int) -> int:
    """Return on how many rows so many crosses can be measured."""
    return max(FEWEST_ROWS, MEASURING_BUDGET // max(1, n_crosses))


def in_parts(codes: Tensor) -> tuple[Tensor, ...]:
    """Cut rows into parts that are measured at once, the smaller the more pairs of fields."""
    return split_rows(codes, max(1, min(ROWS_AT_ONCE, NUMBERS_AT_ONCE // codes.shape[1] ** 2)))


@torch.inference_mode()
def effects_of(net: CrossNet, codes: Tensor, crosses: Sequence[Cross]) -> Tensor:
    """Return what crosses add to the logits of all rows, (P, n, K).

    Parameters
    ----------
    net : CrossNet
        Left in evaluation mode.
    codes : Tensor of shape (n, F)
        Rows.
    crosses : sequence of tuples of int
        Field numbers of every cross.
    """
    net.eval()
    return torch.cat([net.cross_effects(rows, crosses) for rows in in_parts(codes)], 1)


def screen_crosses(
    net: CrossNet, codes: Tensor, crosses: Sequence[Cross], n_best: int
) -> list[Cross]:
    """Return the strongest crosses, as far as few rows tell, in their order among all.

    Parameters
    ----------
    net : CrossNet
        Left in evaluation mode.
    codes : Tensor of shape (n, F)
        Rows in random order; some are used.
    crosses : sequence of tuples of int
        Field numbers of every cross.
    n_best : int
        How many are wanted; all if there are fewer.
    """
    if len(crosses) <= n_best:
        return list(crosses)
    codes = codes[: max(FEWEST_SCREENED_ROWS, SCREENING_BUDGET // len(crosses))]
    # All at once: what a net computes of single fields serves every cross that has them.
    effects = effects_of(net, codes, crosses)
    parts = [_root_mean(some.double().var(1, correction=0)) for some in effects.split(n_best)]
    best = torch.cat(parts).topk(n_best).indices.sort().values
    return [crosses[place] for place in best.tolist()]


def measure_strengths(effects: Tensor, generator: torch.Generator) -> Strengths:
    """Measure crosses by their effects on rows.

    In a bootstrap sample of n rows, the number of times that a row is drawn is nearly Poisson
    with mean 1. With such numbers as weights, the moments of all crosses in all samples are one
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
    """Average the effects of one cross over the rows with the same values.

    Parameters
    ----------
    codes : Tensor of shape (n, o)
        Codes of the fields of the cross.
    effects : Tensor of shape (n, K)
        What the cross adds to the logits.
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

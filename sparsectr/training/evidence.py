"""Test sets of fields for what they hold beyond smaller sets, whatever a net has made of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple

import torch
from torch import Tensor

from sparsectr.kernels.threads import with_one_torch_thread
from sparsectr.rows.labelled import Batch
from sparsectr.training.additive import additive_residuals
from sparsectr.training.agreement import agreement_scores, rough_scores
from sparsectr.training.joint_cells import joint_codes

Cross = tuple[int, ...]

# Most values of the rows of the tests, times outputs, and the fewest rows.
MOST_VALUES = 2_000_000
FEWEST_ROWS = 10_000
# Of many classes, only the most frequent ones are tested, each against the rest.
MOST_OUTPUTS = 10
# Codes of the column through which a field of several is tested, at least: more than eight values.
FEWEST_CODES = 11
# Sets of an order that are looked at roughly, or one for so many values of the rows.
ROUGH_SETS = 2_000
VALUES_PER_ROUGH_SET = 400
# Rows of a rough look.
ROUGH_ROWS = 30_000
# Sets of an order that are tested in full.
FULL_SETS = {2: 1_000, 3: 200}
# Pairs in the model in whose residuals triples are tested.
MOST_PAIRS = 30
# Deviate from which on a pair is in this model: those below hardly bend what triples see.
LEAST_PAIR = 3.0


class TestedSets(NamedTuple):
    """Tests of the sets of one order.

    Attributes
    ----------
    sets : Tensor of shape (M, o), int64
        Fields of every set that was tested, in column order.
    deviates : Tensor of shape (M,), float64
        Its evidence: the normal deviate that is as unlikely without an effect.
    n_sets : int
        Number of sets among which these stand out: all of the order that can be tested. Those that
        a rough look has left out count here.
    """

    sets: Tensor
    deviates: Tensor
    n_sets: int


@with_one_torch_thread()
def gather_evidence(
    rows: Batch, columns: Sequence[int], listed: Collection[Cross]
) -> list[TestedSets]:
    """Test pairs, and triples where any is listed.

    Pairs are tested in the residuals of an additive model of all fields; triples in those of a
    model of all fields and the pairs that stand out. Of several classes each is told from the
    rest by a model of its own, and its agreement scores are summed up.

    Parameters
    ----------
    rows : Batch
        Training rows in random order; the first of them are used, two million values at most.
        Their loss says on which scale a model is additive: log-odds, numbers, or logarithms.
    columns : sequence of int
        For every field the column of codes through which it is tested; see `choose_columns`.
    listed : collection of tuples of int
        Sets that are tested in any case.

    Returns
    -------
    list of TestedSets
        Of order 2, and maybe 3.

    Notes
    -----
    Where an order has too many sets for the budget, those of the fields with the strongest evidence
    so far are looked at roughly, and the best of them are tested. All others count as tested
    without success.
    """
    codes, targets, weights = _prepare(rows, columns)
    sizes = [size + 1 for size in codes.max(0).values.tolist()]
    budget = max(ROUGH_SETS, codes.numel() // VALUES_PER_ROUGH_SET)
    fields = list(codes.long().unbind(1))
    found: list[TestedSets] = []
    reach = torch.zeros(len(sizes), dtype=torch.float64, device="cpu")
    groups = fields
    for order in (2, 3):
        wanted = sorted({cross for cross in listed if len(cross) == order})
        if order > len(sizes) or (order == 3 and not wanted):
            break
        residuals = additive_residuals(groups, targets, weights, rows.loss.link)
        sets = _candidates(reach, order, budget)
        if len(sets) > FULL_SETS[order]:
            some = slice(ROUGH_ROWS)
            rough = rough_scores(codes[some], residuals[some], sizes, sets)
            best = rough.topk(FULL_SETS[order]).indices.tolist()
            sets = [sets[place] for place in best]
        tested = sorted({*sets, *wanted})
        scores = agreement_scores(codes, residuals, sizes, order, tested)
        found.append(_keep_tested(scores, comb(len(sizes), order)))
        strongest = sorted(scores, key=lambda cross: -scores[cross])[:MOST_PAIRS]
        groups = fields + [
            joint_codes([fields[f] for f in pair], [sizes[f] for f in pair])
            for pair in strongest
            if scores[pair] >= LEAST_PAIR
        ]
        for cross, score in scores.items():
            for f in cross:
                reach[f] = max(float(reach[f]), score)
    return found


def choose_columns(columns: Sequence[Sequence[int]], sizes: Sequence[int]) -> list[int]:
    """Choose the column of codes through which every field is tested.

    Of several columns of a number, that with the fewest codes, but more than eight values: a test
    of fine bins spreads an effect over many cells.

    Parameters
    ----------
    columns : sequence of sequences of int
        Columns of codes of every field.
    sizes : sequence of int
        Number of codes of every column, those of unknown and missing values included.
    """
    return [
        min(some, key=lambda column: (sizes[column] < FEWEST_CODES, sizes[column]))
        if any(sizes[column] >= FEWEST_CODES for column in some)
        else max(some, key=lambda column: sizes[column])
        for some in columns
    ]


def _prepare(rows: Batch, columns: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return codes (n, F), targets (n, K) and weights (n,) of as many rows as are affordable."""
    targets, frequent = rows.targets.cpu()[:, None], None
    if not targets.is_floating_point():  # class numbers
        frequent = torch.bincount(targets[:, 0]).argsort(descending=True, stable=True)
        frequent = frequent[:MOST_OUTPUTS]
    n_outputs = 1 if frequent is None else len(frequent)
    n_rows = max(FEWEST_ROWS, MOST_VALUES // (len(columns) * n_outputs))
    targets = targets[:n_rows] if frequent is None else targets[:n_rows] == frequent
    codes = rows.codes[:n_rows].cpu()[:, list(columns)]
    return codes, targets.double(), rows.weights[:n_rows].cpu().double()


def _candidates(reach: Tensor, order: int, budget: int) -> list[Cross]:
    """Return all sets of an order, or as many as the budget allows of the fields that reach far."""
    n_fields = len(reach)
    while n_fields > order and comb(n_fields, order) > budget:
        n_fields -= 1
    best = reach.sort(descending=True, stable=True).indices[:n_fields].sort().values
    return list(combinations(best.tolist(), order))


def _keep_tested(scores: dict[Cross, float], n_sets: int) -> TestedSets:
    """Leave out sets that cannot be tested, whose score is 0."""
    kept = [cross for cross, score in scores.items() if score != 0]
    order = len(next(iter(scores)))
    return TestedSets(
        torch.tensor(kept, dtype=torch.int64, device="cpu").reshape(-1, order),
        torch.tensor([scores[c] for c in kept], dtype=torch.float64, device="cpu"),
        n_sets - (len(scores) - len(kept)),
    )

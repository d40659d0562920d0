"""The intercept of a trained net, put where the loss of the training rows has its minimum."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from sparsectr.rows.labelled import PIECE_ROWS, Batch, LabelledRows
from sparsectr.rows.memory import take_rows
from sparsectr.rows.orders import random_order
from sparsectr.training.prediction import predict_logits

# Maximum number of rows that are predicted for it, shared equally by the classes. The rows of a
# rare class are then all used, and the rest is enough for half a percent of its mean prediction.
INTERCEPT_ROWS = 200_000


class InterceptNet(Protocol):
    """Turn codes (B, F) into logits (B, K), to all of which an intercept is added.

    Attributes
    ----------
    intercept : Tensor of shape (K,)
        The weights that are added.
    """

    intercept: Tensor


@torch.no_grad()
def fit_intercept(net: nn.Module, rows: LabelledRows, generator: torch.Generator) -> None:
    """Fit the intercept of a trained net to training rows, with all other weights fixed.

    At the minimum of a log loss with an intercept that is free, the mean prediction is the share
    of the class. Training by batches comes near to it, but stops where the order of the rows on
    validation rows is best, or where learning rates have dropped: the mean of rare classes is then
    off by many percent. This is the last step of that descent, exact.

    Parameters
    ----------
    net : nn.Module
        An `InterceptNet`. Left in evaluation mode.
    rows : LabelledRows
        The training rows.
    generator : torch.Generator
        Source of the sample of rows, if there are too many.
    """
    sample = _sample_rows(rows, generator)
    weights = sample.weights.double().cpu().numpy()
    logits = predict_logits(net, sample.codes)
    shift = rows.loss.best_shift(logits, sample.targets.cpu().numpy(), weights)
    intercept = cast(InterceptNet, net).intercept
    intercept += torch.from_numpy(shift).to(intercept)


@torch.no_grad()
def shift_intercept(net: nn.Module, shift: float) -> None:
    """Add a number to the logits of all rows, in the intercept of an `InterceptNet`."""
    cast(InterceptNet, net).intercept.add_(shift)


def _sample_rows(rows: LabelledRows, generator: torch.Generator) -> Batch:
    """Draw as many rows of every class as are affordable; their weights sum to the class's.

    Where targets are no classes, all rows are of one.
    """
    if len(rows) <= INTERCEPT_ROWS:
        return next(rows.pieces(len(rows)))
    order = random_order(len(rows), generator)
    strata = take_rows(rows.loss.strata(rows.targets), order)
    # Of parts, because it sorts, with eighteen bytes a row.
    classes = torch.cat([some.unique() for some in strata.split(PIECE_ROWS)]).unique()
    most = -(-INTERCEPT_ROWS // len(classes))
    drawn, scales = [], []
    for number in classes:
        # Piece by piece: positions of all rows would take more memory than training does.
        total, of_class = 0.0, []
        for some, stratum in zip(order.split(PIECE_ROWS), strata.split(PIECE_ROWS), strict=True):
            of_class.append(some[stratum == number])
            total += float(take_rows(rows.weights, of_class[-1]).sum(dtype=torch.float64))
        taken = torch.cat(of_class)[:most]
        scale = total / take_rows(rows.weights, taken).sum(dtype=torch.float64)
        drawn.append(taken)
        scales.append(scale.expand(len(taken)))
    sample = rows.take(torch.cat(drawn).long())
    weights = (sample.weights * torch.cat(scales)).to(sample.weights)
    return replace(sample, weights=weights)

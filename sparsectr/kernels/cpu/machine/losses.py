"""What kernels share that go from codes to the loss and back in one pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.nets import Batch

# Losses by the name that rows know them by.
LOG_LOSS, SQUARED_ERROR, POISSON = range(3)
LOSSES = {"log_loss": LOG_LOSS, "squared_error": SQUARED_ERROR, "poisson": POISSON}


@compiled
def log_loss(logit: Any, target: Any) -> Any:
    """Return the log loss of a row of target 0 or 1, and its slope by the logit."""
    zero, one = np.float32(0), np.float32(1)
    margin = logit if target > 0.5 else -logit
    # Of exp(-|margin|), so that nothing overflows, and without differences, so that small losses
    # keep their digits.
    small = math.exp(-abs(margin))
    loss = max(-margin, zero) + math.log1p(small)
    other_class = (small if margin >= 0 else one) / (one + small)
    return loss, -other_class if target > 0.5 else other_class


@compiled
def weighted_loss(kind: int, logit: Any, target: Any, weight: Any, n_rows: int) -> Any:
    """Return what a row adds to the mean loss of a batch, and the slope by its logit.

    ``kind`` is a number of `LOSSES`.
    """
    if kind == SQUARED_ERROR:
        slope = logit - target
        loss = slope * slope / np.float32(2)
    elif kind == POISSON:
        mean = math.exp(logit)
        loss, slope = mean - target * logit, mean - target
    else:
        loss, slope = log_loss(logit, target)
    return loss * weight / n_rows, slope * (weight / np.float32(n_rows))


def find_loss(batch: Batch) -> int | None:
    """Return the number of the loss of a batch in `LOSSES`, None if it is not built here."""
    return LOSSES.get(batch.loss.name)


@compiled
def descend_sums(
    kind: int,
    sums: Any,
    readout: Any,
    bias: Any,
    targets: Any,
    row_weights: Any,
    n_rows: int,
    of_readout: Any,
) -> Any:
    """Compute what rows with these sums (R, F) of their fields add to the loss of a batch.

    ``kind`` is a number of `LOSSES`. The sums become the gradient by the sums; that of the
    readout (1, F) and, behind it, of the bias is added to ``of_readout``.
    """
    total, n_fields = 0.0, sums.shape[1]
    for r in range(sums.shape[0]):
        logit = bias[0]
        for f in range(n_fields):
            logit += readout[0, f] * sums[r, f]
        loss, slope = weighted_loss(kind, logit, targets[r], row_weights[r], n_rows)
        total += loss
        of_readout[n_fields] += slope
        for f in range(n_fields):
            of_readout[f] += slope * sums[r, f]
            sums[r, f] = slope * readout[0, f]
    return total


def split_readout(of_readout: Any) -> tuple[Tensor, Tensor]:
    """Return the gradients by readout (1, F) and bias (1,) from those of all parts (P, F + 1)."""
    total = torch.from_numpy(of_readout.sum(0))
    return total[None, :-1], total[-1:]


def empty_rows(n_fields: int, n_rows: int) -> Tensor:
    """Return scratch for the row numbers of all lookups, (F, B).

    They and their gradients lie field by field: an optimizer then finds those of equal rows
    together, and most fields in one of its parts.
    """
    return torch.empty(n_fields, n_rows, dtype=torch.int64, device="cpu")

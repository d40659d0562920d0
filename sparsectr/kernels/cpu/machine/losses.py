"""What kernels share that go from codes to the loss and back in one pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sparsectr.kernels.cpu.machine.jit import compiled

# Losses by the name that rows know them by; a fused loss answers NotImplemented for any other.
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

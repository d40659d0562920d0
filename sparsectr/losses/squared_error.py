"""Half the squared error of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sparsectr.losses.loss import Link, weighted_mean
from sparsectr.losses.number_loss import NumberLoss

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SquaredError(NumberLoss):
    """Compare one logit per row with a number, by half the square of their difference.

    Attributes
    ----------
    name : str
        What kernels know it by.
    link : {"logit", "identity", "log"}
        What a logit is of the mean of the target.
    """

    name: str = "squared_error"
    link: Link = "identity"

    def mean(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Return the sum of the weighted losses over the number of rows, (); see `Loss`."""
        return (weights * (logits[:, 0] - targets).square()).mean() / 2

    def residuals(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return target minus prediction, (n, 1); see `Loss`."""
        return targets[:, None] - logits

    def prior_logits(self, targets: Tensor, weights: Tensor, n_outputs: int) -> Tensor:
        """Return the weighted mean of the targets, (1,); see `Loss`."""
        return weighted_mean(targets, weights)[None].float()

    def best_shift(self, logits: Array, targets: NDArray[Any], weights: Array) -> Array:
        """Return the weighted mean of the residuals, (1,); see `Loss`."""
        if not np.isfinite(logits).all():
            return np.zeros(1)
        return np.array([np.average(targets - logits[:, 0], weights=weights)])


SQUARED_ERROR = SquaredError()

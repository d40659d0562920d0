"""The negative log-likelihood of Poisson counts, or of rates with exposure as weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sparsectr.losses.loss import Link, weighted_mean
from sparsectr.losses.number_loss import NumberLoss

Array = NDArray[np.float64]

# Where no row counts anything, the logarithm of the mean would not be finite.
SMALLEST_MEAN = 1e-6


@dataclass(frozen=True)
class Poisson(NumberLoss):
    """Compare the exponential of one logit per row with a number that is not negative.

        loss = exp(logit) - target * logit

    Attributes
    ----------
    name : str
        What kernels know it by.
    link : {"logit", "identity", "log"}
        What a logit is of the mean of the target.
    """

    name: str = "poisson"
    link: Link = "log"

    def mean(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Return the sum of the weighted losses over the number of rows, (); see `Loss`."""
        return (weights * (logits[:, 0].exp() - targets * logits[:, 0])).mean()

    def residuals(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return target minus prediction, (n, 1); see `Loss`."""
        return targets[:, None] - logits.exp()

    def prior_logits(self, targets: Tensor, weights: Tensor, n_outputs: int) -> Tensor:
        """Return the logarithm of the weighted mean of the targets, (1,); see `Loss`."""
        mean = weighted_mean(targets, weights)
        return mean.clamp(min=SMALLEST_MEAN).log()[None].float()

    def best_shift(self, logits: Array, targets: NDArray[Any], weights: Array) -> Array:
        """Return the log of the ratio of targets to predictions, summed, (1,); see `Loss`."""
        if not np.isfinite(logits).all():
            return np.zeros(1)
        # The largest is taken out, so that nothing overflows.
        largest = logits.max()
        predicted = np.average(np.exp(logits[:, 0] - largest), weights=weights)
        mean = max(float(np.average(targets, weights=weights)), SMALLEST_MEAN)
        return np.array([np.log(mean) - np.log(predicted) - largest])


POISSON = Poisson()

"""What training has to know of a loss."""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Link: TypeAlias = Literal["logit", "identity", "log"]

# Rows that are turned into float64 at a time: of all rows, that would be the most memory of a fit.
ROWS_AT_ONCE = 1 << 20


class Loss(Protocol):
    """Say how far the logits of a net are off, and how a net without inputs would predict.

    "Logit" is what a net puts out, whatever the loss makes of it: (n, K) for n rows. Targets are
    (n,), weights (n,), with mean 1 over the training rows.

    Attributes
    ----------
    name : str
        What kernels know it by.
    link : {"logit", "identity", "log"}
        What a logit is of the mean of the target.
    """

    @property
    def name(self) -> str: ...

    @property
    def link(self) -> Link: ...

    def mean(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Return the sum of the weighted losses over the number of rows, shape ().

        Of logits (n, K), targets (n,) and weights (n,).
        """

    def residuals(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return target minus prediction, (n, K), of logits (n, K) and targets (n,).

        These are the negative slopes of the loss by the logits.
        """

    def prior_logits(self, targets: Tensor, weights: Tensor, n_outputs: int) -> Tensor:
        """Return the logits (K,), float32, of the best constant prediction.

        For targets (n,) with weights (n,).
        """

    def gradient_scale(self, targets: Tensor, weights: Tensor, n_outputs: int) -> float:
        """Return the size of the gradients of the sum loss by a logit, at the prior.

        The root mean square over the logits of a row, and of these the mean over rows, each with
        itself as its weight: the few large gradients of a rare class count as much as the many
        small ones of the rest. Of targets (n,) with weights (n,).
        """

    def best_shift(
        self, logits: NDArray[np.float64], targets: NDArray[Any], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return what to add to all logits, (K,), so that the weighted loss is smallest.

        Of logits (n, K), targets (n,) and weights (n,). Zeros where a logit is not finite.
        """

    def strata(self, targets: Tensor) -> Tensor:
        """Return a number for each of targets (n,): a sample holds equal shares of each."""

    def shortage(self, targets: Tensor) -> str | None:
        """Say what targets (n,) must hold to be learnt from and what came, None if they hold it."""


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return the mean of values (n,) with weights (n,), as float64, shape ()."""
    sums = values.new_zeros(2, dtype=torch.float64)
    for some, of_them in zip(values.split(ROWS_AT_ONCE), weights.split(ROWS_AT_ONCE), strict=True):
        doubled = of_them.double()
        sums += torch.stack([doubled @ some.double(), doubled.sum()])
    return sums[0] / sums[1]

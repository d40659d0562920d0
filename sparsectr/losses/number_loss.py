"""What all losses of numbers share."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class NumberLoss(ABC):
    """Compare one logit per row with a number."""

    @abstractmethod
    def residuals(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return target minus prediction, (n, 1); see `Loss`."""

    @abstractmethod
    def prior_logits(self, targets: Tensor, weights: Tensor, n_outputs: int) -> Tensor:
        """Return the logit (1,), float32, of the best constant prediction; see `Loss`."""

    def gradient_scale(self, targets: Tensor, weights: Tensor, n_outputs: int) -> float:
        """Return the size of the gradients at the prior; see `Loss`. 1 where all are zero."""
        prior = self.prior_logits(targets, weights, n_outputs).double()[None]
        sizes = weights.double() * self.residuals(prior, targets)[:, 0].abs()
        total = float(sizes.sum())
        return float(sizes @ sizes) / total if total else 1.0

    def strata(self, targets: Tensor) -> Tensor:
        """Return zeros, (n,): rows have no classes."""
        return torch.zeros_like(targets, dtype=torch.int64)

    def shortage(self, targets: Tensor) -> str | None:
        """Say so if there is no row; see `Loss`."""
        # scikit-learn's estimator checks look for these words.
        return None if len(targets) else "at least one sample, got none"

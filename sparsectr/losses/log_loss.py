"""The log loss of two or more classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sparsectr.kernels.fused import fused
from sparsectr.kernels.nets import Batch
from sparsectr.losses.loss import Link, weighted_mean

Array = NDArray[np.float64]

# Newton's method needs about five steps, halvings of a step included.
MOST_STEPS = 100
SMALL_STEP = 1e-8
# Weight of the penalty beside the curvature of the loss, and the least share it is made of.
PENALTY, SMALLEST_SHARE = 1e-3, 1e-6


@dataclass(frozen=True)
class LogLoss:
    """Compare log-odds with 0.0 or 1.0 (K = 1), or K logits with class numbers.

    Attributes
    ----------
    name : str
        What kernels know it by.
    link : {"logit", "identity", "log"}
        What a logit is of the mean of the target.
    """

    name: str = "log_loss"
    link: Link = "logit"

    def mean(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Return the sum of the weighted losses over the number of rows, shape ().

        Of logits (n, K), targets (n,) and weights (n,).
        """
        if logits.shape[1] == 1:
            return binary_log_loss(logits[:, 0], targets, weights)
        losses = functional.cross_entropy(logits, targets, reduction="none")
        return (losses * weights).mean()

    def residuals(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return target minus probability, (n, K), of logits (n, K) and targets (n,)."""
        if logits.shape[1] == 1:
            return targets[:, None] - torch.sigmoid(logits)
        return functional.one_hot(targets, logits.shape[1]) - logits.softmax(1)

    def prior_logits(self, targets: Tensor, weights: Tensor, n_outputs: int) -> Tensor:
        """Return the log-odds (or centred log shares) of the weighted classes, (K,); see `Loss`."""
        if n_outputs == 1:
            share = weighted_mean(targets, weights).clamp(1e-6, 1 - 1e-6)
            return torch.logit(share)[None].float()
        sums = torch.bincount(targets, weights.double(), minlength=n_outputs)
        logs = (sums / sums.sum()).clamp(min=1e-6).log()
        return (logs - logs.mean()).float()

    def gradient_scale(self, targets: Tensor, weights: Tensor, n_outputs: int) -> float:
        """Return the size of the gradients at the prior; see `Loss`.

        Half the weight of a row for two classes, whatever their shares.
        """
        logits = self.prior_logits(targets, weights, n_outputs).double()
        weights = weights.double()
        if n_outputs == 1:
            sizes = weights * (torch.sigmoid(logits) - targets).abs()
        else:
            shares = logits.softmax(0)
            misses = shares.square().sum() + 1 - 2 * shares  # |shares - one-hot row|^2 by class
            sizes = weights * (misses / n_outputs).sqrt()[targets]
        return float(sizes @ sizes / sizes.sum())

    def best_shift(self, logits: Array, targets: NDArray[Any], weights: Array) -> Array:
        """Return what to add to all logits, so that the loss is as small as possible.

        Minimises, by Newton's method,

            sum_i w_i loss(logits_i + b) / sum_i w_i + PENALTY / 2 * sum_k s_k (1 - s_k) b_k^2

        with s_k the share of class k. The second term takes about a thousandth off a shift. It
        makes it finite for a class without rows, unique for several logits, and small where logits
        are so large that it makes no difference.

        Parameters
        ----------
        logits : ndarray of shape (n, K)
            One log-odds per row (K = 1) or one logit per class.
        targets : ndarray of shape (n,)
            Class numbers.
        weights : ndarray of shape (n,)
            Weight of every row.

        Returns
        -------
        ndarray of shape (K,)
            Zeros where a logit is not finite.
        """
        if not np.isfinite(logits).all():
            return np.zeros(logits.shape[1])
        return _best_shift(logits, targets.astype(np.int64), weights / weights.sum())

    def strata(self, targets: Tensor) -> Tensor:
        """Return the classes of the rows, (n,)."""
        return targets

    def shortage(self, targets: Tensor) -> str | None:
        """Say that targets (n,) must hold two classes if they do not."""
        return "at least two classes, got one" if len(targets.unique()) < 2 else None


LOG_LOSS = LogLoss()


def log_loss(logits: Tensor, rows: Batch) -> Tensor:
    """Compute the weighted mean log loss of a batch.

    The sum of the weighted losses is divided by the number of rows, not by the sum of
    their weights: with weights of mean 1 over the training set, every batch gradient is then
    an unbiased estimate of the gradient of the full weighted mean.

    Parameters
    ----------
    logits : Tensor of shape (B, K)
        One log-odds per row (K = 1) or one logit per class.
    rows : Batch
        The B rows that the logits belong to.

    Returns
    -------
    Tensor of shape ()
        Nats per row.
    """
    return LOG_LOSS.mean(logits, rows.targets, rows.weights)


# On a CPU torch's own is as fast.
@fused(gpu="log_loss", numbers=lambda *tensors: tensors)
def binary_log_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Compute the log loss of two classes.

    Parameters
    ----------
    logits, targets, weights : Tensor of shape (B,)
        Log-odds, 0.0 or 1.0, and the weight of every row.

    Returns
    -------
    Tensor of shape ()
        The sum of the weighted losses over the number of rows.
    """
    return functional.binary_cross_entropy_with_logits(logits, targets, weight=weights)


def _best_shift(logits: Array, targets: NDArray[np.int64], weights: Array) -> Array:
    """Run Newton's method of `LogLoss.best_shift`; the weights sum to 1."""
    n_outputs = logits.shape[1]
    shift = np.zeros(n_outputs)
    if n_outputs == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    moved = slice(-n_outputs, None)
    shares = np.bincount(targets, weights, minlength=logits.shape[1])[moved]
    penalty = PENALTY * np.maximum(shares * (1 - shares), SMALLEST_SHARE)

    def measure(shift: Array) -> tuple[float, Array]:
        """Return the loss and the probabilities (n, K) of the shifted classes."""
        shifted = logits.copy()
        shifted[:, moved] += shift
        logs = shifted - shifted.max(axis=1, keepdims=True)
        logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
        loss = -(weights @ np.take_along_axis(logs, targets[:, None], axis=1)[:, 0])
        return float(loss + penalty @ shift**2 / 2), np.exp(logs[:, moved])

    loss, probabilities = measure(shift)
    for _ in range(MOST_STEPS):
        weighted = probabilities * weights[:, None]
        slope = weighted.sum(0) - shares + penalty * shift
        curvature = np.diag(weighted.sum(0) + penalty) - weighted.T @ probabilities
        step = np.linalg.solve(curvature, slope)
        new_loss, new_probabilities = measure(shift - step)
        while new_loss > loss and np.abs(step).max() > SMALL_STEP:
            step /= 2
            new_loss, new_probabilities = measure(shift - step)
        if new_loss > loss:  # by rounding: this is the minimum
            break
        shift, loss, probabilities = shift - step, new_loss, new_probabilities
        if np.abs(step).max() <= SMALL_STEP:
            break
    return shift

"""The intercept of a trained net, put where the loss of the training rows has its minimum."""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparsectr.rows.labelled import Batch, LabelledRows
from sparsectr.training.prediction import predict_logits

Array = NDArray[np.float64]

# Maximum number of rows that are predicted for it, shared equally by the classes. The rows of a
# rare class are then all used, and the rest is enough for half a percent of its mean prediction.
INTERCEPT_ROWS = 200_000
# Newton's method needs about five steps, halvings of a step included.
MOST_STEPS = 100
SMALL_STEP = 1e-8
# Weight of the penalty beside the curvature of the loss, and the least share it is made of.
PENALTY, SMALLEST_SHARE = 1e-3, 1e-6


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
    targets = sample.targets.cpu().numpy().astype(np.int64)
    weights = sample.weights.double().cpu().numpy()
    shift = best_shift(predict_logits(net, sample.codes), targets, weights)
    intercept = cast(InterceptNet, net).intercept
    intercept += torch.from_numpy(shift).to(intercept)


def best_shift(logits: Array, targets: NDArray[np.int64], weights: Array) -> Array:
    """Return what to add to all logits, so that the loss is as small as possible.

    Minimises, by Newton's method,

        sum_i w_i loss(logits_i + b) / sum_i w_i + PENALTY / 2 * sum_k s_k (1 - s_k) b_k^2

    with s_k the share of class k. The second term takes about a thousandth off a shift. It makes it
    finite for a class without rows, unique for several logits, and small where logits are so large
    that it makes no difference.

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
    n_outputs = logits.shape[1]
    shift = np.zeros(n_outputs)
    if not np.isfinite(logits).all():
        return shift
    weights = weights / weights.sum()
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


def _sample_rows(rows: LabelledRows, generator: torch.Generator) -> Batch:
    """Draw as many rows of every class as are affordable; their weights sum to the class's."""
    if len(rows) <= INTERCEPT_ROWS:
        return next(rows.pieces(len(rows)))
    order = torch.randperm(len(rows), generator=generator, device=generator.device)
    targets = rows.targets[order]
    classes = targets.unique()
    most = -(-INTERCEPT_ROWS // len(classes))
    drawn, scales = [], []
    for number in classes:
        of_class = order[targets == number]
        taken = of_class[:most]
        total = rows.weights[of_class].sum(dtype=torch.float64)
        scale = total / rows.weights[taken].sum(dtype=torch.float64)
        drawn.append(taken)
        scales.append(scale.expand(len(taken)))
    sample = rows.take(torch.cat(drawn))
    weights = (sample.weights * torch.cat(scales)).to(sample.weights)
    return Batch(sample.codes, sample.targets, weights)

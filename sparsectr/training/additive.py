"""A logistic model of lower orders, whose residuals show what higher orders hold."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# Most Newton steps, and passes over all groups in each.
NEWTON_STEPS = 20
SWEEPS = 2
# They end when a pass moves the log-odds of rows by less than this, as a mean square. Variances
# that are still on their way up are too small, which is a false alarm among dependent fields.
LEAST_MOVE = 1e-5
# Variance of the effects of a group at the start, and its limits. Where a field follows from a
# set, too small a variance is a false alarm, and one too large only a loss of power.
START_VARIANCE = 0.1
LEAST_VARIANCE = 1e-3
MOST_VARIANCE = 10.0
# Weights of a row in a Newton step are at least this, so that sure predictions do not run away.
LEAST_CURVATURE = 1e-6
# Targets whose spread is below this share of their mean are constant.
CONSTANT = 1e-9
TINY = 1e-12


def additive_residuals(groups: Sequence[Tensor], targets: Tensor, weights: Tensor) -> Tensor:
    """Fit ``log-odds = intercept + sum over groups of effect[group of the row]``.

    Targets that are not 0 and 1 are numbers, and fitted as they are.

    The effects of a group are drawn around zero with a variance of their own, which is estimated
    with them (the fixed point of MacKay): a group that says nothing, or has hardly two rows of a
    value, is shrunk to nothing, so that the model does not know its rows by heart. The residuals of
    such a fit have a covariance that is at most that of the noise, in every direction: what
    a group explains is never passed on to a set that the group depends on, as long as the
    estimated variance is more than about half the true one. Those of a fit on other rows are not of
    this kind, as they hold its errors.

    Parameters
    ----------
    groups : sequence of Tensors of shape (n_rows,), int64
        Codes of fields, or of joint values of fields.
    targets : Tensor of shape (n_rows, K), float64
        0 or 1, or numbers, for every output; each output has a model of its own.
    weights : Tensor of shape (n_rows,), float64
        Weights of the rows.

    Returns
    -------
    Tensor of shape (n_rows, K), float64
        Weighted target minus probability, or minus the fitted number.

    Notes
    -----
    Newton steps, each solved by passes over the groups in turn. For generalised linear models with
    random effects see N. E. Breslow and D. G. Clayton, "Approximate inference in generalized linear
    mixed models", JASA 88 (1993); for the variance D. J. C. MacKay, "Bayesian interpolation",
    Neural Computation 4 (1992), equation 2.19.
    """
    sizes = [int(group.max()) + 1 for group in groups]
    return torch.stack(
        [_fit_output(groups, sizes, target, weights) for target in targets.unbind(1)], 1
    )


def _fit_output(
    groups: Sequence[Tensor], sizes: Sequence[int], target: Tensor, weights: Tensor
) -> Tensor:
    effects = [target.new_zeros(size) for size in sizes]
    variances = [START_VARIANCE] * len(groups)
    mean = (weights @ target) / weights.sum()
    binary = bool(((target == 0) | (target == 1)).all())
    spread = float((weights @ (target - mean).square() / weights.sum()).sqrt())
    if spread <= CONSTANT * max(1.0, float(mean.abs())):
        return torch.zeros_like(target)
    if not binary:  # the limits of the variances are on the scale of log-odds
        target, mean = (target - mean) / spread, mean.new_zeros(())
    fitted = torch.full_like(target, float(mean.logit() if binary else mean))
    rest, noise, moved = (target - mean) * weights, 1.0, torch.empty_like(target)
    for _ in range(NEWTON_STEPS):
        if binary:
            probability = fitted.sigmoid()
            rest = (target - probability) * weights
            curvature = (probability * (1 - probability) * weights).clamp_(min=LEAST_CURVATURE)
        else:
            noise = float(rest @ (target - fitted) / weights.sum())
            curvature = weights
        held = [_sum_by(group, curvature, size) for group, size in zip(groups, sizes, strict=True)]
        total = curvature.sum()
        for _ in range(SWEEPS):
            square = 0.0
            step = rest.sum() / total
            rest.addcmul_(step, curvature, value=-1)
            fitted += step
            for k, group in enumerate(groups):
                precision = noise / variances[k]
                pull = _sum_by(group, rest, sizes[k])
                moves = (pull - precision * effects[k]) / (held[k] + precision)
                effects[k] += moves
                square += float(held[k] @ moves.square())
                torch.index_select(moves, 0, group, out=moved)
                fitted += moved
                rest.addcmul_(moved, curvature, value=-1)
        if square < LEAST_MOVE * float(total):
            break
        for k, effect in enumerate(effects):
            determined = float((held[k] / (held[k] + noise / variances[k])).sum())
            variance = float(effect.square().sum()) / max(determined, TINY)
            variances[k] = min(max(variance, LEAST_VARIANCE), MOST_VARIANCE)
    return (target - fitted.sigmoid()) * weights if binary else (target - fitted) * weights


def _sum_by(group: Tensor, values: Tensor, size: int) -> Tensor:
    """Sum values by group; `torch.bincount` takes twice as long."""
    return values.new_zeros(size).scatter_add_(0, group, values)

"""An additive model of lower orders, whose residuals show what higher orders hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sparsectr.losses.loss import Link

# Most Newton steps, and passes over all groups in each.
NEWTON_STEPS = 20
SWEEPS = 2
# They end when a pass moves the scores of rows by less than this, as a mean square. Variances
# that are still on their way up are too small, which is a false alarm among dependent fields.
LEAST_MOVE = 1e-5
# Variance of the effects of a group at the start, and its limits. Where a field follows from a
# set, too small a variance is a false alarm, and one too large only a loss of power.
START_VARIANCE = 0.1
LEAST_VARIANCE = 1e-3
MOST_VARIANCE = 10.0
# Weights of a row in a Newton step are at least this, so that sure predictions do not run away.
LEAST_CURVATURE = 1e-6
# Of a logarithm, no effect moves by more in a pass: the next Newton step sees the new means.
MOST_MOVE = 1.0
# Targets whose spread is below this share of their mean are constant.
CONSTANT = 1e-9
TINY = 1e-12
# Share of the residuals of numbers that are cut.
CUT_SHARE = 0.001
# Scores of larger means are not finite in a few steps.
MOST_SCORE = 50.0

# By link: the score of a mean, and the mean of scores.
START: dict[str, Callable[[Tensor], Tensor]] = {
    "logit": torch.logit,
    "identity": torch.Tensor.clone,
    "log": torch.log,
}
MEAN: dict[str, Callable[[Tensor], Tensor]] = {
    "logit": torch.sigmoid,
    "identity": torch.Tensor.clone,
    "log": lambda scores: scores.clamp(max=MOST_SCORE).exp(),
}


def additive_residuals(
    groups: Sequence[Tensor], targets: Tensor, weights: Tensor, link: Link = "logit"
) -> Tensor:
    """Fit ``score = intercept + sum over groups of effect[group of the row]``.

    The score of a row is the log-odds of a class, the mean of a number or the logarithm of the mean
    of a count.

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
        0 or 1, numbers, or counts, for every output; each output has a model of its own.
    weights : Tensor of shape (n_rows,), float64
        Weights of the rows.
    link : {"logit", "identity", "log"}, default="logit"
        What the score is of the mean of the target.

    Returns
    -------
    Tensor of shape (n_rows, K), float64
        Weighted target minus fitted mean. Numbers, of the link "identity", come in units of their
        standard deviation, and the largest residuals are cut; counts, of the link "log", are
        divided by what their variance is per unit of their mean.

    Notes
    -----
    Newton steps, each solved by passes over the groups in turn. For generalised linear models with
    random effects see N. E. Breslow and D. G. Clayton, "Approximate inference in generalized linear
    mixed models", JASA 88 (1993); for the variance D. J. C. MacKay, "Bayesian interpolation",
    Neural Computation 4 (1992), equation 2.19.
    """
    sizes = [int(group.max()) + 1 for group in groups]
    return torch.stack(
        [_fit_output(groups, sizes, target, weights, link) for target in targets.unbind(1)], 1
    )


def _fit_output(
    groups: Sequence[Tensor], sizes: Sequence[int], target: Tensor, weights: Tensor, link: Link
) -> Tensor:
    effects = [target.new_zeros(size) for size in sizes]
    variances = [START_VARIANCE] * len(groups)
    mean = (weights @ target) / weights.sum()
    spread = float((weights @ (target - mean).square() / weights.sum()).sqrt())
    if spread <= CONSTANT * max(1.0, float(mean.abs())):
        return torch.zeros_like(target)
    if link == "identity":  # the limits of the variances are on the scale of log-odds
        target, mean = (target - mean) / spread, mean.new_zeros(())
    fitted = torch.full_like(target, float(START[link](mean)))
    moved = torch.empty_like(target)
    for _ in range(NEWTON_STEPS):
        rest, curvature, noise = _start_step(target, MEAN[link](fitted), weights, link)
        held = [_sum_by(group, curvature, size) for group, size in zip(groups, sizes, strict=True)]
        total = curvature.sum()
        square = 0.0
        for sweep in range(SWEEPS):
            # Logarithms are near their end when the first pass of a step, with new means, is short.
            square = square if link == "log" and sweep else 0.0
            step = rest.sum() / total
            rest.addcmul_(step, curvature, value=-1)
            fitted += step
            for k, group in enumerate(groups):
                precision = noise / variances[k]
                pull = _sum_by(group, rest, sizes[k])
                moves = (pull - precision * effects[k]) / (held[k] + precision)
                if link == "log":
                    moves.clamp_(-MOST_MOVE, MOST_MOVE)
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
    rest, _, _ = _start_step(target, MEAN[link](fitted), weights, link)
    if link == "identity":  # of heavy tails, a few rows outweigh all others
        most = weights * float((target - fitted).abs().quantile(1 - CUT_SHARE))
        rest = torch.minimum(torch.maximum(rest, -most), most)
    return rest


def _start_step(
    target: Tensor, fit: Tensor, weights: Tensor, link: Link
) -> tuple[Tensor, Tensor, float]:
    """Return slopes and curvatures of the log likelihood by the scores, (n_rows,), and dispersion.

    The variance of counts is ``a mean + b mean^2``, as in the negative binomial distribution, with
    a and b from the squared residuals: large counts do not outweigh all others.
    """
    rest = (target - fit) * weights
    if link == "identity":
        return rest, weights, float(rest @ (target - fit) / weights.sum())
    if link == "logit":
        return rest, (fit * (1 - fit) * weights).clamp_(min=LEAST_CURVATURE), 1.0
    squares = (target - fit).square() / fit.clamp(min=TINY)
    a, b = _fit_line(fit, squares, weights * (1 + fit / fit.mean()).square().reciprocal())
    variances = (a + b * fit).clamp_(min=TINY)
    return rest / variances, (fit * weights / variances).clamp_(min=LEAST_CURVATURE), 1.0


def _fit_line(x: Tensor, y: Tensor, weights: Tensor) -> tuple[float, float]:
    """Fit ``y = a + b x`` of positive y, with neither a nor b below 0; x and y are (n_rows,)."""
    total = weights.sum()
    mean_x, mean_y = (weights @ x) / total, (weights @ y) / total
    spread = float(weights @ (x - mean_x).square())
    slope = float((weights * (x - mean_x)) @ y) / max(spread, TINY)
    slope = min(max(slope, 0.0), float(mean_y / mean_x))
    return float(mean_y) - slope * float(mean_x), slope


def _sum_by(group: Tensor, values: Tensor, size: int) -> Tensor:
    """Sum values by group; `torch.bincount` takes twice as long."""
    return values.new_zeros(size).scatter_add_(0, group, values)

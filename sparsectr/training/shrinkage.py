"""How far a trained net is believed: its effects are multiplied by a factor."""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparsectr.losses import Loss
from sparsectr.rows.labelled import PIECE_ROWS, LabelledRows
from sparsectr.training.intercept import fit_intercept
from sparsectr.training.pooling import widen
from sparsectr.training.prediction import predict_logits
from sparsectr.training.task import TrainingTask

# What is known of the factor before validation rows are looked at: with this probability the net
# is useless, otherwise the factor lies around 1, with this standard deviation.
USELESS, SPREAD = 0.8, 0.5
FACTORS = np.linspace(0.0, 1.5, 61)


class ScalableNet(Protocol):
    """Turn codes (B, F) into logits (B, K), which are linear in some of its weights.

    Attributes
    ----------
    output_weights : list of Tensor
        The logits without the intercept are proportional to them.
    """

    output_weights: list[Tensor]


def settle_effects(net: nn.Module, task: TrainingTask) -> None:
    """Put the intercept of a trained net, and the size of its effects, where they belong.

    Parameters
    ----------
    net : nn.Module
        A `ScalableNet`, trained on this task. Left in evaluation mode.
    task : TrainingTask
        Its validation rows, if there are some, tell the size.
    """
    fit_intercept(net, task.train, task.new_generator())
    if task.validation is not None:
        shrink_effects(net, task.prior_logits(), task.validation)
        fit_intercept(net, task.train, task.new_generator())


@torch.no_grad()
def shrink_effects(net: nn.Module, prior: Tensor, rows: LabelledRows) -> None:
    """Multiply the effects of a trained net by the factor that validation rows suggest.

    Early stopping takes whole epochs, and where positive rows are rare, the first epoch may learn
    more noise than signal. A net is then worse than the share of the class for every row. The
    factor is near 1 where validation rows tell that the net is good, and near 0 where they do not.

    Parameters
    ----------
    net : nn.Module
        A `ScalableNet` whose intercept is fitted. Left in evaluation mode.
    prior : Tensor of shape (K,)
        Logits of the best constant prediction.
    rows : LabelledRows
        The validation rows.
    """
    wide = widen(net, rows.bags)
    parts = [predict_logits(wide, piece.codes) for piece in rows.pieces(PIECE_ROWS)]
    logits = np.concatenate(parts)
    factor = find_factor(
        logits, prior.double().cpu().numpy(), rows.targets, rows.weights, rows.loss
    )
    for weight in cast(ScalableNet, net).output_weights:
        weight *= factor


def find_factor(
    logits: NDArray[np.float64],
    prior: NDArray[np.float64],
    targets: Tensor,
    weights: Tensor,
    loss: Loss,
) -> float:
    """Return the posterior mean of the factor s of ``prior + s (logits - prior)``.

    A priori s is 0 with probability `USELESS`, else from N(1, `SPREAD`) between 0 and 1.5.

    Parameters
    ----------
    logits : ndarray of shape (n, K)
        Logits of validation rows.
    prior : ndarray of shape (K,)
        Logits of the best constant prediction.
    targets, weights : Tensor of shape (n,)
        As in `Batch`.
    loss : Loss
        Minus the log-likelihood of a row.

    Returns
    -------
    float
        1 where a logit is not finite.
    """
    if not np.isfinite(logits).all():
        return 1.0
    start, effects = (torch.from_numpy(part).to(weights) for part in (prior, logits - prior))
    losses = [float(loss.mean(start + s * effects, targets, weights)) for s in FACTORS]
    density = np.exp(-0.5 * ((FACTORS - 1) / SPREAD) ** 2)
    density[0] = 0
    beliefs = np.log((1 - USELESS) * density / density.sum() + USELESS * (FACTORS == 0))
    beliefs -= len(targets) * np.array(losses)
    beliefs = np.exp(beliefs - beliefs.max())
    return float(beliefs @ FACTORS / beliefs.sum())

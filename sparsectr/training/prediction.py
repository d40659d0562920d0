"""Logits and probabilities of encoded rows."""

from math import exp

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sparsectr.kernels.threads import one_torch_thread, run_parts
from sparsectr.nn.mean import MeanNet
from sparsectr.rows.labelled import LabelledRows

# Rows per forward pass, on a CPU and elsewhere. Matrix products round differently for different
# numbers of rows, so every pass has exactly as many, the last one filled up: a row then gets the
# same result alone and in any company. On a CPU larger batches are no faster, and this one
# keeps the answer for a single row within a few milliseconds.
CPU_BATCH = 256
DEVICE_BATCH = 4096
# Batches that a thread takes at once.
BATCHES_AT_ONCE = 8
# A net that is so sure of each of so many rows has converged to nothing.
SATURATED, SATURATION_ROWS = 1e-9, 256


def predict_logits(net: nn.Module, codes: Tensor) -> npt.NDArray[np.float64]:
    """Compute the logits of all rows in evaluation mode.

    Parameters
    ----------
    net : nn.Module
        Codes (B, F) to logits (B, K). Left in evaluation mode. Asked for ``logits_by_row(codes)``
        if it has such a method, which may be fused.
    codes : Tensor of shape (n_rows, n_fields)
        Codes on the net's device.

    Returns
    -------
    ndarray of shape (n_rows, K), float64
    """
    if isinstance(net, MeanNet):
        total = sum(predict_logits(member, codes) for member in net.members)
        return np.asarray(total / len(net.members), np.float64)
    if net.training:
        net.eval()
    by_row = getattr(net, "logits_by_row", None)
    logits = by_row(codes) if by_row else logits_in_batches(net, codes)
    return np.asarray(logits, np.float64)


def logits_of(net: nn.Module, codes: Tensor) -> Tensor:
    """Return `predict_logits` as a tensor (n_rows, K), float64, on the device of the codes."""
    return torch.from_numpy(predict_logits(net, codes)).to(codes.device)


def logits_in_batches(net: nn.Module, codes: Tensor) -> npt.NDArray[np.float32]:
    """Compute logits (n_rows, K) of codes (n_rows, F) in batches of one size."""
    if codes.device.type != "cpu":
        return _predict_batches(net, codes, DEVICE_BATCH)
    parts = codes.split(BATCHES_AT_ONCE * CPU_BATCH)
    results: dict[int, npt.NDArray[np.float32]] = {}

    def predict_part(part: int) -> None:
        # The threads of the pool know nothing of the caller's contexts.
        with one_torch_thread(), torch.autocast("cpu", enabled=False):
            results[part] = _predict_batches(net, parts[part], CPU_BATCH)

    run_parts(predict_part, len(parts))
    return np.concatenate([results[part] for part in range(len(parts))])


@torch.inference_mode()
def _predict_batches(net: nn.Module, codes: Tensor, size: int) -> npt.NDArray[np.float32]:
    """Return the logits (n, K) of codes (n, F), computed in batches of the same size."""
    logits = torch.cat([net(_fill_up(batch, size)) for batch in codes.split(size)])
    return logits[: len(codes)].cpu().numpy()  # type: ignore[no-any-return]


def _fill_up(codes: Tensor, size: int) -> Tensor:
    """Repeat the last row until there are ``size`` rows."""
    n_missing = size - len(codes)
    return torch.cat([codes, codes[-1:].expand(n_missing, -1)]) if n_missing else codes


def to_probabilities(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Turn logits (n, K) into class probabilities, in float64.

    One logit gives two columns, K > 1 logits give K. Every row sums to 1.
    """
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    with np.errstate(invalid="ignore"):  # infinite logits give NaN, which callers look for
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def row_probabilities(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Turn the logits (1, K) of one row into class probabilities (n_classes,), as above."""
    if logits.shape[1] > 1:
        return to_probabilities(logits.astype(np.float64))[0]
    log_odds = float(logits[0, 0])
    smaller = exp(-abs(log_odds))
    parts = (1.0, smaller) if log_odds < 0 else (smaller, 1.0)
    return np.array(parts) / (1.0 + smaller)


def is_saturated(logits: npt.NDArray[np.float64]) -> bool:
    """Tell whether a net is as good as certain of every row: its steps were far too long.

    Parameters
    ----------
    logits : ndarray of shape (n_rows, K)
        From `first_logits`, say.
    """
    return bool((to_probabilities(logits).max(axis=1) > 1 - SATURATED).all())


def first_logits(net: nn.Module, rows: LabelledRows) -> npt.NDArray[np.float64]:
    """Return the logits (n, K) of the first few hundred rows; only their codes are copied."""
    return predict_logits(net, next(rows.pieces(SATURATION_ROWS)).codes)

"""Logits and probabilities of encoded rows."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

# Rows per forward pass. The same for every call, so that a row's result does not depend on
# how many rows come with it by more than the rounding of one matrix product.
PREDICTION_BATCH = 4096


@torch.inference_mode()
def predict_logits(net: nn.Module, codes: Tensor) -> npt.NDArray[np.float64]:
    """Compute the logits of all rows in evaluation mode.

    Parameters
    ----------
    net : nn.Module
        Codes (B, F) to logits (B, K). Left in evaluation mode.
    codes : Tensor of shape (n_rows, n_fields)
        Codes on the net's device.

    Returns
    -------
    ndarray of shape (n_rows, K), float64
    """
    net.eval()
    batches = [net(batch) for batch in codes.split(PREDICTION_BATCH)]
    return torch.cat(batches).cpu().numpy().astype(np.float64)


def to_probabilities(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Turn logits (n, K) into class probabilities, in float64.

    One logit gives two columns, K > 1 logits give K. Every row sums to 1.
    """
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

"""What kernels share that go from codes to the loss and back in one pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsectr.kernels.compiled.jit import compiled


@compiled
def log_loss(logit: Any, target: Any) -> Any:
    """Return the log loss of a row of target 0 or 1, and its slope by the logit."""
    zero, one = np.float32(0), np.float32(1)
    margin = logit if target > 0.5 else -logit
    # Of exp(-|margin|), so that nothing overflows, and without differences, so that small losses
    # keep their digits.
    small = math.exp(-abs(margin))
    loss = max(-margin, zero) + math.log1p(small)
    other_class = (small if margin >= 0 else one) / (one + small)
    return loss, -other_class if target > 0.5 else other_class


def lookup_gradient(codes: Tensor, offsets: Tensor, values: Tensor, shape: torch.Size) -> Tensor:
    """Return the sparse gradient of a table (V, D) from those of all look-ups (B * F, D)."""
    # By NumPy, in one thread: see `sparsectr.training.batches.LabelledRows.take`.
    rows = np.add(codes.numpy(), offsets.numpy(), dtype=np.int64).reshape(1, -1)
    return torch.sparse_coo_tensor(torch.from_numpy(rows), values, shape, check_invariants=False)


def scale_gradients(
    gradients: tuple[Tensor | None, ...], factor: Tensor
) -> tuple[Tensor | None, ...]:
    """Multiply gradients by that of the loss, which is 1 wherever the loss itself is descended."""
    return gradients if factor == 1 else tuple(None if g is None else factor * g for g in gradients)

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
    """Return the log loss of a row, and its slope by the logit."""
    # Of exp(-|logit|), so that nothing overflows.
    small = math.exp(-abs(logit))
    loss = max(logit, np.float32(0)) - logit * target + math.log1p(small)
    share = np.float32(1) / (np.float32(1) + small)
    return loss, (share if logit >= 0 else np.float32(1) - share) - target


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

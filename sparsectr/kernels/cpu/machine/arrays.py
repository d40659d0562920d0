"""Tensors as compiled functions take them."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def as_array(tensor: Tensor) -> Any:
    """Return the numbers of a CPU tensor as a contiguous array, copied only if they are not."""
    # Each of these calls takes as long as a small kernel works on some rows.
    if tensor.requires_grad:
        tensor = tensor.detach()
    return (tensor if tensor.is_contiguous() else tensor.contiguous()).numpy()

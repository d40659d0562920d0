"""Tensors as compiled functions take them."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def as_array(tensor: Tensor) -> Any:
    """Return the numbers of a CPU tensor as a contiguous array, copied only if they are not."""
    return tensor.detach().contiguous().numpy()

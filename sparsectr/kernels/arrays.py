"""Tensors as compiled functions take them: arrays over the same memory."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn


def as_array(tensor: Tensor) -> Any:
    """Return the numbers of a CPU tensor (...) as a contiguous array, copied only if they must."""
    # Each of these calls takes as long as a small kernel works on some rows.
    if tensor.requires_grad:
        tensor = tensor.detach()
    return (tensor if tensor.is_contiguous() else tensor.contiguous()).numpy()


class TensorViews:
    """Arrays over the memory of a net's tensors, made anew only for tensors that are others.

    To find a tensor in its modules and to make an array of it takes two microseconds each, more for
    the ten of a net than the arithmetic of a single row.

    Parameters
    ----------
    places : sequence of (nn.Module, str)
        Modules and the names of their parameters or buffers, contiguous and on a CPU. The modules
        must stay those of the net; their tensors need not.
    """

    def __init__(self, places: Sequence[tuple[nn.Module, str]]) -> None:
        self._places = [
            (module._parameters if name in module._parameters else module._buffers, name)
            for module, name in places
        ]
        self._forget()

    def arrays(self) -> list[NDArray[Any]]:
        """Return the arrays, in the order of the places; they change when the tensors do."""
        for k, (tensors, name) in enumerate(self._places):
            tensor = cast("Tensor", tensors[name])
            if tensor is not self._tensors[k] or tensor.data_ptr() != self._addresses[k]:
                self._arrays[k] = _array_over(tensor)
                self._tensors[k], self._addresses[k] = tensor, tensor.data_ptr()
        return self._arrays

    def _forget(self) -> None:
        n = len(self._places)
        self._tensors: list[Tensor | None] = [None] * n
        self._addresses = [0] * n
        self._arrays: list[NDArray[Any]] = [np.empty(0)] * n

    # A copy of a net has memory of its own, and a file holds every number once.

    def __getstate__(self) -> dict[str, Any]:
        return {"_places": self._places}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._places = state["_places"]
        self._forget()


def _array_over(tensor: Tensor) -> NDArray[Any]:
    """Return an array over the same memory; a copy would soon be out of date."""
    if not tensor.is_contiguous():
        raise ValueError("tensors must be contiguous to be read as arrays.")
    array: NDArray[Any] = tensor.detach().numpy()
    return array

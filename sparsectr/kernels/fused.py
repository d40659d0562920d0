"""Which version of a kernel runs: the torch reference, or the fused one.

Every kernel is a plain torch function: the specification, right on any device, for any type and
through autograd. Some have fused versions for float32 that do the same in one pass: for a CPU in
`sparsectr.kernels.cpu`, where numba is installed, and for an NVIDIA GPU in
`sparsectr.kernels.gpu`, where Triton can compile. They are taken unless the environment variable
``SPARSECTR_FUSED`` is ``0``, and never where they could be wrong: other types, other devices and
missing packages take the reference.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor

# Where the fused versions of a kernel are: below `cpu` and below `gpu`.
_CPU = {
    "adam": "optimizers.adam",
    "ftrl": "optimizers.ftrl",
    "rows": "optimizers.rows",
    "pin": "dynint.pin",
    "pin_loss": "dynint.pin_loss",
    "gated_logits": "dynint.gated_logits",
    "gated_loss": "dynint.gated_loss",
    "symmetric": "profit.symmetric",
    "symmetric_loss": "profit.symmetric_loss",
    "crosses": "profit.crosses",
    "crosses_loss": "profit.crosses_loss",
    "perceptron_loss": "optfeature.perceptron_loss",
}

_switch = {"on": os.environ.get("SPARSECTR_FUSED", "1") != "0"}


def fused_version(name: str, *tensors: Tensor) -> ModuleType | None:
    """Return the fused versions of a module's kernels, or None if the references must do.

    Parameters
    ----------
    name : str
        Name of the module in `sparsectr.kernels.cpu` and, if it has one, in
        `sparsectr.kernels.gpu`.
    *tensors : Tensor
        All tensors of real numbers that the kernel will see.
    """
    if not _switch["on"]:
        return None
    n_on_gpu = 0
    for tensor in tensors:  # asked several times per step, of small tensors
        if tensor.dtype is not torch.float32:
            return None
        if not tensor.is_cpu:
            if not tensor.is_cuda:
                return None
            n_on_gpu += 1
    if n_on_gpu == 0:
        return _load("cpu", _CPU.get(name, name))
    # Triton launches on the current device.
    device = torch.cuda.current_device()
    return _load("gpu", name) if all(t.get_device() == device for t in tensors) else None


def fused_on() -> bool:
    """Return whether anything but the references may run."""
    return _switch["on"]


@contextmanager
def fused_kernels(on: bool) -> Iterator[None]:
    """Switch the fused versions on or off inside a ``with`` block, in all threads."""
    before, _switch["on"] = _switch["on"], on
    try:
        yield
    finally:
        _switch["on"] = before


@contextmanager
def timed_compilation(report: Callable[[float], None]) -> Iterator[None]:
    """Tell how many seconds went into compiling kernels inside a ``with`` block, if any."""
    try:
        events = import_module("numba.core.event")
    except ImportError:
        yield
        return
    with events.install_timer("numba:compile", report):
        yield


@cache
def _load(folder: str, name: str) -> ModuleType | None:
    """Import a module of fused kernels when it is first needed: numba takes half a second."""
    try:
        return import_module(f"sparsectr.kernels.{folder}.{name}")
    except ImportError:  # no numba or Triton that can be used, or no such module
        return None

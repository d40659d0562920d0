"""Which version of a kernel runs: the torch reference, or the fused one.

Every kernel is a plain torch function: the specification, right on any device, for any type and
through autograd. Some have a fused version for float32 on a CPU in `sparsectr.kernels.compiled`,
which does the same in one pass over the cache. It is taken when numba is installed, unless the
environment variable ``SPARSECTR_FUSED`` is ``0``, and never where it could be wrong: other types,
other devices and missing packages take the reference.
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

_switch = {"on": os.environ.get("SPARSECTR_FUSED", "1") != "0"}


def fused_version(name: str, *tensors: Tensor) -> ModuleType | None:
    """Return the compiled versions of a module's kernels, or None if the references must do.

    Parameters
    ----------
    name : str
        Name of the module in `sparsectr.kernels.compiled`.
    *tensors : Tensor
        All tensors of real numbers that the kernel will see.
    """
    if not _switch["on"]:
        return None
    for tensor in tensors:  # asked several times per step, of small tensors
        if tensor.dtype is not torch.float32 or not tensor.is_cpu:
            return None
    return _load(name)


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
def _load(name: str) -> ModuleType | None:
    """Import a compiled module when it is first needed: numba takes half a second to import."""
    try:
        return import_module(f"sparsectr.kernels.compiled.{name}")
    except ImportError:  # numba is not installed, or not for this NumPy
        return None

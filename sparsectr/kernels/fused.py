"""The one door to fused code: a reference, and what runs in its place where it has been built.

A kernel is a plain torch function, the *reference*: the specification, right on any device, for any
type and through autograd. Where that is too slow, a *fused version* computes the same in one pass
over float32 numbers, with gradients: for a CPU below `sparsectr.kernels.cpu`, where numba is
installed, and for an NVIDIA GPU below `sparsectr.kernels.gpu`, where Triton can compile.

A fused version has the name and the arguments of its reference, and `fused` puts it behind it::

    @fused(cpu="optimizers.adam", numbers=lambda parameters, **_: chain(*parameters))
    def adam_(parameters, *, lr, ...): ...  # the reference

Callers call ``adam_``. The reference runs for other types, other devices, missing packages, what
``covers`` denies, what the fused version itself answers with ``NotImplemented``, and where the
environment variable ``SPARSECTR_FUSED`` is ``0``. `KERNELS` lists all kernels that have been
imported; one test compares every one of them with its reference.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, wraps
from importlib import import_module
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from sparsectr.kernels.nets import EmbeddingNet

P = ParamSpec("P")
R = TypeVar("R")

_switch = {"on": os.environ.get("SPARSECTR_FUSED", "1") != "0"}


@dataclass(frozen=True, slots=True)
class Kernel:
    """Hold one line of the table of kernels.

    Attributes
    ----------
    reference : callable
        Computes the result in torch.
    cpu, gpu : str or None
        Module of the fused version, below `sparsectr.kernels.cpu` or `sparsectr.kernels.gpu`.
    numbers : callable
        Takes the arguments, returns all tensors of real numbers that the kernel will see. Of a net
        its table is enough.
    covers : callable or None
        Takes the arguments, returns whether the fused versions are built for them.
    """

    reference: Callable[..., Any]
    cpu: str | None
    gpu: str | None
    numbers: Callable[..., Iterable[Tensor]]
    covers: Callable[..., bool] | None

    def fused_version(self, *args: Any, **kwargs: Any) -> Callable[..., Any] | None:
        """Return the fused version for these arguments, None if the reference has to run."""
        if not _switch["on"]:
            return None
        tensors = tuple(self.numbers(*args, **kwargs))
        n_on_cpu = 0
        for tensor in tensors:  # of small tensors, several times per step
            if tensor.dtype is not torch.float32:
                return None
            n_on_cpu += tensor.is_cpu
        if n_on_cpu == len(tensors):
            module = _load("cpu", self.cpu)
        elif n_on_cpu == 0 and _lie_on_current_gpu(tensors):
            module = _load("gpu", self.gpu)
        else:
            return None
        if module is None or (self.covers is not None and not self.covers(*args, **kwargs)):
            return None
        return getattr(module, self.reference.__name__)  # type: ignore[no-any-return]


KERNELS: dict[str, Kernel] = {}


def table_of(net: EmbeddingNet, *_: object, **__: object) -> tuple[Tensor]:
    """Return the tensor whose type and device stand for those of a whole net."""
    return (net.embedding.weight,)


def fused(
    *,
    numbers: Callable[..., Iterable[Tensor]] = table_of,
    cpu: str | None = None,
    gpu: str | None = None,
    covers: Callable[..., bool] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Put the fused versions of a reference, which have its name and arguments, behind it.

    See `Kernel` for the parameters. By default the first argument is a net.
    """

    def decorate(reference: Callable[P, R]) -> Callable[P, R]:
        kernel = Kernel(reference, cpu, gpu, numbers, covers)
        KERNELS[reference.__name__] = kernel

        @wraps(reference)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            version = kernel.fused_version(*args, **kwargs)
            if version is not None:
                result = version(*args, **kwargs)
                if result is not NotImplemented:
                    return result  # type: ignore[no-any-return]
            return reference(*args, **kwargs)

        return call

    return decorate


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


def _lie_on_current_gpu(tensors: Iterable[Tensor]) -> bool:
    """Tell whether Triton, which launches on the current device, can reach all tensors."""
    return all(
        tensor.is_cuda and tensor.get_device() == torch.cuda.current_device() for tensor in tensors
    )


@cache
def _load(folder: str, name: str | None) -> ModuleType | None:
    """Import a module of fused versions when it is first needed: numba takes half a second."""
    if name is None:
        return None
    try:
        return import_module(f"sparsectr.kernels.{folder}.{name}")
    except ImportError:  # no numba or Triton that can be used
        return None

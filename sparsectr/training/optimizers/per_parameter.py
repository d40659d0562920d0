"""What the optimizers share: a step that visits one parameter after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import unwrap
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

# As torch wraps them, they would first import its compiler, for seconds, to be kept out of it.
_add_param_group = unwrap(Optimizer.add_param_group)
_zero_grad = unwrap(Optimizer.zero_grad)


class PerParameterOptimizer(Optimizer):
    """Update every parameter that has a gradient by itself.

    A subclass says in `_update` what one step does to one parameter, and keeps in
    ``self.state[parameter]`` what it must remember.

    Attributes
    ----------
    lookup_decay : dict of Tensor to Tensor
        For an embedding table (V, D), what every lookup of a row adds to the gradient of the sum
        loss, times the row: a vector (V,). Empty at first.
    decayed : set of Tensor
        Tables whose gradients hold the decay of their lookups when a step is taken: gradients that
        other processes have added to are no longer those of single lookups.
    n_rows : int
        Number of rows that the mean loss of the next step is a mean of.
    """

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        super().__init__(params, defaults)
        self.lookup_decay: dict[Tensor, Tensor] = {}
        self.decayed: set[Tensor] = set()
        self.n_rows = 1

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own; see `torch.optim.Optimizer`."""
        _add_param_group(self, param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; see `torch.optim.Optimizer`."""
        _zero_grad(self, set_to_none)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step.

        Parameters
        ----------
        closure : callable, optional
            Computes the gradients anew and returns the loss.

        Returns
        -------
        float or None
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.update()
        return loss

    def update(self) -> None:
        """Do what `step` does, without autograd's care, hooks, and reports to torch's profiler.

        To be called inside `torch.no_grad`. What is left out takes longer than a small update.
        """
        for group in self.param_groups:
            self._update_group([p for p in group["params"] if p.grad is not None], group)

    def _decay_of(self, table: Tensor) -> Tensor | None:
        """Return what a step still has to add for every lookup, see ``lookup_decay``."""
        return None if table in self.decayed else self.lookup_decay.get(table)

    def _update_group(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """Take one step on the parameters of a group that have a gradient."""
        for parameter in parameters:
            self._update(parameter, parameter.grad, self.state[parameter], group)  # type: ignore[arg-type]

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """Take one step on one parameter; ``state`` is empty the first time."""
        raise NotImplementedError


def set_batch_rows(optimizers: Iterable[Optimizer], n_rows: int) -> None:
    """Tell our optimizers how many rows the mean loss of the next step is a mean of.

    FTRL multiplies the gradient by it, so its penalties keep the scale of the sum loss for any
    batch size; those that have a decay per lookup divide it by that number. Other optimizers are
    left alone.

    Parameters
    ----------
    optimizers : iterable of Optimizer
        As returned by `make_optimizers`.
    n_rows : int
        Number of rows of the batch.
    """
    for optimizer in optimizers:
        if isinstance(optimizer, PerParameterOptimizer):
            optimizer.n_rows = n_rows
        for group in optimizer.param_groups:
            if "gradient_scale" in group:
                group["gradient_scale"] = float(n_rows)


def require_positive(**values: float) -> None:
    """Raise ValueError for the first of the named values that is not > 0."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be > 0, got {value}.")


def require_not_negative(**values: float) -> None:
    """Raise ValueError for the first of the named values that is not >= 0."""
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(f"{name} must be >= 0, got {value}.")


def require_betas(betas: tuple[float, float]) -> None:
    """Raise ValueError unless both decays of Adam's moments lie in (0, 1)."""
    if not all(0 < beta < 1 for beta in betas):
        raise ValueError(f"betas must lie between 0 and 1, got {betas}.")

"""Losses whose gradients are computed with them, and the short way from there to the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


def one_pass_loss(
    value: float | Tensor, parameters: Sequence[Tensor], gradients: Sequence[Tensor | None]
) -> Tensor:
    """Return a loss of which autograd, and `take_gradients`, know the gradients already.

    Parameters
    ----------
    value : float or Tensor of shape ()
        The loss.
    parameters : sequence of Tensor of any shape
        What it depends on.
    gradients : sequence of Tensor or None
        Its gradient by each of them, of their shape; None where none is wanted.

    Returns
    -------
    Tensor of shape ()
        In float32. It can be descended once.
    """
    return _OnePassLoss.apply(value, tuple(gradients), *parameters)  # type: ignore[no-any-return,no-untyped-call]


class _OnePassLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        value: float | Tensor,
        gradients: tuple[Tensor | None, ...],
        *parameters: Tensor,
    ) -> Tensor:
        ctx.parameters, ctx.gradients = parameters, gradients  # type: ignore[attr-defined]
        if isinstance(value, Tensor):
            return value.clone()
        return torch.tensor(value, dtype=torch.float32, device="cpu")

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        found = ctx.gradients  # type: ignore[attr-defined]
        ctx.gradients = ()  # type: ignore[attr-defined] # or autograd would copy what others hold
        factor = gradients[0]
        # Of the loss itself it is 1; but a GPU would have to be waited for to find that out.
        if factor.is_cuda or factor != 1:
            found = tuple(None if g is None else factor * g for g in found)
        return (None, None, *found)


def take_gradients(loss: Tensor) -> list[tuple[Tensor, Tensor]] | None:
    """Return the gradients of a loss by its parameters, found without autograd, if they are there.

    Autograd would find its way through the graph and look after every gradient, for longer than
    kernels take with a small batch.

    Parameters
    ----------
    loss : Tensor of shape ()

    Returns
    -------
    list of pairs of Tensor, or None
        Parameters and gradients, where there is one. None if the loss is not itself one of
        `one_pass_loss`, or if something that it depends on was computed from something else.
    """
    node: Any = loss.grad_fn
    parameters = getattr(node, "parameters", None)
    if parameters is None or not all(parameter.is_leaf for parameter in parameters):
        return None
    gradients, node.gradients = node.gradients, ()
    pairs = zip(parameters, gradients, strict=True)
    return [(parameter, gradient) for parameter, gradient in pairs if gradient is not None]

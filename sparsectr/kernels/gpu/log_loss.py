"""The log loss of a batch and its gradient on a GPU: see `sparsectr.losses.log_loss`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import FunctionCtx

from sparsectr.kernels.gpu.launch import count_warps

# Rows of one program.
ROWS = 512
# Names of the losses that are built here.
LOSSES = ("log_loss", "squared_error", "poisson")


def binary_log_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean log loss, shape (), of log-odds, targets and weights, all (B,)."""
    return _LogLoss.apply(logits, targets, weights)  # type: ignore[no-any-return,no-untyped-call]


class _LogLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        slopes = torch.empty_like(logits, memory_format=torch.contiguous_format)
        n_parts = triton.cdiv(len(logits), ROWS)
        partial = logits.new_empty(n_parts)
        if n_parts:
            _log_loss[(n_parts,)](
                logits.contiguous(),
                targets,
                weights,
                partial,
                slopes,
                len(logits),
                ROWS,
                num_warps=count_warps(ROWS),
            )
        ctx.save_for_backward(slopes)
        return partial.sum()

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (slopes,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradients[0] * slopes, None, None


@triton.jit
def log_losses(logits, targets):
    """Return log losses and their slopes."""
    decay = tl.exp(-tl.abs(logits))
    losses = tl.maximum(logits, 0.0) - logits * targets + tl.log(1 + decay)
    # Both probabilities by themselves: their difference from 1 would have lost its digits.
    larger, smaller = 1 / (1 + decay), decay / (1 + decay)
    positive = tl.where(logits >= 0, larger, smaller)
    negative = tl.where(logits >= 0, smaller, larger)
    return losses, (1 - targets) * positive - targets * negative


@triton.jit
def losses_of(logits, targets, loss: tl.constexpr):
    """Return the losses of a name of `LOSSES`, and their slopes."""
    if loss == "squared_error":
        slopes = logits - targets
        losses = slopes * slopes / 2
    elif loss == "poisson":
        means = tl.exp(logits)
        losses, slopes = means - targets * logits, means - targets
    else:
        losses, slopes = log_losses(logits, targets)
    return losses, slopes


# Batches have sizes of their own; no version of a kernel is compiled for one.
@triton.jit(do_not_specialize=["n_rows"])
def _log_loss(logits, targets, weights, partial, slopes, n_rows, rows: tl.constexpr):
    places = tl.program_id(0) * rows + tl.arange(0, rows)
    inside = places < n_rows
    logit = tl.load(logits + places, mask=inside, other=0.0)
    target = tl.load(targets + places, mask=inside, other=0.0)
    share = tl.load(weights + places, mask=inside, other=0.0) / n_rows
    losses, slope = log_losses(logit, target)
    tl.store(slopes + places, slope * share, mask=inside)
    tl.store(partial + tl.program_id(0), tl.sum(losses * share, 0))

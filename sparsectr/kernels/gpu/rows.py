"""Fused versions of `sparsectr.kernels.rows` on a GPU: one pass over the lookups of a batch.

Lookups are sorted by row. Every program sums the runs of equal rows in a window of the sorted
list; then the program of the window in which a row begins adds what later windows have of it, and
updates the row. No two programs write to one place and every sum has its order, so that the same
batch gives the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import FunctionCtx

from sparsectr.kernels.gpu.launch import count_warps
from sparsectr.kernels.rows import AdagradTable, AdamTable, lookup_gradient

# Lookups that one program sums.
WINDOW = 32
# Lookups that one program of `look_up` copies.
COPIED = 64


class _Lookups(NamedTuple):
    """Lookups sorted by row: rows and places in the batch, both (N,)."""

    rows: Tensor
    places: Tensor


def look_up(table: Tensor, rows: Tensor) -> Tensor:
    """Look rows of a table up: see `sparsectr.kernels.rows.look_up`."""
    return _LookUp.apply(table, rows)  # type: ignore[no-any-return,no-untyped-call]


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, table: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.shape = table.shape  # type: ignore[attr-defined]
        n_lookups, dim = rows.numel(), table.shape[1]
        embeddings = table.new_empty(*rows.shape, dim)
        padded = triton.next_power_of_2(dim)
        if n_lookups:
            _take_rows[(triton.cdiv(n_lookups, COPIED),)](
                table,
                rows.contiguous(),
                embeddings,
                n_lookups,
                table.stride(0),
                dim,
                padded,
                COPIED,
                num_warps=count_warps(COPIED * padded),
            )
        return embeddings

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors  # type: ignore[attr-defined]
        shape: torch.Size = ctx.shape  # type: ignore[attr-defined]
        return lookup_gradient(rows.long(), gradients[0].contiguous(), shape), None


def adam_rows_(
    tables: Sequence[AdamTable],
    rows: Tensor,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    n_rows: int = 1,
) -> None:
    """Take one Adam step on the rows of a batch: see `sparsectr.kernels.rows.adam_rows_`."""
    # 1 - beta needs its own rounding: that of 0.999 is 1e-5 of 0.001.
    shares = (1 - beta for beta in betas)
    numbers = (lr, betas[1], *shares, *map(math.log, betas), eps, weight_decay)
    lookups = _sort(rows)
    for table in tables:
        state = (table.exp_avg, table.exp_avg_sq, table.step)
        strides = table.exp_avg.stride(0), table.exp_avg_sq.stride(0)
        _update(_adam_rows, lookups, table, (*state, *strides, *numbers), n_rows)


def adagrad_rows_(
    tables: Sequence[AdagradTable],
    rows: Tensor,
    *,
    lr: float,
    eps: float,
    weight_decay: float,
    n_rows: int = 1,
) -> None:
    """Take one step of row-wise Adagrad: see `sparsectr.kernels.rows.adagrad_rows_`."""
    lookups = _sort(rows)
    for table in tables:
        _update(_adagrad_rows, lookups, table, (table.square_sum, lr, eps, weight_decay), n_rows)


def _sort(rows: Tensor) -> _Lookups:
    # 32-bit keys are sorted in half the time of 64-bit ones.
    ordered, places = torch.sort(rows.int(), stable=True)
    return _Lookups(ordered, places)


def _update(
    kernel: Any,
    lookups: _Lookups,
    table: AdamTable | AdagradTable,
    arguments: tuple[Tensor | float, ...],
    n_rows: int,
) -> None:
    """Sum the gradients of a table in windows, and let a kernel finish the sums and use them."""
    n_lookups, dim = len(lookups.rows), table.weights.shape[1]
    if n_lookups == 0:
        return
    values = table.values if table.values.stride(1) == 1 else table.values.contiguous()
    sums = values.new_empty(n_lookups, dim)
    counts = torch.empty_like(lookups.rows)
    # tl.dot wants sides of 16 and more.
    padded = max(16, triton.next_power_of_2(dim))
    grid = (triton.cdiv(n_lookups, WINDOW),)
    warps = count_warps(WINDOW * padded)
    _sum_windows[grid](
        *lookups,
        values,
        sums,
        counts,
        n_lookups,
        values.stride(0),
        dim,
        padded,
        WINDOW,
        num_warps=warps,
    )
    decay = table.lookup_decay
    kernel[grid](
        lookups.rows,
        sums,
        counts,
        table.weights,
        table.weights if decay is None else decay,
        *arguments,
        n_lookups,
        table.weights.stride(0),
        1 / n_rows,
        decay is not None,
        dim,
        padded,
        WINDOW,
        num_warps=warps,
    )


# Numbers that differ between batches get no versions of their own: one would be compiled in the
# middle of a recording.
_UNSPECIALIZED = ["n_lookups"]


@triton.jit(do_not_specialize=_UNSPECIALIZED)
def _take_rows(
    table,
    rows,
    taken,
    n_lookups,
    stride,
    dim: tl.constexpr,
    padded: tl.constexpr,
    copied: tl.constexpr,
):
    places = tl.program_id(0).to(tl.int64) * copied + tl.arange(0, copied)
    columns = tl.arange(0, padded)
    inside = places < n_lookups
    numbers = tl.load(rows + places, mask=inside, other=0).to(tl.int64)
    tile = inside[:, None] & (columns < dim)[None, :]
    values = tl.load(table + numbers[:, None] * stride + columns[None, :], mask=tile)
    tl.store(taken + places[:, None] * dim + columns[None, :], values, mask=tile)


@triton.jit(do_not_specialize=_UNSPECIALIZED)
def _sum_windows(
    rows,
    lookups,
    values,
    sums,
    counts,
    n_lookups,
    stride,
    dim: tl.constexpr,
    padded: tl.constexpr,
    window: tl.constexpr,
):
    """Sum runs of equal rows in a window; the sums and lengths stand where the runs begin."""
    places = tl.program_id(0).to(tl.int64) * window + tl.arange(0, window)
    columns = tl.arange(0, padded)
    inside = places < n_lookups
    own = tl.load(rows + places, mask=inside, other=-1)
    numbers = tl.load(lookups + places, mask=inside, other=0)
    tile = inside[:, None] & (columns < dim)[None, :]
    gradients = tl.load(values + numbers[:, None] * stride + columns[None, :], mask=tile, other=0.0)
    equal = (own[:, None] == own[None, :]).to(tl.float32)
    summed = tl.dot(equal, gradients, input_precision="ieee")
    before = tl.load(rows + places - 1, mask=inside & (places % window > 0), other=-1)
    first = inside & (own != before)
    tl.store(
        sums + places[:, None] * dim + columns[None, :],
        summed,
        mask=first[:, None] & (columns < dim)[None, :],
    )
    tl.store(counts + places, tl.sum(equal, 1).to(tl.int32), mask=first)


@triton.jit
def _finish_sums(
    rows,
    sums,
    counts,
    n_lookups,
    dim: tl.constexpr,
    padded: tl.constexpr,
    window: tl.constexpr,
):
    """Return the rows of a window, which of them begin there, and their sums and counts."""
    start = tl.program_id(0).to(tl.int64) * window
    places = start + tl.arange(0, window)
    columns = tl.arange(0, padded)
    inside = places < n_lookups
    own = tl.load(rows + places, mask=inside, other=-1)
    before = tl.load(rows + places - 1, mask=inside & (places > 0), other=-1)
    first = inside & (own != before)
    tile = first[:, None] & (columns < dim)[None, :]
    total = tl.load(sums + places[:, None] * dim + columns[None, :], mask=tile, other=0.0)
    count = tl.load(counts + places, mask=first, other=0)
    # The last row of the window may go on in the next ones; every one of them begins with a sum.
    last = tl.max(own, 0)
    heads = start + window + tl.arange(0, window).to(tl.int64) * window
    more = tl.zeros((padded,), tl.float32)
    n_more = tl.zeros((), tl.int32)
    going = tl.max((first & (own == last)).to(tl.int32), 0) > 0
    while going:
        same = tl.load(rows + heads, mask=heads < n_lookups, other=-1) == last
        tile = same[:, None] & (columns < dim)[None, :]
        more += tl.sum(
            tl.load(sums + heads[:, None] * dim + columns[None, :], mask=tile, other=0.0), 0
        )
        n_more += tl.sum(tl.load(counts + heads, mask=same, other=0), 0)
        heads += window * window
        going = tl.min(same.to(tl.int32), 0) > 0
    goes_on = own == last
    total += tl.where(goes_on[:, None], more[None, :], 0.0)
    count += tl.where(goes_on, n_more, 0)
    return own.to(tl.int64), first, total, count


@triton.jit
def _decay(weight_decay, of_lookups, first, count, row_share, decays: tl.constexpr):
    """Return what is added to the gradients of rows, as a share of their weights."""
    decay = tl.where(first, weight_decay, 0.0)
    if decays:
        of_lookup = tl.load(of_lookups, mask=first, other=0.0).to(tl.float32)
        decay += of_lookup * row_share * count.to(tl.float32)
    return decay


@triton.jit(do_not_specialize=_UNSPECIALIZED)
def _adam_rows(
    rows,
    sums,
    counts,
    table,
    lookup_decay,
    exp_avg,
    exp_avg_sq,
    step,
    mean_stride,
    square_stride,
    lr,
    beta_square,
    mean_share,
    square_share,
    log_beta_mean,
    log_beta_square,
    eps,
    weight_decay,
    n_lookups,
    stride,
    row_share,
    decays: tl.constexpr,
    dim: tl.constexpr,
    padded: tl.constexpr,
    window: tl.constexpr,
):
    own, first, gradient, count = _finish_sums(rows, sums, counts, n_lookups, dim, padded, window)
    columns = tl.arange(0, padded)
    tile = first[:, None] & (columns < dim)[None, :]
    weight_places = table + own[:, None] * stride + columns[None, :]
    mean_places = exp_avg + own[:, None] * mean_stride + columns[None, :]
    square_places = exp_avg_sq + own[:, None] * square_stride + columns[None, :]
    weights = tl.load(weight_places, mask=tile, other=0.0)
    mean = tl.load(mean_places, mask=tile, other=0.0)
    square = tl.load(square_places, mask=tile, other=0.0)
    n_updates = tl.load(step + own, mask=first, other=0) + 1
    decay = _decay(weight_decay, lookup_decay + own, first, count, row_share, decays)
    gradient += decay[:, None] * weights
    mean += (gradient - mean) * mean_share
    square = square * beta_square + gradient * gradient * square_share
    # In float64: float32 would lose the digits of 1 - 0.999.
    exponent = n_updates.to(tl.float64)
    mean_weight = (1 - tl.exp(exponent * log_beta_mean)).to(tl.float32)
    square_weight = (1 - tl.exp(exponent * log_beta_square)).to(tl.float32)
    scale = tl.sqrt(square) / tl.sqrt(square_weight)[:, None] + eps
    weights -= lr * (mean / mean_weight[:, None]) / scale
    tl.store(weight_places, weights, mask=tile)
    tl.store(mean_places, mean, mask=tile)
    tl.store(square_places, square, mask=tile)
    tl.store(step + own, n_updates, mask=first)


@triton.jit(do_not_specialize=_UNSPECIALIZED)
def _adagrad_rows(
    rows,
    sums,
    counts,
    table,
    lookup_decay,
    square_sum,
    lr,
    eps,
    weight_decay,
    n_lookups,
    stride,
    row_share,
    decays: tl.constexpr,
    dim: tl.constexpr,
    padded: tl.constexpr,
    window: tl.constexpr,
):
    own, first, gradient, count = _finish_sums(rows, sums, counts, n_lookups, dim, padded, window)
    columns = tl.arange(0, padded)
    tile = first[:, None] & (columns < dim)[None, :]
    places = table + own[:, None] * stride + columns[None, :]
    weights = tl.load(places, mask=tile, other=0.0)
    decay = _decay(weight_decay, lookup_decay + own, first, count, row_share, decays)
    gradient += decay[:, None] * weights
    squares = tl.load(square_sum + own, mask=first, other=0.0)
    squares += tl.sum(tl.where(tile, gradient * gradient, 0.0), 1) / dim
    weights -= lr * gradient / (tl.sqrt(squares) + eps)[:, None]
    tl.store(places, weights, mask=tile)
    tl.store(square_sum + own, squares, mask=first)

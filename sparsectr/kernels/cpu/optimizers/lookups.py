"""The lookups of a batch, cut into parts of the table and summed row by row.

Tables come as flat arrays with the distance between rows, so that some columns of a wider table
are as good as a whole one.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from torch import Tensor

from sparsectr.kernels.arrays import as_array
from sparsectr.kernels.cpu.machine.jit import compiled, prefetch_to_read, prefetch_to_write
from sparsectr.kernels.cpu.machine.segments import add_segment, copy_segment
from sparsectr.kernels.threads import count_threads, run_parts

# Lookups of a part: fewer are not worth a second thread, and the sums of a part are to stay in
# the cache.
PART_LOOKUPS = 4096
PARTS_PER_THREAD = 4
# Where a table that is one part begins and ends.
WHOLE = np.array([0, np.iinfo(np.int64).max])
# Lookups from which the parts are cut.
SAMPLE = 1024
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
# Lookups, often of one field, that are passed over together if none of them is of a part.
STRETCH = 256
# Memory is asked for so many rows before it is needed.
AHEAD = 16


def update_parts(function: Any, rows: Tensor, *arguments: Any) -> None:
    """Call a function for every part of the tables that some lookups touch."""
    numbers = rows.numpy()
    if not len(numbers):
        return
    n_parts = min(PARTS_PER_THREAD * count_threads(), 1 + len(numbers) // PART_LOOKUPS)
    lookups = numbers, *_find_ranges(numbers)
    run_parts(function, n_parts, _part_ends(numbers, n_parts), lookups, *arguments)


def gradient_of(values: Tensor, lookup_decay: Tensor | None) -> Any:
    """Return the gradients of a table's lookups, flat, their length, and the decay per lookup."""
    return (
        *flatten(values if values.stride(1) == 1 else values.contiguous()),
        values.shape[1],
        np.empty(0, np.float32) if lookup_decay is None else lookup_decay.numpy(),
    )


def _part_ends(rows: Any, n_parts: int) -> Any:
    """Cut the table into parts with about equally many lookups; return where they begin and end.

    A row is in one part, so parts write to different memory, and its lookups are summed in
    their order whatever the parts are.
    """
    if n_parts == 1:
        return WHOLE
    sample = np.sort(rows.take(_sampled_places(len(rows))))
    inner = sample[len(sample) * np.arange(1, n_parts) // n_parts]
    return np.concatenate([WHOLE[:1], inner, WHOLE[1:]])


@lru_cache(maxsize=8)
def _sampled_places(n_lookups: int) -> Any:
    """Return places in a list of lookups, far enough from each other to meet every field."""
    # Fields alternate among the lookups: a sample in even steps could miss most of them.
    return (np.arange(SAMPLE) * GOLDEN_RATIO % 1 * n_lookups).astype(np.int64)


def flatten(table: Tensor) -> tuple[Any, int]:
    """Return the memory of a table, from its first number on, and the distance of its rows."""
    n_rows, dim = table.shape
    if table.is_contiguous():
        return as_array(table).reshape(-1), dim
    length = (n_rows - 1) * table.stride(0) + dim
    flat = table.detach().as_strided((max(length, 0),), (1,))
    return flat.numpy(), table.stride(0)


@compiled
def sum_rows(
    all_lookups: Any, first: int, end: int, counters: Any, stride: int, gradients: Any
) -> Any:
    """Find the lookups of the rows from first to end, and sum the gradients of equal ones.

    Needs neither sorting nor memory of the size of the table: for the time being a row's own
    counter, ``counters[row * stride]``, which is never negative, holds its number among the
    distinct rows, below zero.

    Returns
    -------
    lookups, slots : ndarray of shape (n,), int32
        Lookups, and which of the distinct rows each of them is.
    distinct, n_lookups : ndarray of shape (m,)
        Distinct rows, and how often each is looked up.
    sums : ndarray
        Summed gradients, one distinct row after the other; there is more scratch than they take.
    """
    rows, lowest, highest = all_lookups
    values, values_stride, dim, _ = gradients
    lookups = _find_lookups(rows, lowest, highest, first, end)
    n = len(lookups)
    distinct = np.empty(n, np.int64)
    before = np.empty(n, np.int32)
    slots = np.empty(n, np.int32)
    n_lookups = np.empty(n, np.int32)
    sums = np.empty(n * dim, np.float32)
    n_distinct = 0
    for i in range(n):
        if i + AHEAD < n:
            prefetch_to_write(counters, rows[lookups[i + AHEAD]] * stride)
            prefetch_to_read(values, lookups[i + AHEAD] * values_stride)
        row = rows[lookups[i]]
        slot = -1 - counters[row * stride]
        # The bits of NaN may be those of a negative number, which is then no row's number.
        if slot < 0 or slot >= n_distinct or distinct[slot] != row:
            slot = n_distinct
            distinct[slot] = row
            before[slot] = counters[row * stride]
            counters[row * stride] = -1 - slot
            n_distinct += 1
            n_lookups[slot] = 1
            copy_segment(values, lookups[i] * values_stride, sums, slot * dim, dim)
        else:
            n_lookups[slot] += 1
            add_segment(values, lookups[i] * values_stride, sums, slot * dim, dim)
        slots[i] = slot
    for slot in range(n_distinct):
        counters[distinct[slot] * stride] = before[slot]
    return lookups, slots, distinct[:n_distinct], n_lookups[:n_distinct], sums


@compiled
def _find_lookups(rows: Any, lowest: Any, highest: Any, first: int, end: int) -> Any:
    """Return the numbers of the lookups of rows from first to end."""
    lookups = np.empty(len(rows), np.int32)
    n = 0
    for i in range(len(lowest)):
        start = i * STRETCH
        if highest[i] < first or lowest[i] >= end:
            continue
        stretch = rows[start : start + STRETCH]
        if lowest[i] >= first and highest[i] < end:
            for k in range(len(stretch)):
                lookups[n + k] = start + k
            n += len(stretch)
            continue
        for k in range(len(stretch)):
            # Always written, kept by chance: a branch would be guessed wrong every other time.
            lookups[n] = start + k
            n += int(stretch[k] >= first) & int(stretch[k] < end)
    return lookups[:n]


@compiled
def _find_ranges(rows: Any) -> Any:
    """Return the lowest and the highest row of every stretch of lookups."""
    lowest, highest = np.empty((2, -(-len(rows) // STRETCH)), np.int64)
    for i in range(len(lowest)):
        stretch = rows[i * STRETCH : (i + 1) * STRETCH]
        low = high = stretch[0]
        for k in range(len(stretch)):
            low, high = min(low, stretch[k]), max(high, stretch[k])
        lowest[i], highest[i] = low, high
    return lowest, highest


@compiled
def add_up(lookups: Any, slots: Any, n_distinct: int, gradients: Any) -> Any:
    """Return the sums of the gradients of another table that is looked up at the same places."""
    values, stride, dim, _ = gradients
    sums = np.zeros(n_distinct * dim, np.float32)
    for i in range(len(lookups)):
        if i + AHEAD < len(lookups):
            prefetch_to_read(values, lookups[i + AHEAD] * stride)
        add_segment(values, lookups[i] * stride, sums, slots[i] * dim, dim)
    return sums

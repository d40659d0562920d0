"""Say what a net needs before memory for it is asked for, and in words where it is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import comb

import torch

from sparsectr.rows.limits import available_memory, memory_limit
from sparsectr.training.needs import (
    BYTES,
    ORDER_BYTES,
    VALUE_BYTES,
    PhaseNumbers,
    estimate_training,
)

# What training holds of a weight: itself, its gradient, two moments, its best state so far.
COPIES = 5
# How torch says that it got no memory, beside its own OutOfMemoryError.
REFUSALS = re.compile(r"allocate|not enough memory|out of memory|Storage size|overflow", re.I)


class _ExplainedMemoryError(MemoryError):
    """Say what is needed and what to change."""


@contextmanager
def within_memory() -> Iterator[None]:
    """Say what to change where memory is refused.

    Raises
    ------
    MemoryError
        From the block, instead of any other refusal of memory.
    """
    try:
        yield
    except _ExplainedMemoryError:
        raise
    except (RuntimeError, MemoryError) as error:
        text = str(error)
        if not isinstance(error, MemoryError) and not REFUSALS.search(text):
            raise
        size = re.search(r"[\d.]+ ?(?:bytes|[KMGTPE]i?B)", text)
        raise MemoryError(
            "the net and its training must fit into memory, got a refusal of "
            f"{size[0] if size else 'what they need'}; lower embedding_dim, the sizes of layers, "
            "n_crosses, rank or batch_size."
        ) from error


def require_memory(
    phases: Sequence[PhaseNumbers],
    n_values: int,
    n_rows: int,
    device: torch.device,
    *,
    keeps_best: bool,
    is_made: bool,
) -> None:
    """Refuse a training that takes more memory than there is, before its net is made.

    Parameters
    ----------
    phases : sequence of PhaseNumbers
        What the phases of the training hold per value.
    n_values : int
        Number V of values.
    n_rows : int
        Number of training rows, whose codes and targets are in memory already, or mapped.
    device : torch.device
        Where the net is trained.
    keeps_best : bool
        Whether there is early stopping.
    is_made : bool
        Whether the net is there already, and goes on in its last phase.

    Raises
    ------
    MemoryError
        If tables, optimizer and copies take more than this process can get.
    """
    some = phases[-1:] if is_made else phases
    table, optimizer, copies = estimate_training(some, n_values, keeps_best=keeps_best)
    beside = VALUE_BYTES * n_values + ORDER_BYTES * n_rows
    needed = (0 if is_made else table) + optimizer + copies + beside
    there = available_on(device)
    if there is not None and needed > there:
        raise MemoryError(
            f"the fit must fit into memory, got {n_values:,} values and {n_rows:,} rows: the "
            f"embedding table takes {in_words(table)}, its optimizer {in_words(optimizer)}, copies "
            f"{in_words(copies)}, the rest {in_words(beside)}; {in_words(there)} are available. "
            "Lower embedding_dim, or keep fewer values by encoder=FieldEncoder(...) "
            "(min_frequency, max_categories, hash_buckets); early_stopping=False and "
            "optimizer='adagrad' save copies and state."
        )


def in_words(n_bytes: int) -> str:
    """Return a size in MB, or in GB from 1 GB on."""
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"


def check_first_layer(
    n_fields: int,
    embedding_dim: int,
    orders: Sequence[int],
    hidden_units: Sequence[int],
    device: torch.device,
) -> None:
    """Refuse an MLP over crosses whose first layer no memory can hold.

    Parameters
    ----------
    n_fields : int
        Number of fields.
    embedding_dim : int
        Inputs of the layer per field.
    orders : sequence of int
        Orders of the crosses, each of which is one more input.
    hidden_units : sequence of int
        Widths of the hidden layers; without any the layer has a single output.
    device : torch.device
        Where the net is trained.

    Raises
    ------
    MemoryError
        If training the layer needs more than all memory of the device.
    """
    n_inputs = n_fields * embedding_dim + sum(comb(n_fields, order) for order in orders)
    width = [*hidden_units, 1][0]
    needed, there = BYTES * COPIES * n_inputs * width, total_memory(device)
    if there is not None and needed > there:
        raise _ExplainedMemoryError(
            f"the first layer must fit into memory, got {n_inputs:,} inputs, with the crosses of "
            f"{n_fields:,} fields, and {width} units: its training needs {needed / 1e9:,.1f} GB, "
            f"this machine has {there / 1e9:,.1f} GB; pass fewer columns, or lower the first of "
            "hidden_units."
        )


def total_memory(device: torch.device) -> int | None:
    """Return the bytes of memory that a device has, None if the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return memory_limit()


def available_on(device: torch.device) -> int | None:
    """Return the bytes that this process can get on a device, None if the system does not tell."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch has reserved and does not use is available, too.
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + idle)
    return available_memory()

"""Say what a net needs before memory for it is asked for, and in words where it is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import comb

import torch

from sparsectr.rows.limits import memory_limit

BYTES = 4  # of a float32
# What training holds of a weight: itself, its gradient, two moments, its best state so far.
COPIES = 5
# How torch says that it got no memory, beside its own OutOfMemoryError.
REFUSALS = re.compile(r"allocate|not enough memory|out of memory|Storage size|overflow", re.I)


class _ExplainedMemoryError(MemoryError):
    """Say what is needed and what to change."""


@contextmanager
def within_memory(
    vocabulary_sizes: Sequence[int], embedding_dim: int | str | None, device: torch.device
) -> Iterator[None]:
    """Refuse a table that no memory can hold, and say what to change where memory is refused.

    Parameters
    ----------
    vocabulary_sizes : sequence of int
        Number of codes of each field.
    embedding_dim : int, str or None
        Numbers per code of the table that will be made; only ints are checked.
    device : torch.device
        Where the net is trained.

    Raises
    ------
    MemoryError
        Before the block, if the embedding table alone is larger than all memory of the device;
        from the block, instead of any other refusal of memory.
    """
    if isinstance(embedding_dim, int):
        _check_table(sum(vocabulary_sizes), embedding_dim, device)
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


def _check_table(n_values: int, embedding_dim: int, device: torch.device) -> None:
    needed, there = BYTES * n_values * embedding_dim, total_memory(device)
    if there is not None and needed > there:
        raise MemoryError(
            f"the embedding table must fit into memory, got {n_values:,} values of {embedding_dim} "
            f"numbers each: they need {needed / 1e9:,.1f} GB, this machine has {there / 1e9:,.1f} "
            "GB; lower embedding_dim, or let encoder=FieldEncoder(...) keep fewer values "
            "(min_frequency, max_categories, hash_buckets)."
        )


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

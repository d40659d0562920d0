"""The order in which training visits rows."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def shuffled_batches(n_rows: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield every row number once, in random order, in batches of nearly equal size.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    batch_size : int
        Largest batch. All batches differ by one row at most, so that no small last batch
        gets a full-sized step.
    generator : torch.Generator
        Source of the order; its device is where the row numbers live.

    Yields
    ------
    Tensor of shape (B,), int64
        Row numbers: a view of one permutation.
    """
    order = torch.randperm(n_rows, generator=generator, device=generator.device)
    n_batches = -(-n_rows // batch_size)
    yield from order.tensor_split(n_batches)


def endless_batches(n_rows: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield `shuffled_batches` for ever, in a new order every time."""
    while True:
        yield from shuffled_batches(n_rows, batch_size, generator)

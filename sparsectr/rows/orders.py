"""The order in which training visits rows."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

# Blocks whose rows are mixed. With too few, a batch holds neighbours only, and a file that is
# sorted by its labels gives batches of one class.
MIXED_BLOCKS = 256


# Largest number of rows whose numbers take four bytes: as many as an int32 counts.
MOST_SHORT = 2**31 - 1


def random_order(n_rows: int, generator: torch.Generator) -> Tensor:
    """Return the numbers of all rows in random order, shape (n_rows,).

    On a CPU as int32, if they fit: in half of the memory, the order that int64 would give.
    """
    device = generator.device
    short = device.type == "cpu" and n_rows <= MOST_SHORT
    dtype = torch.int32 if short else torch.int64
    return torch.randperm(n_rows, generator=generator, device=device, dtype=dtype)


def shuffled_batches(
    n_rows: int, batch_size: int, generator: torch.Generator, block_rows: int = 1
) -> Iterator[Tensor]:
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
    block_rows : int, default=1
        1: a permutation of all rows. More: a permutation of blocks of so many neighbours, of which
        `MIXED_BLOCKS` at a time have their rows mixed, for rows that are read from a disk.

    Yields
    ------
    Tensor of shape (B,), int64
        Row numbers.
    """
    n_batches = -(-n_rows // batch_size)
    if block_rows == 1:
        for rows in random_order(n_rows, generator).tensor_split(n_batches):
            yield rows.long()
        return
    mixed = _mixed_blocks(n_rows, block_rows, generator)
    waiting = next(mixed)
    smaller, n_larger = divmod(n_rows, n_batches)
    for number in range(n_batches):
        size = smaller + (number < n_larger)
        while len(waiting) < size:
            waiting = torch.cat([waiting, next(mixed)])
        yield waiting[:size]
        waiting = waiting[size:]


def endless_batches(
    n_rows: int, batch_size: int, generator: torch.Generator, block_rows: int = 1
) -> Iterator[Tensor]:
    """Yield `shuffled_batches` for ever, in a new order every time."""
    while True:
        yield from shuffled_batches(n_rows, batch_size, generator, block_rows)


def _mixed_blocks(n_rows: int, block_rows: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield the mixed row numbers of some blocks at a time, shape (m,), of random blocks."""
    device, n_blocks = generator.device, -(-n_rows // block_rows)
    within = torch.arange(block_rows, dtype=torch.int64, device=device)
    for blocks in torch.randperm(n_blocks, generator=generator, device=device).split(MIXED_BLOCKS):
        rows = (blocks[:, None] * block_rows + within).flatten()
        rows = rows[rows < n_rows]  # the last block may be a short one
        yield rows[torch.randperm(len(rows), generator=generator, device=device)]

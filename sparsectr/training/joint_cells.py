"""Number the joint values of fields, and sum rows by them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# Joint values are hashed into this many cells at most.
MOST_CELLS = 2**18
# Odd multiplier of the hash: 2^64 over the golden ratio, as a signed number.
HASH_FACTOR = -7046029254386353131


class Scratch:
    """Tensors by name, to be used again: fresh memory costs more than what is computed in it."""

    def __init__(self, device: torch.device) -> None:
        self.kept: dict[str, Tensor] = {}
        self.device = device

    def get(self, name: str, length: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """Return the first numbers of a tensor, whatever they are."""
        known = self.kept.get(name)
        if known is None or len(known) < length:
            known = self.kept[name] = torch.empty(length, dtype=dtype, device=self.device)
        return known[:length]

    def look_up(self, name: str, table: Tensor, numbers: Tensor) -> Tensor:
        """Return entries of a table."""
        return torch.index_select(table, 0, numbers, out=self.get(name, len(numbers)))

    def sum_cells(self, name: str, cells: Tensor, values: Tensor, n_cells: int) -> Tensor:
        """Sum values by cell; `torch.bincount` takes twice as long, as it looks at them first."""
        return self.get(name, n_cells).zero_().scatter_add_(0, cells, values)


def joint_cells(
    columns: Sequence[Tensor], sizes: Sequence[int], scratch: Scratch, name: str = "cells"
) -> tuple[Tensor, int, float]:
    """Number the joint values of some columns.

    Parameters
    ----------
    columns : sequence of o tensors of shape (n_rows,), int64
        Codes of the fields.
    sizes : sequence of int
        Number of codes of each field. Above `MOST_CELLS` combinations, cells are hashed.
    scratch : Scratch
        Holds the cells.
    name : str
        Name of the cells there.

    Returns
    -------
    cells : Tensor of shape (n_rows,)
    n_cells : int
    by_hash : float
        How probable it is that two different joint values share a cell.
    """
    cells, n_cells = columns[0], sizes[0]
    if len(columns) == 1:
        return cells, n_cells, 0.0
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        out = scratch.get(name, len(column), torch.int64)
        cells, n_cells = torch.add(column, cells, alpha=size, out=out), n_cells * size
    if n_cells <= MOST_CELLS:
        return cells, n_cells, 0.0
    # One product spreads numbers that follow each other evenly: two make cells as if by chance.
    # The upper bits of a product are the well-mixed ones.
    upper = scratch.get("upper", len(cells), torch.int64)
    cells *= HASH_FACTOR
    cells ^= torch.bitwise_right_shift(cells, 32, out=upper)
    cells *= HASH_FACTOR
    cells.bitwise_right_shift_(40).bitwise_and_(MOST_CELLS - 1)
    return cells, MOST_CELLS, 1 / MOST_CELLS


def joint_codes(columns: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """Give every combination of values that occurs a code, counted from 0.

    Parameters
    ----------
    columns : sequence of o tensors of shape (n_rows,), int64
        Codes of the fields.
    sizes : sequence of int
        Number of codes of each; their product must be below 2^63.

    Returns
    -------
    Tensor of shape (n_rows,), int64
    """
    cells, n_cells = columns[0], sizes[0]
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        cells, n_cells = cells * size + column, n_cells * size
    return cells if n_cells <= len(cells) else cells.unique(return_inverse=True)[1]

"""Codes in the memory of the training device."""

from __future__ import annotations

import torch
from torch import Tensor

from sparsectr.rows.bags import Bags


class MemoryRows:
    """Hold the codes of all rows as one tensor: a `RowSource`.

    Parameters
    ----------
    codes : Tensor of shape (n_rows, F), int32
        Code of every value, counted from 0 within its field.
    bags : Bags, optional
        The sets of values that codes stand for.
    """

    block_rows = 1

    def __init__(self, codes: Tensor, bags: Bags | None = None) -> None:
        self.codes = codes
        self.bags = bags

    @property
    def n_fields(self) -> int:
        """Number of columns of codes."""
        return self.codes.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the codes are."""
        return self.codes.device

    def __len__(self) -> int:
        return self.codes.shape[0]

    def take(self, rows: Tensor) -> Tensor:
        """Copy the codes of the rows with these numbers (B,), in this order: (B, F)."""
        return take_rows(self.codes, rows)

    def read(self, start: int, stop: int) -> Tensor:
        """Return a view of the codes of consecutive rows, shape (stop - start, F)."""
        return self.codes[start:stop]


def take_rows(x: Tensor, rows: Tensor) -> Tensor:
    """Return rows of x.

    On a CPU NumPy takes them, in one thread: torch would wake its threads, which then wait in a
    loop, for longer than the work itself took, on the cores that the next kernel needs.

    Parameters
    ----------
    x : Tensor of shape (n, ...)
        What rows are taken of.
    rows : Tensor of shape (B,), int64
        Numbers of rows.

    Returns
    -------
    Tensor of shape (B, ...)
        A copy.
    """
    if is_one_number(x):  # NumPy would first write all of it out
        return x[:1].repeat(len(rows))
    if x.device.type == "cpu":
        return torch.from_numpy(x.numpy().take(rows.numpy(), axis=0))
    return x.index_select(0, rows)


def is_one_number(x: Tensor) -> bool:
    """Tell whether a tensor (n,) is a single number in memory."""
    return x.stride() == (0,)

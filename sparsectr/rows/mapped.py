"""Codes in a mapped file."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sparsectr.rows.bags import Bags
from sparsectr.rows.limits import memory_limit

# Neighbours that are read together: about three pages of the disk, of 40 fields.
BLOCK_ROWS = 64
# Codes up to such a share of the memory stay there after the first epoch, so that any order is
# as fast as another.
IN_MEMORY = 0.5


class MappedRows:
    """Read the codes of rows from a mapped file: a `RowSource`.

    The operating system keeps what was read in memory that nobody else needs. Codes that take
    less than half of the memory are visited in an order of single rows, and training gets the bits
    of `MemoryRows`; others in an order of blocks, see `sparsectr.rows.orders.shuffled_batches`.

    Parameters
    ----------
    codes : ndarray of int32, shape (n_rows, F)
        A memory map.
    device : torch.device
        Where codes are put that are asked for.
    rows : ndarray of int64, shape (n,), optional
        The numbers of the rows that this is about; all by default.
    bags : Bags, optional
        The sets of values that codes stand for.
    """

    def __init__(
        self,
        codes: npt.NDArray[np.int32],
        device: torch.device,
        rows: npt.NDArray[np.int64] | None = None,
        bags: Bags | None = None,
    ) -> None:
        self.codes = np.asarray(codes)
        self.device = device
        self.rows = rows
        self.bags = bags
        limit = memory_limit()
        fits = limit is not None and self.codes.nbytes <= IN_MEMORY * limit
        self.block_rows = 1 if fits else BLOCK_ROWS

    @property
    def n_fields(self) -> int:
        """Number of columns of codes."""
        return self.codes.shape[1]

    def __len__(self) -> int:
        return len(self.codes) if self.rows is None else len(self.rows)

    def take(self, rows: Tensor) -> Tensor:
        """Copy the codes of the rows with these numbers (B,), in this order: (B, F)."""
        numbers = rows.cpu().numpy()
        numbers = numbers if self.rows is None else self.rows.take(numbers)
        return torch.from_numpy(self.codes.take(numbers, axis=0)).to(self.device)

    def read(self, start: int, stop: int) -> Tensor:
        """Copy the codes of consecutive rows, shape (stop - start, F)."""
        if self.rows is None:
            codes = self.codes[start:stop].copy()
        else:
            codes = self.codes.take(self.rows[start:stop], axis=0)
        return torch.from_numpy(codes).to(self.device)

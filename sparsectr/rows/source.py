"""What training asks of a table of codes, wherever it lies."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from sparsectr.rows.bags import Bags


class RowSource(Protocol):
    """Give the codes of rows that lie in memory, in a mapped file or in several files.

    Rows are numbered from 0. Labels and weights are not its business: they take 8 bytes a row and
    are in memory, see `LabelledRows`, which also counts codes, draws samples and goes through
    rows in pieces with the two calls below.

    Attributes
    ----------
    block_rows : int
        How many neighbours an epoch reads together: 1 where any order costs the same.
    bags : Bags or None
        The sets of values that codes stand for, if fields have several values.
    """

    block_rows: int
    bags: Bags | None

    @property
    def n_fields(self) -> int:
        """Number of columns of codes."""

    @property
    def device(self) -> torch.device:
        """Where codes are put that are asked for."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def take(self, rows: Tensor) -> Tensor:
        """Copy the codes of some rows.

        Parameters
        ----------
        rows : Tensor of shape (B,), int64
            Numbers of rows, in any order; a number may come twice.

        Returns
        -------
        Tensor of shape (B, F), int32
            On ``device``.
        """

    def read(self, start: int, stop: int) -> Tensor:
        """Return the codes of the rows from one number to another, shape (stop - start, F)."""

"""Rows as the encoder of a fit knows them."""

from __future__ import annotations

import torch
from torch import Tensor

from sparsectr.rows.source import RowSource


class KnownRows:
    """Give the codes of another source, with new sets of values as unknown: a `RowSource`.

    Parameters
    ----------
    source : RowSource
        One that has `Bags`.
    """

    def __init__(self, source: RowSource) -> None:
        self.source = source
        self.bags = source.bags
        self.block_rows = source.block_rows

    @property
    def n_fields(self) -> int:
        """Number of columns of codes."""
        return self.source.n_fields

    @property
    def device(self) -> torch.device:
        """Where codes are put that are asked for."""
        return self.source.device

    def __len__(self) -> int:
        return len(self.source)

    def take(self, rows: Tensor) -> Tensor:
        """Copy the codes of the rows with these numbers (B,), in this order: (B, F)."""
        return self._known(self.source.take(rows))

    def read(self, start: int, stop: int) -> Tensor:
        """Return the codes of consecutive rows, shape (stop - start, F)."""
        return self._known(self.source.read(start, stop))

    def _known(self, codes: Tensor) -> Tensor:
        return codes if self.bags is None else self.bags.known(codes)

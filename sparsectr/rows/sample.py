"""A random sample of all rows that have come so far, of bounded size."""

from __future__ import annotations

import torch
from torch import Tensor

from sparsectr.rows.labelled import LabelledRows


class RowSample:
    """Hold a random sample of rows that come in chunks.

    Every row draws a number. The rows with the smallest numbers are the sample: as random as if all
    rows had come at once, and each row as likely to be in it, early or late. A sample is never
    changed: `add` returns another, which shares memory with it.

    Parameters
    ----------
    size : int
        Largest number of rows in the sample.
    draws : Tensor of shape (n,), float64, optional
        What the rows held have drawn; up to twice ``size`` of them, so that most chunks cost
        nothing but the rows that they add.
    blocks : tuple of Tensor of shape (m, F)
        The rows held, in the order in which they came.
    limit : float, default=1.0
        Rows that draw this number or a larger one are not in the sample.
    """

    def __init__(
        self,
        size: int,
        draws: Tensor | None = None,
        blocks: tuple[Tensor, ...] = (),
        limit: float = 1.0,
    ) -> None:
        self.size = size
        nothing = torch.empty(0, dtype=torch.float64, device="cpu")
        self.draws = nothing if draws is None else draws
        self.blocks = blocks
        self.limit = limit

    def add(self, rows: LabelledRows, generator: torch.Generator) -> RowSample:
        """Return a sample of the rows so far and some more.

        Parameters
        ----------
        rows : LabelledRows
            More rows. The codes that are kept are copied to memory of the CPU.
        generator : torch.Generator
            Source of their draws, on their device.
        """
        drawn = torch.rand(
            len(rows), dtype=torch.float64, generator=generator, device=generator.device
        )
        places = (drawn < self.limit).nonzero()[:, 0]
        if len(places) > 2 * self.size:  # a whole table at once
            places = places[_smallest(drawn[places], self.size)]
        if not len(places):
            return self
        draws = torch.cat([self.draws, drawn[places].cpu()])
        blocks = (*self.blocks, rows.take(places).codes.cpu())
        if len(draws) < 2 * self.size:
            return RowSample(self.size, draws, blocks, self.limit)
        kept = _smallest(draws, self.size)
        draws = draws[kept]
        return RowSample(self.size, draws, (torch.cat(blocks)[kept],), float(draws[-1]))

    def rows(self) -> Tensor:
        """Return the rows of the sample in random order, shape (at most size, F)."""
        return torch.cat(self.blocks)[_smallest(self.draws, self.size)]


def _smallest(draws: Tensor, n: int) -> Tensor:
    """Return the places of the n smallest numbers, the smallest first."""
    return draws.argsort(stable=True)[:n]

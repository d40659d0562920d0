"""Labelled rows on the device, and the order in which training visits them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sparsectr.nn.embedding import FieldEmbedding

# Rows whose codes are copied at one time, where all of a large part are gone through.
PIECE_ROWS = 1 << 18


@dataclass(frozen=True)
class LabelledRows:
    """Hold encoded rows with their targets, all on one device.

    Attributes
    ----------
    all_codes : Tensor of shape (N, n_fields), int32
        Code of every value, counted from 0 within its field: of these rows in their order or, where
        there are ``numbers``, of more rows.
    targets : Tensor of shape (n_rows,)
        0.0 or 1.0 (float32) for a net with one logit, class numbers (int64) otherwise.
    weights : Tensor of shape (n_rows,), float32
        Weight of every row in the loss; their mean over the training rows is 1.
    numbers : Tensor of shape (n_rows,), int64, optional
        Where the codes of these rows stand in ``all_codes``. Parts of one table of codes, such as
        training and validation rows, then need no copies of it.
    """

    all_codes: Tensor
    targets: Tensor
    weights: Tensor
    numbers: Tensor | None = None

    def __len__(self) -> int:
        return self.targets.shape[0]

    @property
    def codes(self) -> Tensor:
        """Codes of these rows, (n_rows, n_fields); a copy where there are ``numbers``."""
        return self.all_codes if self.numbers is None else _take(self.all_codes, self.numbers)

    @property
    def n_lookups(self) -> int:
        """Number of values, n_rows * n_fields."""
        return len(self) * self.all_codes.shape[1]

    @property
    def device(self) -> torch.device:
        """Where all tensors are."""
        return self.all_codes.device

    def class_numbers(self) -> npt.NDArray[np.int64]:
        """Return the class number of every row, shape (n_rows,)."""
        return self.targets.cpu().numpy().astype(np.int64)

    def take(self, rows: Tensor) -> LabelledRows:
        """Return a copy of the rows with these numbers, in this order."""
        numbers = rows if self.numbers is None else _take(self.numbers, rows)
        return LabelledRows(
            _take(self.all_codes, numbers), _take(self.targets, rows), _take(self.weights, rows)
        )

    def select(self, rows: Tensor) -> LabelledRows:
        """Return the rows with these numbers, in this order, without a copy of their codes."""
        numbers = rows if self.numbers is None else _take(self.numbers, rows)
        return LabelledRows(
            self.all_codes, _take(self.targets, rows), _take(self.weights, rows), numbers
        )

    def pieces(self, size: int) -> Iterator[LabelledRows]:
        """Yield the rows in their order, so many at a time, with codes of their own."""
        for start in range(0, len(self), size):
            some = slice(start, start + size)
            codes = (
                self.all_codes[some]
                if self.numbers is None
                else _take(self.all_codes, self.numbers[some])
            )
            yield LabelledRows(codes, self.targets[some], self.weights[some])

    def count(self, table: FieldEmbedding, *, weighted: bool = False) -> Tensor:
        """Count how often these rows use every row of a table, or sum up their weights.

        Returns
        -------
        Tensor of shape (V,), int64, weighted float64
        """
        # Whoever has codes of their own needs no copies; a piece pays for a count of all V rows.
        size = max(PIECE_ROWS, len(table.weight) if self.numbers is not None else len(self))
        counts = table.count_codes(self.all_codes[:0], self.weights[:0] if weighted else None)
        for piece in self.pieces(size):
            counts += table.count_codes(piece.codes, piece.weights if weighted else None)
        return counts


def _take(x: Tensor, rows: Tensor) -> Tensor:
    """Return rows of x.

    On a CPU NumPy takes them, in one thread: torch would wake its threads, which then wait in a
    loop, for longer than the work itself took, on the cores that the next kernel needs.
    """
    if x.device.type == "cpu":
        return torch.from_numpy(x.numpy().take(rows.numpy(), axis=0))
    return x.index_select(0, rows)


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

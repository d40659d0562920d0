"""Labelled rows on the device, and the order in which training visits them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True)
class LabelledRows:
    """Hold encoded rows with their targets, all on one device.

    Attributes
    ----------
    codes : Tensor of shape (n_rows, n_fields), int32
        Code of every value, counted from 0 within its field.
    targets : Tensor of shape (n_rows,)
        0.0 or 1.0 (float32) for a net with one logit, class numbers (int64) otherwise.
    weights : Tensor of shape (n_rows,), float32
        Weight of every row in the loss; their mean over the training rows is 1.
    """

    codes: Tensor
    targets: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return self.codes.shape[0]

    def class_numbers(self) -> npt.NDArray[np.int64]:
        """Return the class number of every row, shape (n_rows,)."""
        return self.targets.cpu().numpy().astype(np.int64)

    def take(self, rows: Tensor) -> LabelledRows:
        """Return the rows with these numbers, in this order."""
        return LabelledRows(*(_take(x, rows) for x in (self.codes, self.targets, self.weights)))


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

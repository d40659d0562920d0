"""Rows with targets and weights: all of them, some of them, a batch of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sparsectr.losses import LOG_LOSS, Loss
from sparsectr.rows.bags import Bags
from sparsectr.rows.known import KnownRows
from sparsectr.rows.memory import is_one_number, take_rows
from sparsectr.rows.orders import MOST_SHORT, random_order
from sparsectr.rows.source import RowSource

# Rows whose codes are copied at one time, where all of a large part are gone through.
PIECE_ROWS = 1 << 18
# Values whose codes are copied to be counted, if that is more: 64 MB.
PIECE_VALUES = 1 << 24


@dataclass(frozen=True)
class Batch:
    """Hold the codes, targets and weights of B rows on the training device.

    Attributes
    ----------
    codes : Tensor of shape (B, F), int32
        Code of every value, counted from 0 within its field.
    targets : Tensor of shape (B,)
        What the loss compares logits with. Of classes: 0.0 or 1.0 (float32) for a net with one
        logit, class numbers (int64) otherwise.
    weights : Tensor of shape (B,), float32
        Weight of every row in the loss; their mean over the training rows is 1.
    loss : Loss
        What compares logits with the targets.
    bags : Bags or None
        The sets of values that codes stand for, if fields have several values.
    """

    codes: Tensor
    targets: Tensor
    weights: Tensor
    loss: Loss = LOG_LOSS
    bags: Bags | None = None

    def __len__(self) -> int:
        return self.targets.shape[0]

    def mean_loss(self, logits: Tensor) -> Tensor:
        """Return the weighted mean loss of logits (B, K), shape ()."""
        return self.loss.mean(logits, self.targets, self.weights)


@dataclass(frozen=True)
class LabelledRows:
    """Hold the targets and weights of rows whose codes a source has.

    Attributes
    ----------
    source : RowSource
        The codes: of these rows in their order or, where there are ``numbers``, of more rows.
    targets : Tensor of shape (n_rows,)
        As those of a `Batch`, on the device of the source.
    weights : Tensor of shape (n_rows,), float32
        As those of a `Batch`; one number in memory where all are alike.
    numbers : Tensor of shape (n_rows,), int32 or int64, optional
        The numbers of these rows in the source. Parts of one source, such as training and
        validation rows, then need no copies of its codes.
    loss : Loss
        As that of a `Batch`.
    """

    source: RowSource
    targets: Tensor
    weights: Tensor
    numbers: Tensor | None = None
    loss: Loss = LOG_LOSS

    def __len__(self) -> int:
        return self.targets.shape[0]

    @property
    def n_lookups(self) -> int:
        """Number of values, n_rows * n_fields."""
        return len(self) * self.source.n_fields

    @property
    def bags(self) -> Bags | None:
        """The sets of values that codes stand for, if fields have several values."""
        return self.source.bags

    @property
    def n_sets(self) -> int:
        """Number of sets of values that have rows in a table, beside the values."""
        return 0 if self.bags is None else len(self.bags)

    @property
    def device(self) -> torch.device:
        """Where all tensors are."""
        return self.source.device

    def target_values(self) -> npt.NDArray[Any]:
        """Return the targets as an array of shape (n_rows,)."""
        return self.targets.cpu().numpy()

    def take(self, rows: Tensor) -> Batch:
        """Copy the rows with these numbers (B,), in this order."""
        numbers = rows if self.numbers is None else take_rows(self.numbers, rows).long()
        targets, weights = take_rows(self.targets, rows), take_rows(self.weights, rows)
        return Batch(self.source.take(numbers), targets, weights, self.loss, self.bags)

    def select(self, rows: Tensor) -> LabelledRows:
        """Return the rows with these numbers (m,), in this order, without a copy of their codes."""
        numbers = rows if self.numbers is None else take_rows(self.numbers, rows)
        if len(self.source) <= MOST_SHORT:  # they stay in memory
            numbers = numbers.to(torch.int32)
        weights = (
            self.weights[:1].expand(len(rows))
            if is_one_number(self.weights)
            else take_rows(self.weights, rows)
        )
        return LabelledRows(self.source, take_rows(self.targets, rows), weights, numbers, self.loss)

    def without_new_bags(self) -> LabelledRows:
        """Return the rows with the sets of values that the encoder has no codes for unknown."""
        return replace(self, source=KnownRows(self.source))

    def sample(self, n_rows: int, generator: torch.Generator) -> Batch:
        """Copy rows in random order, all of them where there are no more than ``n_rows``."""
        return self.take(random_order(len(self), generator)[:n_rows].long())

    def pieces(self, size: int) -> Iterator[Batch]:
        """Yield the rows in their order, so many at a time."""
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            codes = (
                self.source.read(start, stop)
                if self.numbers is None
                else self.source.take(self.numbers[start:stop].long())
            )
            targets, weights = self.targets[start:stop], self.weights[start:stop].contiguous()
            yield Batch(codes, targets, weights, self.loss, self.bags)

    def count(self, vocabulary_sizes: Sequence[int], *, weighted: bool = False) -> Tensor:
        """Count how often these rows have every code, or sum up their weights.

        Parameters
        ----------
        vocabulary_sizes : sequence of int
            Number of codes of each field; V is their sum.
        weighted : bool, default=False
            Whether a row counts for its weight instead of 1. Each of k values of a cell then gets
            the k-th part of it, so that all values of a field add up to the weight of all rows.

        Returns
        -------
        Tensor of shape (V,), int64, weighted float64
            The codes of the first field come first.
        """
        n_codes, bags = sum(vocabulary_sizes), self.bags
        # Of new sets, codes are larger than the sizes.
        n_rows = n_codes if bags is None else max(n_codes, bags.n_rows)
        dtype = torch.float64 if weighted else torch.int64
        counts = torch.zeros(n_rows, dtype=dtype, device=self.device)
        # Every piece pays for a count of all V codes, so that it must not be much smaller, as far
        # as memory goes.
        most = max(PIECE_ROWS, PIECE_VALUES // self.source.n_fields)
        for piece in self.pieces(min(max(PIECE_ROWS, n_codes), most)):
            codes, weights = piece.codes, piece.weights if weighted else None
            if bags is None:
                counts += count_codes(codes, vocabulary_sizes, weights)
            else:
                rows = (codes + bags.offsets).flatten()
                weights = None if weights is None else weights.repeat_interleave(codes.shape[1])
                counts += count_codes(rows[:, None], [n_rows], weights)
        return counts if bags is None else bags.spread_counts(counts, shared=weighted)[:n_codes]


def label_rows(
    source: RowSource,
    values: npt.NDArray[np.generic],
    weights: npt.NDArray[np.float64],
    loss: Loss,
) -> LabelledRows:
    """Put codes and the targets of their rows together, without rows of weight zero.

    Parameters
    ----------
    source : RowSource
        Codes of n_rows rows on the device of training.
    values : ndarray of shape (n_rows,)
        Targets.
    weights : ndarray of shape (n_rows,), float64
        Weights of the rows.
    loss : Loss
        What compares logits with the targets.
    """
    of_rows = (
        torch.from_numpy(weights[:1].copy()).to(source.device, torch.float32).expand(len(weights))
        if weights.strides == (0,)
        else torch.from_numpy(weights).to(source.device, torch.float32)
    )
    rows = LabelledRows(source, torch.from_numpy(values).to(source.device), of_rows, loss=loss)
    return rows if weights.all() else rows.select(rows.weights.nonzero()[:, 0])


def count_codes(
    codes: Tensor, vocabulary_sizes: Sequence[int], weights: Tensor | None = None
) -> Tensor:
    """Count how often every code of every field comes.

    Parameters
    ----------
    codes : Tensor of shape (n, F)
        Codes.
    vocabulary_sizes : sequence of int
        Number of codes of each field; V is their sum.
    weights : Tensor of shape (n,), optional
        What a row counts for; 1 by default.

    Returns
    -------
    Tensor of shape (V,), int64, with weights float64
        The codes of the first field come first.
    """
    # Summed in float64: float32 stops counting at 2**24.
    weights = None if weights is None else weights.double()
    columns = zip(codes.unbind(1), vocabulary_sizes, strict=True)
    return torch.cat([torch.bincount(column, weights, minlength=size) for column, size in columns])

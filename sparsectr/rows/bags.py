"""Sets of values whose codes rows have: each stands for the mean of what its values have."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

Integers = npt.NDArray[np.int64]


class Bags:
    """Say which rows of a table of all values are means of others, and of which.

    Every set of values has a row of the table, and a code, like a value. Nets and kernels look it
    up like any other; before they do, `pool` writes the mean into it, and `spread` turns its
    gradient into those of its values. Sets that the encoder has no codes for have rows behind all
    others, with codes ``row - first``, the codes of their column beginning at row ``first``.

    Parameters
    ----------
    sizes : sequence of int
        Number of codes of each column; V is their sum.
    rows : ndarray of int64, shape (n_bags,)
        The row of each set, rising.
    starts : ndarray of int64, shape (n_bags + 1,)
        Where the values of each set begin.
    values : ndarray of int64, shape (n_lookups,)
        The rows of the values of each set.
    device : torch.device
        Where codes and tables are.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        rows: Integers,
        starts: Integers,
        values: Integers,
        device: torch.device,
    ) -> None:
        self.sizes = [int(size) for size in sizes]
        self.device = device
        self._arrays = rows, starts, values

    @cached_property
    def rows(self) -> Tensor:
        """The row of each set, (n_bags,)."""
        return self._put(self._arrays[0])

    @cached_property
    def starts(self) -> Tensor:
        """Where the values of each set begin, (n_bags + 1,)."""
        return self._put(self._arrays[1])

    @cached_property
    def values(self) -> Tensor:
        """The rows of the values of each set, (n_lookups,)."""
        return self._put(self._arrays[2])

    @cached_property
    def offsets(self) -> Tensor:
        """The first row of each column, (F,), int32."""
        sizes = np.array(self.sizes, dtype=np.int64)
        return self._put((np.cumsum(sizes) - sizes).astype(np.int32))

    @cached_property
    def of_rows(self) -> Tensor:
        """The set of each row of the table, -1 for a value, (n_rows,), int32."""
        found = torch.full((self.n_rows,), -1, dtype=torch.int32, device=self.device)
        found[self.rows] = torch.arange(len(self), dtype=torch.int32, device=self.device)
        return found

    @property
    def n_new(self) -> int:
        """Number of sets that the encoder has no codes for."""
        rows = self._arrays[0]
        return int(len(rows) - np.searchsorted(rows, sum(self.sizes)))

    @property
    def n_rows(self) -> int:
        """Number of rows of the table, V and those of new sets."""
        return sum(self.sizes) + self.n_new

    @property
    def widened_sizes(self) -> list[int]:
        """Sizes of columns with which a table has rows for new sets, too."""
        return [*self.sizes[:-1], self.sizes[-1] + self.n_new]

    def __len__(self) -> int:
        return len(self._arrays[0])

    def known(self, codes: Tensor) -> Tensor:
        """Return codes (B, F) in which sets that the encoder has no codes for are unknown."""
        sizes = torch.tensor(self.sizes, dtype=codes.dtype, device=codes.device)
        return codes.masked_fill(codes >= sizes, 0)

    def find(self, codes: Tensor) -> Tensor:
        """Return the numbers of the different sets in codes (B, F), (m,), rising."""
        numbers = self.of_rows[(codes + self.offsets).flatten().long()]
        return numbers[numbers >= 0].unique().long()

    def pool(self, table: Tensor, some: Tensor | None = None) -> None:
        """Write the means of the values of sets into their rows.

        Parameters
        ----------
        table : Tensor of shape (n_rows, D)
            Changed in place.
        some : Tensor of shape (m,), int64, optional
            The numbers of the sets; all by default.
        """
        if some is None:
            rows, starts, values = self.rows, self.starts[:-1], self.values
        else:
            starts, values, _ = self._values_of(some)
            rows = self.rows[some]
        if len(rows):
            table[rows] = functional.embedding_bag(values, table, starts, mode="mean")

    def spread(self, rows: Tensor, gradients: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Turn the gradients of lookups of sets into those of their values.

        Parameters
        ----------
        rows : Tensor of shape (N,), int64
            The rows that were looked up.
        gradients : sequence of Tensor of shape (N, D)
            The gradient of every lookup, of tables that look the same rows up.

        Returns
        -------
        rows : Tensor of shape (M,), int64
            Rows of values: a lookup of a set of k values becomes k lookups, each with the k-th part
            of its gradient.
        gradients : list of Tensor of shape (M, D)
        """
        numbers = self.of_rows[rows]
        places = (numbers >= 0).nonzero()[:, 0]
        if not len(places):
            return rows, list(gradients)
        first, values, lengths = self._values_of(numbers[places].long())
        # The first value of a set takes its place, the others come at the end.
        is_other = torch.ones(len(values), dtype=torch.bool, device=self.device)
        is_other[first] = False
        owners = torch.repeat_interleave(lengths)[is_other]
        spread_rows = torch.cat([rows, values[is_other].to(rows.dtype)])
        spread_rows[places] = values[first].to(rows.dtype)
        found = []
        for gradient in gradients:
            shares = gradient[places] / lengths.to(gradient.dtype)[:, None]
            found.append(torch.cat([gradient, shares[owners]]))
            found[-1][places] = shares
        return spread_rows, found

    def spread_counts(self, counts: Tensor, *, shared: bool) -> Tensor:
        """Turn counts of rows (n_rows,) into those of values; sets have none.

        Parameters
        ----------
        counts : Tensor of shape (n_rows,)
            How often rows of data look up each row of the table, or their weight.
        shared : bool
            Whether each of k values of a set gets the k-th part of a lookup, so that all values of
            a field add up to the rows of data; or a whole one.
        """
        lengths = self.starts.diff()
        of_bags = counts[self.rows]
        found = counts.clone()
        found[self.rows] = 0
        if shared:
            of_bags = of_bags / lengths
        return found.index_add_(0, self.values, torch.repeat_interleave(of_bags, lengths))

    def average(self, column: int, numbers: Tensor, codes: Tensor) -> Tensor:
        """Give the values of a column the means of the numbers of all that they are in.

        Parameters
        ----------
        column : int
        numbers : Tensor of shape (size, S)
            Numbers of every code of the column, of values and of sets.
        codes : Tensor of shape (n, F)
            Rows of data, without new sets.

        Returns
        -------
        Tensor of shape (size, S)
            Of values, means over lookups of their own numbers and of those of their sets; 0 for
            sets.
        """
        size, first = self.sizes[column], int(self.offsets[column])
        counts = numbers.new_zeros(self.n_rows)
        counts[first : first + size] = torch.bincount(codes[:, column], minlength=size).to(counts)
        sums = []
        for part in numbers.unbind(1):
            weighted = counts.clone()
            weighted[first : first + size] *= part
            sums.append(self.spread_counts(weighted, shared=True))
        weights = self.spread_counts(counts, shared=True)
        found = torch.stack(sums, 1) / weights.clamp(min=torch.finfo(counts.dtype).tiny)[:, None]
        return found[first : first + size]

    def _values_of(self, some: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return where the values of sets (m,) begin, the values, and how many each set has."""
        starts = self.starts[some]
        lengths = self.starts[some + 1] - starts
        first = lengths.cumsum(0) - lengths
        places = torch.repeat_interleave(starts - first, lengths)
        places = places + torch.arange(len(places), dtype=torch.int64, device=self.device)
        return first, self.values[places], lengths

    def _put(self, array: npt.NDArray[np.signedinteger]) -> Tensor:
        return torch.from_numpy(array).to(self.device)

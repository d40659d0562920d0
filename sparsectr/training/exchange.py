"""What training shares with other processes that train the same net: by default nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

T = TypeVar("T")


class Exchange(Protocol):
    """Let processes that have the same rows, and the same net, train it together.

    All of them run the same program with the same random numbers. Of every batch each computes the
    gradient on a part; the gradients are added up, and all take the same step. What is called here,
    all processes must call, in the same order.

    Attributes
    ----------
    n_processes : int
        Number of processes.
    rank : int
        Number of this process, from 0 on.
    """

    @property
    def n_processes(self) -> int: ...
    @property
    def rank(self) -> int: ...

    def share(self, rows: Tensor) -> Tensor:
        """Return the part of row numbers (B,) that is this process's, at least one."""

    def sum_gradients(self, optimizers: Sequence[Optimizer], n_rows: int) -> int:
        """Turn gradients of the mean loss of a part into those of the mean loss of the batch.

        Parameters
        ----------
        optimizers : sequence of Optimizer
            The gradients of their parameters are replaced.
        n_rows : int
            Number of rows of the part.

        Returns
        -------
        int
            Number of rows of the batch, of all processes.
        """

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, in the order of their ranks."""

    def from_first(self, value: T) -> T:
        """Return the value of the first process."""

    def align(self, net: nn.Module) -> None:
        """See to it that all nets have the same bits."""


class Alone:
    """The only process: an `Exchange` with nobody."""

    n_processes = 1
    rank = 0

    def share(self, rows: Tensor) -> Tensor:
        """Return all rows."""
        return rows

    def sum_gradients(self, optimizers: Sequence[Optimizer], n_rows: int) -> int:
        """Leave the gradients as they are."""
        return n_rows

    def gather(self, value: T) -> list[T]:
        """Return the only value."""
        return [value]

    def from_first(self, value: T) -> T:
        """Return the only value."""
        return value

    def align(self, net: nn.Module) -> None:
        """Do nothing."""


_alone = Alone()
_current: ContextVar[Exchange] = ContextVar("exchange")


def current_exchange() -> Exchange:
    """Return what the training that runs in this thread shares."""
    return _current.get(_alone)


def own_stream(generator: torch.Generator) -> torch.Generator:
    """Return a generator for what single rows draw: in every process another, in the first itself.

    All else that is random must be the same in all processes.
    """
    rank = current_exchange().rank
    if not rank:
        return generator
    return torch.Generator(generator.device).manual_seed(generator.initial_seed() + rank)


@contextmanager
def exchanging(exchange: Exchange) -> Iterator[None]:
    """Let all training inside the block share what an exchange shares."""
    token = _current.set(exchange)
    try:
        yield
    finally:
        _current.reset(token)

"""Fits in several processes: which processes fit together, and what they must agree on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar, cast

import torch.distributed as dist

from sparsectr.training.exchange import current_exchange, exchanging
from sparsectr.training.processes import GroupExchange

Method = TypeVar("Method", bound=Callable[..., Any])

# A list of one: the group that was named, or None where nothing was.
_named: ContextVar[list[dist.ProcessGroup | None] | None] = ContextVar("named", default=None)
# Calls over a group have an order, and two threads have none.
_one_fit = threading.Lock()


@contextmanager
def distributed(group: dist.ProcessGroup | None) -> Iterator[None]:
    """Choose the processes that fit together inside a ``with`` block.

    Without it, all processes of `torch.distributed` fit together once it has been initialised, as
    by ``init_process_group`` in a script that torchrun starts, and a process fits alone otherwise.

    Parameters
    ----------
    group : ProcessGroup or None
        A group that this process belongs to, from ``torch.distributed.new_group``. None: this
        process fits alone.

    Yields
    ------
    None

    Examples
    --------
    >>> from sparsectr import DynIntClassifier, distributed
    >>> from sparsectr.datasets import make_clicks
    >>> clicks = make_clicks(1000, 5, 10, random_state=0)
    >>> with distributed(None):
    ...     clf = DynIntClassifier(max_epochs=1).fit(clicks.X, clicks.y)
    >>> clf.world_size_
    1
    """
    token = _named.set([group])
    try:
        yield
    finally:
        _named.reset(token)


def with_other_processes(method: Method) -> Method:
    """Let a method that fits run in step with the other processes of the group, if there is one.

    Parameters
    ----------
    method : callable
        A method that all processes call with the same data. It fails in all of them or in none.

    Returns
    -------
    callable
        The method, in step.
    """

    @wraps(method)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        group = _find_group()
        if group is None or current_exchange().n_processes > 1:
            return method(self, *args, **kwargs)
        if not _one_fit.acquire(blocking=False):
            raise ValueError(
                "processes that fit together must fit one estimator at a time, got a second fit "
                "in another thread. Set n_jobs=1, or fit inside `with sparsectr.distributed(None)`."
            )
        try:
            exchange = GroupExchange(group)
            with exchanging(exchange), exchange.together():
                return method(self, *args, **kwargs)
        finally:
            _one_fit.release()

    return cast("Method", fit)


@contextmanager
def in_turns(takes_turns: bool = True) -> Iterator[None]:
    """Run a block in the first process, then in the first of each other machine, then in the rest.

    What one of them writes to a disk that they share, the next ones find.

    Parameters
    ----------
    takes_turns : bool, default=True
        False: all run it at the same time.
    """
    exchange = current_exchange()
    if exchange.n_processes == 1 or not takes_turns:
        yield
        return
    hosts = exchange.gather(socket.gethostname())
    is_first = hosts.index(hosts[exchange.rank]) == exchange.rank
    turn = (1 if is_first else 2) if exchange.rank else 0
    for number in range(3):
        if number == turn:
            yield
        exchange.gather(None)


def _find_group() -> dist.ProcessGroup | None:
    """Return the group of at least two processes that fit together, None for a fit alone."""
    named = _named.get()
    if named is not None:
        (group,) = named
    elif dist.is_available() and dist.is_initialized():
        group = dist.group.WORLD
    else:
        return None
    if group is None:
        return None
    if dist.get_rank(group) < 0:
        raise ValueError("this process must belong to the group that it fits with.")
    return group if dist.get_world_size(group) > 1 else None

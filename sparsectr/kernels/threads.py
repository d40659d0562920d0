"""How many threads work: those of torch, which spin while they wait, and our own, which sleep.

Torch hands a large operation to a team of OpenMP threads. Its members wait for each other in a
loop: beside a process that keeps a core busy, every operation can last as long as that process is
let run. A forked process inherits the team without its threads, and waits for ever. Our pool has
neither fault. So small operations run in the calling thread alone, and whatever falls into
independent parts goes to the pool.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any, TypeVar, cast

import torch

Function = TypeVar("Function", bound=Callable[..., Any])

_local = threading.local()
# The thread of a forked process that has gone on from the parent's.
_forked: list[int] = []


def run_parts(function: Callable[..., None], n_parts: int, *arguments: Any) -> None:
    """Call ``function(part, *arguments)`` once for every part, in threads of this process.

    The calling thread takes parts like the others; with one thread, or one part, it does all
    by itself. The next free thread takes the next part, so that a thread that has to wait for a
    core delays no other. A result must depend on the part, never on the thread.

    Parameters
    ----------
    function : callable
        Releases the interpreter's lock; parts write to different memory.
    n_parts : int
        Number of parts.
    *arguments
        Passed on.
    """
    if n_parts == 1:  # a single row is predicted in microseconds
        function(0, *arguments)
        return
    parts = deque(range(n_parts))

    def work() -> None:
        while parts:
            try:
                part = parts.popleft()
            except IndexError:  # another thread was faster
                return
            function(part, *arguments)

    n_helpers = min(count_threads(), n_parts) - 1
    helpers = [_pool().submit(work) for _ in range(n_helpers)]
    try:
        work()
    finally:
        # Nothing is left to do: a helper that has not begun is not waited for.
        begun = [helper for helper in helpers if not helper.cancel()]
    for helper in begun:
        helper.result()


def count_threads() -> int:
    """Return how many threads may work: torch's number, also within `one_torch_thread`."""
    limited: int | None = getattr(_local, "n_threads", None)
    return torch.get_num_threads() if limited is None else limited


@contextmanager
def one_torch_thread(when: bool = True) -> Iterator[None]:
    """Within the block, let operations of torch run in the calling thread alone.

    Other threads are not touched, as they would be by `torch.set_num_threads`, and afterwards
    everything is as before. Where torch is built without OpenMP, nothing changes.

    Parameters
    ----------
    when : bool, default=True
        Whether to limit torch at all. In the first thread of a forked process it always is.
    """
    n_threads = torch.get_num_threads()
    limited = n_threads > 1 and (when or threading.get_ident() in _forked)
    setters = _setters() if limited else None
    if setters is None:
        yield
        return
    set_openmp, set_mkl = setters
    before, _local.n_threads = getattr(_local, "n_threads", None), count_threads()
    set_openmp(1)
    mkl_before = set_mkl(1)
    try:
        yield
    finally:
        set_mkl(mkl_before)
        set_openmp(n_threads)
        _local.n_threads = before


def with_one_torch_thread(when: bool = True) -> Callable[[Function], Function]:
    """Make a function that runs within `one_torch_thread`.

    Of the frames of its call none is foreign: warnings look for the first that is.
    """

    def decorate(function: Function) -> Function:
        @wraps(function)
        def limited(*args: Any, **kwargs: Any) -> Any:
            with one_torch_thread(when):
                return function(*args, **kwargs)

        return cast("Function", limited)

    return decorate


@cache
def _setters() -> tuple[Callable[[int], Any], Callable[[int], int]] | None:
    """Return what sets the number of threads of OpenMP and of MKL for the calling thread.

    None where torch does not use OpenMP, or where a library shows only names of its own (Windows).
    """
    try:
        library = ctypes.CDLL(torch._C.__file__)
        set_openmp = library.omp_set_num_threads
    except (AttributeError, OSError):
        return None
    # Torch may have told MKL a number of threads, which then counts more than that of OpenMP.
    return set_openmp, getattr(library, "MKL_Set_Num_Threads_Local", lambda _: 0)


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads of this process; they are started when they are first needed."""
    return ThreadPoolExecutor(max(1, torch.get_num_threads(), os.cpu_count() or 1), "sparsectr")


def _after_fork() -> None:
    """Forget the pool, whose threads are those of the parent, and remember who went on."""
    _pool.cache_clear()
    _forked[:] = [threading.get_ident()]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

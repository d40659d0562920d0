"""Share the parts of a kernel's work out to as many threads as torch may use."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch


def run_parts(function: Callable[..., None], n_parts: int, *arguments: Any) -> None:
    """Call ``function(part, *arguments)`` once for every part, in threads of this process.

    The calling thread takes parts like the others; with one thread, or one part, it does all
    by itself. Whoever is free takes the next part, so that a thread that the machine keeps
    waiting holds nobody up. A result must depend on the part, never on the thread.

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

    n_helpers = min(torch.get_num_threads(), n_parts) - 1
    helpers = [_pool().submit(work) for _ in range(n_helpers)]
    work()
    for helper in helpers:
        helper.result()


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads of this process; they are started when they are first needed."""
    return ThreadPoolExecutor(max(1, torch.get_num_threads(), os.cpu_count() or 1), "sparsectr")


if hasattr(os, "register_at_fork"):
    # A forked process inherits the pool but not its threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)

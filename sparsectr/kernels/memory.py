"""Memory that one step of training hands to the next.

A step needs the same few large blocks as the one before. Giving them back to the operating system
and asking for them again costs more than filling them: a page fault per 4 KiB.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

_kept = threading.local()
# Python's own references to a block in `_find_free`: the list, the loop and the argument.
OWN_REFERENCES = 3
# Smaller blocks are kept by the allocator itself.
SMALLEST = 1 << 16


@contextmanager
def reused_memory() -> Iterator[None]:
    """Within the block, keep what `empty` returns in this thread, to return it again."""
    before, _kept.blocks = getattr(_kept, "blocks", None), []
    try:
        yield
    finally:
        _kept.blocks = before


def empty(*shape: int) -> Tensor:
    """Return a tensor of float32 with arbitrary content.

    Within `reused_memory` its memory may be that of an earlier result to which no reference is
    left, be it direct or through a view.
    """
    blocks: list[Any] | None = getattr(_kept, "blocks", None)
    n = prod(shape)
    if blocks is None or n < SMALLEST:
        return torch.empty(shape, dtype=torch.float32, device="cpu")
    block = _find_free(blocks, n)
    if block is None:
        block = np.empty(n, np.float32)
        blocks.append(block)
    return torch.from_numpy(block)[:n].view(shape)


def _find_free(blocks: list[Any], n: int) -> Any:
    """Return a block that only the list holds and that is long enough, but not far too long."""
    for block in blocks:
        if n <= len(block) <= 2 * n and sys.getrefcount(block) <= OWN_REFERENCES:
            return block
    return None

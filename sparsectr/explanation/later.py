"""Measures of crosses that wait until somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from sparsectr.kernels.threads import with_one_torch_thread
from sparsectr.rows.sample import RowSample


class LaterMeasures:
    """Measure crosses when somebody asks for them.

    Parameters
    ----------
    measure : callable
        Takes codes (n, C) in random order, returns what is measured by name.
    sample : RowSample
        The rows to measure on. They stay here for the next `partial_fit`, whether or not anybody
        has asked, so that asking changes nothing.
    """

    def __init__(self, measure: Callable[[Tensor], dict[str, Any]], sample: RowSample) -> None:
        self.sample = sample
        self._measure: Callable[[Tensor], dict[str, Any]] | None = measure
        self._found: dict[str, Any] = {}

    @with_one_torch_thread()
    def find(self) -> dict[str, Any]:
        """Return what is measured."""
        # No lock, which a forked process could inherit closed: of two threads that come at the same
        # time, both measure, and find the same.
        measure = self._measure
        if measure is not None:
            self._found = measure(self.sample.rows())
            self._measure = None  # lets the net of then go
        return self._found

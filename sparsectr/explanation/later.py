"""Measures of crosses that wait until somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sparsectr.interactions.interaction import Interaction
from sparsectr.kernels.threads import with_one_torch_thread
from sparsectr.rows.sample import RowSample


class LaterMeasures:
    """Measure crosses when somebody asks for them.

    Parameters
    ----------
    measure : callable
        Takes whether only the crosses are wanted, returns what is measured by name, the same in
        every call.
    sample : RowSample, optional
        The rows of a stream to measure on. They stay here for the next `partial_fit`, whether or
        not anybody has asked, so that asking changes nothing.
    """

    def __init__(
        self, measure: Callable[[bool], dict[str, Any]], sample: RowSample | None = None
    ) -> None:
        self.sample = sample
        self._measure: Callable[[bool], dict[str, Any]] | None = measure
        self._found: dict[str, Any] = {}
        self._crosses: list[Interaction] | None = None

    @with_one_torch_thread()
    def find(self) -> dict[str, Any]:
        """Return what is measured."""
        # No lock, which a forked process could inherit closed: of two threads that come at the same
        # time, both measure, and find the same.
        measure = self._measure
        if measure is not None:
            self._found = measure(False)
            self._measure = None  # lets the net and the rows of then go
        return self._found

    @with_one_torch_thread()
    def find_crosses(self) -> list[Interaction]:
        """Return the listed crosses, those of `find`, in less time than all that is measured."""
        if self._crosses is None:
            measure = self._measure
            found = self._found if measure is None else measure(True)
            self._crosses = found["crosses"]
        return self._crosses

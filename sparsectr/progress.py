"""A line that tells how far something is, with rate and time left."""

from __future__ import annotations

import sys
import time

# A line is written at most so often, in seconds.
EVERY = 0.2
WIDTH = 20


class ProgressBar:
    """Show how many rows are done, in one line on the standard error stream.

    Parameters
    ----------
    name : str
        What is done, in front of the line.
    n_all : int or None, default=None
        Number of rows in all; None where it is not known.
    """

    def __init__(self, name: str, n_all: int | None = None) -> None:
        self.name, self.n_all = name, n_all
        self.n_done = 0
        self._started = self._written = time.perf_counter()
        self._longest = 0

    def advance(self, n_rows: int) -> None:
        """Add rows that are done, and write the line if it is time to."""
        self.n_done += n_rows
        now = time.perf_counter()
        if now - self._written > EVERY:
            self._written = now
            self._write(self.line(now - self._started), end="\r")

    def close(self) -> None:
        """Write the line for the last time."""
        self._write(self.line(time.perf_counter() - self._started), end="\n")

    def line(self, seconds: float) -> str:
        """Return the line after so many seconds.

        Examples
        --------
        >>> from sparsectr.progress import ProgressBar
        >>> bar = ProgressBar("epoch 1", 4_000)
        >>> bar.n_done = 1_000
        >>> bar.line(2.0)
        'epoch 1: [#####               ] 1,000 of 4,000 rows, 500 rows/s, 6 s left'
        """
        rate = self.n_done / max(seconds, 1e-9)
        if not self.n_all:
            return f"{self.name}: {self.n_done:,} rows, {rate:,.0f} rows/s"
        share = self.n_done / self.n_all
        left = (self.n_all - self.n_done) / max(rate, 1e-9)
        bar = "#" * round(WIDTH * share)
        return (
            f"{self.name}: [{bar:<{WIDTH}}] {self.n_done:,} of {self.n_all:,} rows, "
            f"{rate:,.0f} rows/s, {left:,.0f} s left"
        )

    def _write(self, line: str, end: str) -> None:
        # What an earlier, longer line has left is blanked.
        self._longest = max(self._longest, len(line))
        sys.stderr.write(f"\r{line:<{self._longest}}{end}")
        sys.stderr.flush()

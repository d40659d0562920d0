"""Files of arrays that are written some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# Writes rows from a row number on.
WriteRows: TypeAlias = Callable[[int, NDArray[Any]], None]


@contextmanager
def array_file(
    path: Path, dtype: np.dtype[np.generic], shape: tuple[int, ...]
) -> Iterator[WriteRows]:
    """Make a file of NumPy's for an array, and yield what writes rows into it, in any thread.

    Rows are written and not put into a map, which would count as memory of this process.

    Parameters
    ----------
    path : Path
        The file.
    dtype : dtype
        Of the array.
    shape : tuple of int
        Of the array.
    """
    mapped = np.lib.format.open_memmap(path, "w+", dtype, shape)
    start, row_bytes = mapped.offset, mapped[:1].nbytes
    del mapped
    lock = Lock()
    with path.open("r+b", buffering=0) as file:

        def write(row: int, rows: NDArray[np.generic]) -> None:
            # As bytes: NumPy gives no buffer of times.
            left: Any = np.ascontiguousarray(rows, dtype).reshape(-1).view(np.uint8)
            with lock:
                file.seek(start + row * row_bytes)
                while len(left):
                    left = left[file.write(left) :]

        yield write


@contextmanager
def array_files(
    folder: Path, dtypes: Mapping[str, np.dtype[np.generic]], n_rows: int
) -> Iterator[dict[str, WriteRows]]:
    """Make files of columns (n_rows,), by their names in a folder; see `array_file`."""
    with ExitStack() as stack:
        yield {
            file: stack.enter_context(array_file(folder / file, dtype, (n_rows,)))
            for file, dtype in dtypes.items()
        }

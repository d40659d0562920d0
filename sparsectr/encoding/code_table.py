"""Codes, labels and weights of rows, in files that are mapped into memory."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sparsectr.encoding.bags import BagRows
from sparsectr.parameters import describe

# Raised when older versions of the package could no longer read what is written.
FORMAT = 1
CODES, LABELS, WEIGHTS = "codes.npy", "y.npy", "w.npy"
MANIFEST, ENCODER = "manifest.json", "encoder.pickle"
# Sets of values that the encoder has no codes for, of fields of several values.
NEW_BAGS = {name: f"new_bags_{name}.npy" for name in BagRows._fields}


class CodeTable:
    """Read the codes of rows that `FieldEncoder.encode_dataset` has written into a folder.

    Takes the place of ``X`` in `fit`, `partial_fit`, `predict` and `predict_proba` of every
    estimator, and in scikit-learn's searches: ``GridSearchCV(clf, grid).fit(table, table.y)``. The
    files are mapped, so that rows come into memory when they are needed, and all fits share them.
    The vocabularies were learnt from all rows of the table, also from those that a cross-validation
    sets apart; the targets of these rows were not.

    Parameters
    ----------
    path : str or Path
        The folder. It holds ``codes.npy``, ``y.npy`` and ``w.npy``, if there are targets and
        weights, ``manifest.json`` and the encoder as a pickle: open tables that you trust.

    Attributes
    ----------
    path : Path
        The folder.
    manifest : dict
        Fields, number of rows, names of target and weights, fingerprints of the sources and of the
        encoder, version of the package.
    encoder : FieldEncoder
        The encoder of the codes.
    rows : ndarray of int64, shape (n_rows,), or None
        The numbers of these rows in the files; None for all.

    Raises
    ------
    ValueError
        If the folder holds no code table, or one of a newer version.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow
    >>> from sparsectr import FieldEncoder
    >>> rows = pyarrow.table({"city": ["Oslo", "Bergen", "Oslo"], "click": [1, 0, 1]})
    >>> folder = tempfile.mkdtemp()
    >>> table = FieldEncoder().encode_dataset(rows.to_reader(), folder, y="click")
    >>> table.codes.ravel().tolist(), table[[0, 2]].y.tolist(), table.shape
    ([2, 3, 2], [1, 1], (3, 1))
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.manifest = read_manifest(self.path)
        with (self.path / ENCODER).open("rb") as file:
            self.encoder: Any = pickle.load(file)
        self.rows: NDArray[np.int64] | None = None
        self._codes = np.load(self.path / CODES, mmap_mode="r")
        self._y = _open(self.path / LABELS)
        self._w = _open(self.path / WEIGHTS)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of fields."""
        n_rows = len(self._codes) if self.rows is None else len(self.rows)
        return n_rows, len(self.manifest["fields"])

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def mapped(self) -> NDArray[np.int32]:
        """Codes of all rows of the files, shape (n_all_rows, n_columns)."""
        return self._codes

    @property
    def new_bags(self) -> BagRows | None:
        """Sets of values that have codes in these files only; None if there are none."""
        found = {name: _open(self.path / file) for name, file in NEW_BAGS.items()}
        arrays = {name: np.array(array) for name, array in found.items() if array is not None}
        return BagRows(**arrays) if arrays else None

    @property
    def codes(self) -> NDArray[np.int32]:
        """Codes of the rows, shape (n_rows, n_columns): the map, or a copy of some rows."""
        return self._codes if self.rows is None else self._codes.take(self.rows, axis=0)

    @property
    def y(self) -> NDArray[Any] | None:
        """Targets of the rows, shape (n_rows,); None if the table has none."""
        return self._of_rows(self._y)

    @property
    def sample_weight(self) -> NDArray[Any] | None:
        """Weights of the rows, shape (n_rows,); None if the table has none."""
        return self._of_rows(self._w)

    def __getitem__(self, rows: Any) -> Self:
        """Return some rows, without a copy of their codes.

        Parameters
        ----------
        rows : slice, array-like of int or of bool
            Which rows, by their places in this table.

        Returns
        -------
        CodeTable
            Of the same files.
        """
        if isinstance(rows, tuple):  # scikit-learn asks for [rows, ...]
            rows = rows[0]
        places = np.arange(len(self)) if self.rows is None else self.rows
        chosen = places[rows]
        if chosen.ndim != 1:
            raise ValueError(f"the rows of a code table must be several, got {describe(rows)}.")
        some = object.__new__(type(self))
        some.__dict__ = self.__dict__ | {"rows": chosen}
        return some

    def _of_rows(self, values: NDArray[Any] | None) -> NDArray[Any] | None:
        return values if values is None or self.rows is None else values[self.rows]

    def __getstate__(self) -> dict[str, Any]:
        return {"path": str(self.path.resolve()), "rows": self.rows}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]
        self.rows = state["rows"]

    def __repr__(self) -> str:
        n_rows, n_fields = self.shape
        return f"CodeTable({str(self.path)!r}: {n_rows:,} rows, {n_fields} fields)"


def read_manifest(path: Path) -> dict[str, Any]:
    """Return what a folder says of its code table.

    Raises
    ------
    ValueError
        If it holds none, or one of a newer format.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        written = manifest["code_table"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"the folder must hold a code table of FieldEncoder.encode_dataset, got {str(path)!r}."
        ) from error
    if written > FORMAT:
        raise ValueError(
            f"the code table {str(path)!r} must be of format {FORMAT} or older, got {written}, of "
            f"sparsectr {manifest.get('sparsectr')}; install that version."
        )
    return dict(manifest)


def write_new_bags(folder: Path, bags: BagRows) -> None:
    """Write the sets of values that an encoder has no codes for into the folder of a table."""
    for name, array in bags._asdict().items():
        np.save(folder / NEW_BAGS[name], array)


def _open(path: Path) -> NDArray[Any] | None:
    return np.load(path, mmap_mode="r") if path.exists() else None

"""Predictions for rows that need not fit into memory."""

from __future__ import annotations

import os
import tempfile
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from sparsectr.drafts import on_one_fit
from sparsectr.encoding.arrow_source import load_dataset
from sparsectr.parameters import describe
from sparsectr.tables import TableReader


class FilePredictionMixin(TableReader):
    """Predict the rows of files, datasets and streams, some at a time."""

    @abstractmethod
    def _predicted_columns(self, table: Any) -> dict[str, NDArray[Any]]:
        """Return what is predicted for the rows of a table, arrays (n_rows,) by name."""

    @on_one_fit
    def predict_to_parquet(
        self,
        source: object,
        target: str | os.PathLike[str],
        *,
        columns: Sequence[str] = (),
    ) -> None:
        """Predict the rows of a source, and write the predictions into a Parquet file.

        A classifier writes a column ``proba_<class>`` for every class, a regressor ``prediction``.
        Some rows are in memory at a time. Needs pyarrow.

        Parameters
        ----------
        source : str, path, list of them, pyarrow.dataset.Dataset or Arrow stream
            The rows, with the columns of `fit` and perhaps others; see
            `FieldEncoder.encode_dataset`.
        target : str or path
            The file. It appears when all is written, and replaces one that is there.
        columns : sequence of str, default=()
            Columns of the source, such as a key, that are written in front of the predictions.

        Raises
        ------
        ValueError, TypeError
            If the source cannot be read or lacks columns, or two columns have one name.
        ImportError
            If pyarrow is not installed.
        """
        check_is_fitted(self)
        load_dataset()
        if isinstance(columns, str):
            raise TypeError(f"columns must be a list of names, got {describe(columns)}.")
        pa, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
        path, writer = Path(target), None
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        os.close(number)
        try:
            for fields, beside in self._batches(source, columns):
                predicted = pa.table(self._predicted_columns(fields))
                if beside is not None:
                    predicted = _beside(pa, beside, predicted)
                writer = writer or parquet.ParquetWriter(name, predicted.schema, compression="zstd")
                writer.write_table(predicted)
            if writer is None:
                raise ValueError("the source must have rows, got none.")
            writer.close()
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)

    def _iterate(
        self, source: object, predict: Callable[[Any], NDArray[np.float64]]
    ) -> Iterator[NDArray[np.float64]]:
        """Yield what a method predicts for some rows of a source at a time."""
        check_is_fitted(self)
        for fields, _ in self._batches(source):
            yield predict(fields)


def _beside(pa: Any, left: Any, right: Any) -> Any:
    """Join the columns of two tables of the same rows."""
    names = [*left.column_names, *right.column_names]
    if len(set(names)) < len(names):
        raise ValueError(f"the columns of target must have different names, got {describe(names)}.")
    columns = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in left.columns
    ]
    return pa.table([*columns, *right.columns], names)

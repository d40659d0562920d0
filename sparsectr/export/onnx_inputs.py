"""Columns of a frame as the inputs of a graph that `to_onnx` has written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsectr.encoding.columns import TableLike
from sparsectr.export.columns import MISSING_INTEGER, MISSING_STRING
from sparsectr.parameters import describe


def onnx_inputs(model: object, X: TableLike) -> dict[str, NDArray[Any]]:
    """Turn the columns of a frame into the inputs of an ONNX graph of `to_onnx`.

    It is meant for checks and tests of a graph. A service that has no pandas follows the same
    rules, which the metadata of the graph hold: see the page "Storing and serving".

    Parameters
    ----------
    model : onnxruntime.InferenceSession or onnx.ModelProto
        The graph, written with ``inputs="columns"``.
    X : DataFrame of shape (n_rows, n_fields)
        Rows with the columns of `fit`, in any order, with missing values and dates as they are.

    Returns
    -------
    dict of str to ndarray of shape (n_rows, 1)
        An array per field, of strings, int64 or float64: what ``session.run(None, inputs)`` takes.
        Of a field of lists as many columns as the longest list of X has values.

    Raises
    ------
    ValueError
        If the graph is none of `to_onnx`, takes codes, or a column is missing.

    Examples
    --------
    >>> import sparsectr
    >>> from sparsectr.datasets import make_clicks
    >>> clicks = make_clicks(1000, 5, 5, random_state=0)
    >>> clf = sparsectr.DynIntClassifier(max_epochs=1, random_state=0).fit(clicks.X, clicks.y)
    >>> model = sparsectr.to_onnx(clf)  # doctest: +SKIP
    >>> sparsectr.onnx_inputs(model, clicks.X[:2])["f0"].shape  # doctest: +SKIP
    (2, 1)
    """
    fields = _read_fields(model)
    frame: pd.DataFrame = nw.from_native(cast(Any, X), eager_only=True).to_pandas()
    if lacking := [field["name"] for field in fields if field["name"] not in frame]:
        raise ValueError(f"X must have all columns of the graph, got none of {lacking}.")
    return {field["name"]: to_input(frame[field["name"]], field) for field in fields}


def _read_fields(model: object) -> list[dict[str, Any]]:
    """Return what the metadata of a graph say about its inputs."""
    if hasattr(model, "get_modelmeta"):
        metadata = dict(cast(Any, model).get_modelmeta().custom_metadata_map)
    else:
        metadata = {p.key: p.value for p in getattr(model, "metadata_props", ())}
    fields: list[dict[str, Any]] = json.loads(metadata.get("fields", "[]"))
    if not fields or "type" not in fields[0]:
        raise ValueError(
            "model must be a session or model of a graph that to_onnx has written with "
            f"inputs='columns', got {describe(model)}."
        )
    return fields


def to_input(column: pd.Series, field: Mapping[str, object]) -> NDArray[Any]:
    """Return a column (n_rows,) as the input of a field, (n_rows, 1), of lists (n_rows, L).

    Parameters
    ----------
    column : Series of shape (n_rows,)
        Values of a field.
    field : dict
        Its type ("string", "int64" or "float64"), the unit of times, and whether cells are lists.
    """
    if field.get("list"):
        return _lists_to_input(column, {**field, "list": False})
    missing = pd.isna(column).to_numpy(dtype=bool)
    if field["type"] == "string":
        return np.where(missing, MISSING_STRING, column.astype(object)).astype(object)[:, None]
    if field["type"] == "float64":
        return column.astype(float).to_numpy(np.float64, na_value=np.nan)[:, None]
    values = np.full(len(column), MISSING_INTEGER)
    present = column[~missing]
    if unit := field.get("unit"):
        kind = "m" if pd.api.types.is_timedelta64_dtype(column.dtype) else "M"
        values[~missing] = present.to_numpy().astype(f"{kind}8[{unit}]").astype(np.int64)
    else:
        values[~missing] = present.astype(np.int64)
    return values[:, None]


def _lists_to_input(column: pd.Series, field: Mapping[str, object]) -> NDArray[Any]:
    """Return lists side by side, with missing values behind them, (n_rows, L), L at least 1."""
    lists: list[list[Any]] = [
        cell.tolist() if isinstance(cell, np.ndarray) else list(cell)
        for cell in column.astype(object).where(column.notna(), ())
    ]
    lengths = np.array([len(cell) for cell in lists], dtype=np.intp)
    flat = pd.Series([value for cell in lists for value in cell], dtype=object)
    missing = to_input(pd.Series([None], dtype=object), field)[0, 0]
    values = to_input(flat.infer_objects(), field)[:, 0]
    found = np.full((len(lists), max(lengths.max(initial=0), 1)), missing, dtype=values.dtype)
    found[np.arange(found.shape[1]) < lengths[:, None]] = values
    return found

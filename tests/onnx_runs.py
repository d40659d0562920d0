"""ONNX graphs run by onnxruntime."""

import json

import numpy as np
import pandas as pd
import pytest

onnxruntime = pytest.importorskip("onnxruntime")


def run(model, frame, *outputs):
    """Run a model on the columns of a frame; the metadata say how values are sent."""
    fields = json.loads({p.key: p.value for p in model.metadata_props}["fields"])
    feeds = {field["name"]: to_input(frame[field["name"]], field) for field in fields}
    return run_feeds(model, feeds, *outputs)


def run_feeds(model, feeds, *outputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    data = model if isinstance(model, str) else model.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(list(outputs) or None, feeds)


def to_input(column, field):
    """Return a column as the input of a field, shape (n_rows, 1)."""
    missing = pd.isna(column).to_numpy()
    if field["type"] == "string":
        return np.where(missing, "", column.astype(object)).astype(object)[:, None]
    if field["type"] == "float64":
        return column.astype(float).to_numpy(np.float64, na_value=np.nan)[:, None]
    values = np.full(len(column), np.iinfo(np.int64).min)
    present = column[~missing]
    if field.get("unit"):
        kind = "m" if pd.api.types.is_timedelta64_dtype(column.dtype) else "M"
        values[~missing] = present.to_numpy().astype(f"{kind}8[{field['unit']}]").astype(np.int64)
    else:
        values[~missing] = present.astype(np.int64)
    return values[:, None]

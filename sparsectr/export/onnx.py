"""Fitted estimators as ONNX graphs."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from sparsectr.export.columns import type_of, write_columns
from sparsectr.export.features import write_features
from sparsectr.export.graph import OnnxGraph
from sparsectr.nn.graph import take
from sparsectr.targets.numbers import MOST_LOG

# Protocol buffers hold at most 2 GB: larger constants lie in a file beside the model.
MOST_BYTES = 2**31 - 2**20

# Types of labels by the kind of their dtype.
LABELS = dict(zip("OUiubf", ["string", "string", "int64", "int64", "bool", "float64"], strict=True))


def to_onnx(estimator: Any, path: Any = None, inputs: str = "columns") -> Any:
    """Export a fitted estimator to ONNX, from raw columns to predictions or statistics.

    The graph has one input of shape (n_rows, 1) per field, named as the field: strings, int64, or
    float64 for numeric fields. Outputs have the names that skl2onnx gives them: of classifiers
    "label" of shape (n_rows,) and "probabilities" of shape (n_rows, n_classes), float32; of
    regressors "variable" of shape (n_rows, 1), float32; of `InteractionFeatures` "variable" of
    shape (n_rows, n_columns), float64. Any number of rows can be sent.

    ============================  ========  ====================
    values of the field           input     missing value
    ============================  ========  ====================
    strings                       string    the empty string
    integers and booleans         int64     -2**63
    numbers in bins, and floats   float64   NaN
    dates, times and durations    int64     -2**63, which is NaT
    ============================  ========  ====================

    A field of lists is an input of shape (n_rows, n_values): the values of each row side by side,
    and missing ones behind them. A field with a separator takes the strings as they are.

    Times come in the unit that the metadata of the model name, such as microseconds since 1970.
    Unseen values count as unknown. The metadata also hold the names and types of the inputs, the
    sizes of the vocabularies, the classes, and the version of this package.

    Parameters
    ----------
    estimator : classifier or regressor of this package, or InteractionFeatures
        A fitted one; `InteractionFeatures` with the encoders "target", "count" and "codes". Not
        `CrossEnsembleClassifier`, which holds trees and statistics of five folds.
    path : str or Path, default=None
        Where to write the model. Constants of more than 2 GB are put into a file beside it, with
        ".data" behind its name.
    inputs : str, default="columns"
        "columns": see above. "codes": one input "codes" of shape (n_rows, n_columns), int32, what
        ``estimator.encoder_.transform`` returns, or ``estimator.field_encoder_.transform``.

    Returns
    -------
    onnx.ModelProto
        The model.

    Raises
    ------
    ValueError
        If a field is hashed, or its values have several types, and inputs is "columns".
    TypeError
        If there is no graph of estimators of this class.
    ImportError
        If the package onnx is not installed.

    Examples
    --------
    >>> import sparsectr
    >>> from sparsectr.datasets import make_clicks
    >>> clicks = make_clicks(500, 5, 4, random_state=0)
    >>> clf = sparsectr.DynIntClassifier(max_epochs=1, random_state=0).fit(clicks.X, clicks.y)
    >>> model = sparsectr.to_onnx(clf)
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    if inputs not in ("columns", "codes"):
        raise ValueError(f"inputs must be 'columns' or 'codes', got {inputs!r}.")
    check_is_fitted(estimator)
    encoder = getattr(estimator, "field_encoder_", getattr(estimator, "encoder_", None))
    if encoder is None or not (hasattr(estimator, "_fitted_net") or hasattr(estimator, "_crosses")):
        raise TypeError(
            "estimator must be a classifier or regressor of this package that is one net, or "
            f"InteractionFeatures, got a {type(estimator).__name__}; pipelines convert by skl2onnx "
            "after register_onnx()."
        )
    graph = OnnxGraph()
    codes = (
        write_columns(
            graph,
            encoder._field_names(),
            encoder._fields,
            with_sets=hasattr(estimator, "field_encoder_"),
        )
        if inputs == "columns"
        else _write_codes(graph, encoder)
    )
    metadata = _metadata(estimator, encoder, inputs)
    if hasattr(estimator, "field_encoder_"):
        variable = write_features(graph, estimator, take(graph, codes, encoder._main_columns))
        names = [str(name) for name in estimator.get_feature_names_out()]
        graph.add_output("variable", variable, "float64", ["rows", len(names)])
        metadata["columns"] = json.dumps(names)
    else:
        write_predictions(graph, estimator, codes)
        if hasattr(estimator, "classes_"):
            metadata["classes"] = json.dumps(estimator.classes_.tolist(), default=str)
    model = graph.make_model(metadata, version("sparsectr"))
    if path is not None:
        _save(graph.onnx, model, Path(path))
    return model


def write_predictions(graph: OnnxGraph, estimator: Any, codes: str) -> None:
    """Add what a fitted classifier or regressor makes of codes (B, C), int64, and its outputs."""
    logits = graph.add("Cast", estimator._fitted_net().eval().write(graph, codes), to=11)
    if hasattr(estimator, "classes_"):
        _write_classes(graph, estimator.classes_, logits)
    else:
        _write_numbers(graph, estimator._fitted_target(), logits)


def _write_numbers(graph: OnnxGraph, target: Any, logits: str) -> None:
    """Turn logits (B, 1), float64, into numbers and name the output."""
    numbers = graph.add(
        "Add", graph.add("Mul", logits, np.array(target.unit)), np.array(target.offset)
    )
    if target.is_count:
        bounds = np.array(-MOST_LOG), np.array(MOST_LOG)
        numbers = graph.add("Exp", graph.add("Clip", numbers, *bounds))
    graph.add_output("variable", graph.add("Cast", numbers, to=1), "float32", ["rows", 1])


def label_type(classes: NDArray[Any]) -> str:
    """Return the type of labels, of classes (n_classes,), in a graph; ValueError if it has none."""
    kind = LABELS.get(classes.dtype.kind)
    if kind is None:
        raise ValueError(
            f"classes_ must be strings, numbers or booleans, got {classes.dtype}; fit on labels "
            "that are turned into strings."
        )
    return kind


def _write_classes(graph: OnnxGraph, classes: NDArray[Any], logits: str) -> None:
    """Turn logits (B, K), float64, into labels (B,) and probabilities, and name the outputs."""
    if len(classes) == 2:
        logits = graph.add("Mul", logits, np.array([[0.0, 1.0]]))
    probabilities = graph.add("Softmax", logits, axis=1)
    kind = label_type(classes)
    known = classes.astype(object if kind == "string" else kind)
    places = graph.add("ArgMax", probabilities, axis=1, keepdims=0)
    graph.add_output("label", graph.add("Gather", known, places), kind, ["rows"])
    as_floats = graph.add("Cast", probabilities, to=1)
    graph.add_output("probabilities", as_floats, "float32", ["rows", len(classes)])


def _write_codes(graph: OnnxGraph, encoder: Any) -> str:
    n_columns = len(encoder.code_fields_)
    codes = graph.add_input("codes", "int32", ["rows", n_columns])
    return graph.add("Cast", codes, to=7)


def _metadata(estimator: Any, encoder: Any, inputs: str) -> dict[str, str]:
    """Describe a model; all values are strings, lists are JSON."""
    fields = []
    for name, field in zip(encoder._field_names(), encoder._fields, strict=True):
        described: dict[str, Any] = {"name": name, "sizes": [column.size for column in field]}
        if inputs == "columns":
            types = type_of(name, field)
            described |= {"type": types.kind, "missing": types.missing}
            described |= {"unit": types.unit} if types.unit else {}
            described |= {"list": True} if types.is_list else {}
            described |= {"separator": types.separator} if types.separator else {}
        fields.append(described)
    return {
        "estimator": type(estimator).__name__,
        "sparsectr_version": version("sparsectr"),
        "fields": json.dumps(fields),
    }


def _save(onnx: Any, model: Any, path: Path) -> None:
    is_large = sum(len(constant.raw_data) for constant in model.graph.initializer) > MOST_BYTES
    if not is_large:
        path.write_bytes(model.SerializeToString())
        return
    external, copy = f"{path.name}.data", type(model)()
    copy.CopyFrom(model)  # saving moves the constants out of the model
    onnx.save_model(
        copy, str(path), save_as_external_data=True, location=external, size_threshold=1024
    )

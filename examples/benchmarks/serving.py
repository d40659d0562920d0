"""What serves a fitted estimator: predictors of one row, and ONNX graphs.

    python examples/benchmarks/bench.py one_row
    python examples/benchmarks/bench.py onnx_graphs flights adult amazon --data DIR

``--help`` of each says what it measures and how.
"""

import importlib
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from suite.datasets import load_parts

from sparsectr import (
    DynIntClassifier,
    DynIntRegressor,
    FieldEncoder,
    OptFeatureClassifier,
    ProfitClassifier,
    to_onnx,
)
from sparsectr.datasets import load_flights

QUICK = {"max_epochs": 1, "random_state": 0}
CLASSIFIERS = {
    "DynIntClassifier": DynIntClassifier(**QUICK),
    "DynIntClassifier(variant='dwp')": DynIntClassifier(variant="dwp", **QUICK),
    "ProfitClassifier": ProfitClassifier(search_epochs=1, **QUICK),
    "ProfitClassifier(predictor='mlp')": ProfitClassifier(
        predictor="mlp", search_epochs=1, **QUICK
    ),
    "OptFeatureClassifier": OptFeatureClassifier(search_epochs=1, **QUICK),
}


def microseconds(function, arguments, n_blocks=200, n_calls=20):
    """Return the time of a call in the fastest block, in microseconds."""
    times = []
    for block in range(n_blocks):
        chosen = [arguments[(block * n_calls + k) % len(arguments)] for k in range(n_calls)]
        started = time.perf_counter()
        for argument in chosen:
            function(argument)
        times.append((time.perf_counter() - started) / n_calls * 1e6)
    return min(times)


def unlike(value):
    """Return a value of the same type that no training row has."""
    return "?" if isinstance(value, str) else 10**6


def add_one_row(parser):
    """Add nothing: there is one measurement."""


def run_one_row(arguments):
    """Time predictions of a single row: from a DataFrame, and by `compile_predictor`.

        python examples/benchmarks/bench.py one_row

    Flights, 50,000 training rows. Microseconds of a call, in the fastest of 200 blocks of 20 calls
    with rows that differ: other programs only make a block slower. A tenth of the values are none
    of the training rows.
    """
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    X, y = load_flights(return_X_y=True)
    train, test = X[:50_000], X[50_000:51_000].copy()
    rng = np.random.default_rng(0)
    rows = [
        {name: unlike(value) if rng.random() < 0.1 else value for name, value in row.items()}
        for row in test.to_dict("records")
    ]
    tuples = [tuple(row.values()) for row in rows]
    frames = [test.iloc[k : k + 1] for k in range(200)]
    print(f"{'':36} {'DataFrame':>9} {'dict':>6} {'tuple':>6}  microseconds a row")
    for name, model in CLASSIFIERS.items():
        model.fit(train, y[:50_000])
        predict = model.compile_predictor()
        print(
            f"{name:36} {microseconds(model.predict_proba, frames, 30):9.0f} "
            f"{microseconds(predict, rows):6.0f} {microseconds(predict, tuples):6.0f}",
            flush=True,
        )


# ONNX graphs -----------------------------------------------------------------------------

N_TRAIN, N_TEST, N_SINGLE = 20_000, 4_096, 200
ESTIMATORS = CLASSIFIERS | {"DynIntRegressor": DynIntRegressor(**QUICK)}
# What the regressor predicts, by table.
NUMBERS = {"flights": "distance", "adult": "age", "amazon": "ROLE_DEPTNAME"}


def make_session(model):
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def make_feeds(session, X):
    """Return the columns of a table as the metadata of a graph ask for them."""
    fields = json.loads(session.get_modelmeta().custom_metadata_map["fields"])
    return {field["name"]: to_input(X[field["name"]], field["type"]) for field in fields}


def to_input(column, kind):
    missing = column.isna().to_numpy()
    if kind == "string":
        return np.where(missing, "", column.astype(object)).astype(object)[:, None]
    if kind == "float64":
        return column.to_numpy(np.float64, na_value=np.nan)[:, None]
    values = np.full(len(column), np.iinfo(np.int64).min)
    values[~missing] = column[~missing].astype(np.int64)
    return values[:, None]


def measure(name, table, X, y, X_test):
    model = ESTIMATORS[name]
    if name == "DynIntRegressor":
        column = NUMBERS[table]
        known = X[column].notna().to_numpy()
        y, X, X_test = X[column][known], X[known].drop(columns=column), X_test.drop(columns=column)
    model.fit(X, y)
    session = make_session(graph := to_onnx(model))
    output = "variable" if name == "DynIntRegressor" else "probabilities"
    predict = model.predict if output == "variable" else model.predict_proba
    feeds, expected = make_feeds(session, X_test), predict(X_test)
    rows = [{key: cells[k : k + 1] for key, cells in feeds.items()} for k in range(N_SINGLE)]
    found = session.run([output], feeds)[0].reshape(expected.shape)
    single = np.concatenate([session.run([output], row)[0] for row in rows])
    single = single.reshape(expected[:N_SINGLE].shape)
    unit = unit_of(model, expected)
    difference = max(
        (np.abs(found - expected) / unit).max(),
        (np.abs(single - expected[:N_SINGLE]) / unit[:N_SINGLE]).max(),
    )
    row = microseconds(lambda feed: session.run([output], feed), rows)
    whole = milliseconds(lambda: session.run([output], feeds))
    by_estimator = milliseconds(lambda: predict(X_test))
    print(
        f"{table:8} {name:34} {difference:10.1e} {row:6.0f} {whole:9.1f} "
        f"{by_estimator:9.1f} {len(graph.SerializeToString()) / 2**20:7.2f}",
        flush=True,
    )


def unit_of(model, predicted):
    """Return what a difference from every prediction is measured in, of the shape of these."""
    if not hasattr(model, "target_scale_"):
        return np.ones_like(predicted)
    return np.maximum(model.target_scale_, np.abs(predicted - model.target_mean_))


def milliseconds(call, n_calls=15):
    times = []
    for _ in range(n_calls):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return 1e3 * min(times)


def measure_strings():
    """Print the size of a graph whose only field has a million strings, without embeddings."""
    names = [f"user_{k:07d}" for k in range(1_000_000)]
    X = pd.DataFrame({"user": names, "shop": np.resize(["a", "b"], len(names))})
    encoder = FieldEncoder(numeric_columns="one")  # else values of one row are unknown
    clf = DynIntClassifier(embedding_dim=2, encoder=encoder, **QUICK)
    clf.fit(X, np.resize([0, 1, 1], len(names)))
    graph = to_onnx(clf)
    weights = sum(len(constant.raw_data) for constant in graph.graph.initializer)
    size = (len(graph.SerializeToString()) - weights) / 2**20
    print(f"1,000,000 strings of 12 letters: {size:.1f} MiB beside the embeddings")


def add_onnx_graphs(parser):
    parser.add_argument("tables", nargs="*", default=[*NUMBERS, "strings"])
    parser.add_argument("--data", type=Path, help="folder of the tables, but for flights")


def run_onnx_graphs(arguments):
    """ONNX graphs beside the estimators they were written from: agreement, speed, size.

        python examples/benchmarks/bench.py onnx_graphs flights adult amazon --data DIR

    20,000 training rows, one epoch. ``difference`` is the largest one between a prediction of
    onnxruntime and of the estimator, over 4,096 test rows at once and 200 of them one by one, in
    probability; of the regressor, which predicts a column of numbers, in standard deviations of the
    target, and beyond one of them in parts of the distance from the mean. Milliseconds and
    microseconds are those of the fastest of many calls. ``strings``: a field of a million strings;
    MiB are those of the graph without the embeddings.
    """
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(
        f"{'table':8} {'estimator':34} difference  us/row  ms, 4,096 rows  ms of the estimator  MiB"
    )
    for table in arguments.tables:
        if table == "strings":
            measure_strings()
            continue
        parts = load_parts(table, arguments.data, 0)
        X, y = parts.train[0][:N_TRAIN], parts.train[1][:N_TRAIN]
        for name in ESTIMATORS:
            measure(name, table, X, y, parts.test[0][:N_TEST])

"""Time predictions of a single row: from a DataFrame, and by `compile_predictor`.

    python examples/benchmarks/bench.py one_row

Flights, 50,000 training rows. Microseconds of a call, in the fastest of 200 blocks of 20 calls with
rows that differ: other programs only make a block slower. A tenth of the values are none of the
training rows.
"""

import time
import warnings

import numpy as np
import torch

from sparsectr import DynIntClassifier, OptFeatureClassifier, ProfitClassifier
from sparsectr.datasets import load_flights

QUICK = {"max_epochs": 1, "random_state": 0}
MODELS = {
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


def add_arguments(parser):
    """Add nothing: there is one measurement."""


def run(arguments):
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
    for name, model in MODELS.items():
        model.fit(train, y[:50_000])
        predict = model.compile_predictor()
        print(
            f"{name:36} {microseconds(model.predict_proba, frames, 30):9.0f} "
            f"{microseconds(predict, rows):6.0f} {microseconds(predict, tuples):6.0f}",
            flush=True,
        )

"""Out-of-fold log loss of settings on the development tables: how defaults are chosen.

    python examples/benchmarks/bench.py defaults dynint bank adult --data DIR --set max_epochs=3

Prints, per table, the log loss of three folds put together, CPU seconds and epochs per fit. Test
rows are not read. One thread; see suite/tables.py for the tables.
"""

import ast
import os
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from suite.tables import TABLES, load_table

from sparsectr import DynIntClassifier, OptFeatureClassifier, ProfitClassifier

METHODS = {
    "dynint": DynIntClassifier,
    "optfeature": OptFeatureClassifier,
    "profit": ProfitClassifier,
}


def measure(model, X, y, n_folds, seed):
    """Fit on every part of folds; return log loss, CPU seconds and epochs per fit."""
    probabilities, epochs, started = np.empty(len(y)), [], time.process_time()
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    for train, held_out in folds.split(X, y):
        fitted = model(seed).fit(X.iloc[train], y[train])
        probabilities[held_out] = fitted.predict_proba(X.iloc[held_out])[:, 1]
        epochs.append(fitted.n_iter_)
    seconds = (time.process_time() - started) / n_folds
    return log_loss(y, probabilities), seconds, np.mean(epochs)


def add_arguments(parser):
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("tables", nargs="+", choices=TABLES)
    parser.add_argument("--data", type=Path, default=os.environ.get("SPARSECTR_DATA", "."))
    parser.add_argument("--rows", type=int, default=15_000)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")


def run(arguments):
    settings = {}
    for setting in arguments.set:
        name, value = setting.split("=", 1)
        settings[name] = ast.literal_eval(value)
    warnings.simplefilter("ignore")
    for table in arguments.tables:
        (X, y), _ = load_table(table, arguments.data, arguments.rows)
        for seed in arguments.seeds:
            loss, seconds, epochs = measure(
                lambda seed: METHODS[arguments.method](random_state=seed, **settings),
                X,
                y,
                arguments.folds,
                seed,
            )
            found = f"log loss {loss:.5f}, {seconds:.2f} s, {epochs:.1f} epochs"
            print(table, seed, found, flush=True)

"""Variants of the methods beside each other: searches and spaces, layers, gates.

    python examples/benchmarks/bench.py variants ml1m --data DIR --models LR FM PROFIT DynInt
    python examples/benchmarks/bench.py variants frappe --data DIR --models "DynInt, DA"
    python examples/benchmarks/bench.py variants amazon --data DIR --models "gates, hybrid"

FM and logistic regression are trained by the same loop. Tables lie below --data or the folder named
by the variable SPARSECTR_DATA, in the forms described in ``suite/datasets.py``; the bundled flights
need none. Prints a line per fit and the means over the seeds. For rows beside other libraries, see
the command ``run``.
"""

import ast
import os
import time
from math import comb
from pathlib import Path

import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score
from suite.datasets import SOURCES, load_parts
from suite.models import find_settings

from sparsectr import DynIntClassifier, OptFeatureClassifier, ProfitClassifier

DEEP = {
    "predictor": "mlp",
    "hidden_units": (400, 400, 400),
    "dropout": 0.2,
    "learning_rate": 1e-3,
}
WIDE = {"max_order": 3, "space": "cp"}
# An FM is the kept net with all pairs, weights of 1 and embeddings from scratch; a logistic
# regression is the kept net without crosses. Their one epoch of search is not used.
UNSEARCHED = {"search_epochs": 1, "screening": None, "retrain_from": "scratch"}
# A joint search whose gates cannot move leaves the product network without gates.
UNGATED = {
    "granularity": "field",
    "search": "joint",
    "search_epochs": 1,
    "selection_learning_rate": 1e-12,
}
PROFIT = {
    "LR": UNSEARCHED | {"n_crosses": {2: 0}},
    "FM": UNSEARCHED | {"retrain_weights": "ones"},  # and all pairs
    "PROFIT": WIDE,
    "PROFIT, MLP": WIDE | DEEP,
    "no screening": WIDE | {"screening": None},
    "one-step": WIDE | {"search": "one_step"},
    "random": WIDE | {"search": "random"},
    "full space": {"max_order": 3, "space": "full"},
}
DYNINT = {"DynInt": {}} | {f"DynInt, {v.upper()}": {"variant": v} for v in ("da", "dgp", "dwp")}
GATES = {"no gates": UNGATED} | {
    f"gates, {granularity}": {"granularity": granularity}
    for granularity in ("field", "value", "hybrid")
}
MODELS = [*PROFIT, *DYNINT, *GATES]


def make_model(name, dataset, n_fields, changes):
    """Return the estimator of a row of the tables."""
    if name in GATES:
        settings = find_settings(dataset, "optfeature-hybrid", "chosen")
        monitor = SOURCES[dataset].monitor
        return OptFeatureClassifier(**{"monitor": monitor} | settings | changes | GATES[name])
    if name in DYNINT:
        return DynIntClassifier(**DYNINT[name] | changes)
    if name == "FM":
        changes = {"n_crosses": {2: comb(n_fields, 2)}} | changes
    return ProfitClassifier(**PROFIT[name] | changes)


def measure(name, dataset, parts, changes, seed):
    """Fit once and return a record."""
    (X, y), (X_val, y_val), (X_test, y_test) = parts
    clf = make_model(name, dataset, X.shape[1], changes | {"random_state": seed})
    started = time.perf_counter()
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    seconds = time.perf_counter() - started
    probability = clf.predict_proba(X_test)[:, 1]
    record = {
        "model": name,
        "seed": seed,
        "AUC": roc_auc_score(y_test, probability),
        "log loss": log_loss(y_test, probability),
        "epochs": clf.n_iter_,
        "seconds": seconds,
    }
    if name in GATES:
        rates = clf.keep_rate_
        record |= {"share kept": rates.mean(), "removed": (rates == 0).mean()}
    print(record, [str(cross) for cross in clf.selected_interactions_[:5]], flush=True)
    return record


def parse_value(text):
    """Read 3, 0.5, None, True or (400, 400) as Python does, and anything else as a string."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def add_arguments(parser):
    parser.add_argument("dataset", choices=SOURCES)
    parser.add_argument("--data", type=Path, default=os.environ.get("SPARSECTR_DATA"))
    parser.add_argument("--n-rows", type=int, help="use the first rows only, for a trial")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, metavar="MODEL")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")


def run(arguments):
    dataset = arguments.dataset
    if arguments.data is None and dataset != "flights":
        raise SystemExit("pass --data or set SPARSECTR_DATA")
    changes = dict(pair.split("=") for pair in arguments.set)
    changes = {name: parse_value(text) for name, text in changes.items()}
    results = []
    for seed in arguments.seeds:
        parts = load_parts(dataset, Path(arguments.data or "."), seed, arguments.n_rows)
        for name in arguments.models:
            results.append(measure(name, dataset, parts, changes, seed))
    print(pd.DataFrame(results).groupby("model", sort=False).mean().drop(columns="seed").round(4))

"""Variants of the methods beside each other: searches and spaces, layers, gates.

    python examples/benchmarks/bench.py variants ml1m --data DIR --models LR FM PROFIT DynInt
    python examples/benchmarks/bench.py variants frappe --data DIR --models "DynInt, DA"
    python examples/benchmarks/bench.py variants amazon --data DIR --models "gates, hybrid"
    python examples/benchmarks/bench.py variants flights --models DynInt --vary n_layers=[0,1,2,3]
    python examples/benchmarks/bench.py variants flights --models AutoFIS --vary c=[.001,.004]

FM, logistic regression and AutoFIS are trained by the same loop. Tables lie below --data or the
folder named by the variable SPARSECTR_DATA, in the forms described in ``suite/datasets.py``; the
bundled flights need none. Prints a line per fit and the means over the seeds, for every value of a
parameter where ``--vary`` names one: choose it by the validation columns. ``--out`` writes a line
per fit into a file. For rows beside other libraries, see the command ``run``.
"""

import ast
import json
import os
import time
from itertools import product
from math import comb
from pathlib import Path

import pandas as pd
from autofis import AutoFISClassifier
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
MODELS = [*PROFIT, "AutoFIS", *DYNINT, *GATES]


def make_model(name, dataset, n_fields, changes):
    """Return the estimator of a row of the tables."""
    if name in GATES:
        settings = find_settings(dataset, "optfeature-hybrid", "chosen")
        monitor = SOURCES[dataset].monitor
        return OptFeatureClassifier(**{"monitor": monitor} | settings | changes | GATES[name])
    if name in DYNINT:
        return DynIntClassifier(**DYNINT[name] | changes)
    if name == "AutoFIS":
        return AutoFISClassifier(**changes)
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
    record = {"dataset": dataset, "model": name, "seed": seed, "settings": str(changes)}
    for part, table, labels in (("validation", X_val, y_val), ("test", X_test, y_test)):
        probability = clf.predict_proba(table)[:, 1]
        record[f"{part} AUC"] = roc_auc_score(labels, probability)
        record[f"{part} log loss"] = log_loss(labels, probability)
    record |= {"epochs": clf.n_iter_, "seconds": seconds}
    if name in GATES:
        rates = clf.keep_rate_
        record |= {"share kept": rates.mean(), "removed": (rates == 0).mean()}
    if name in PROFIT or name == "AutoFIS":
        record["crosses kept"] = len(clf.crosses_)
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
    parser.add_argument("--vary", metavar="NAME=[VALUE,...]", help="a parameter and its values")
    parser.add_argument("--out", type=Path, help="a file of JSON lines to append to")


def run(arguments):
    dataset = arguments.dataset
    if arguments.data is None and dataset != "flights":
        raise SystemExit("pass --data or set SPARSECTR_DATA")
    changes = dict(pair.split("=") for pair in arguments.set)
    changes = {name: parse_value(text) for name, text in changes.items()}
    varied = [{}]
    if arguments.vary:
        parameter, values = arguments.vary.split("=")
        varied = [{parameter: value} for value in parse_value(values)]
    results = []
    for seed in arguments.seeds:
        parts = load_parts(dataset, Path(arguments.data or "."), seed, arguments.n_rows)
        for name, variation in product(arguments.models, varied):
            record = measure(name, dataset, parts, changes | variation, seed)
            if arguments.out:
                with arguments.out.open("a") as file:
                    file.write(json.dumps(record) + "\n")
            results.append(record)
    means = pd.DataFrame(results).groupby(["model", "settings"], sort=False)
    print(means.mean(numeric_only=True).drop(columns="seed").round(4).to_string())

"""PROFIT's searches and spaces, DynInt's variants, and FM and a linear model by the same loop.

Reads the tables below --data, or below the folder named by the variable SPARSECTR_DATA, in the
forms described in ``suite/datasets.py``:

    python examples/benchmarks/quality.py frappe --data DIR --models "DynInt, DA"
    python examples/benchmarks/quality.py ml1m --data DIR --models LR FM PROFIT DynInt

Prints a line per fit and the means over the seeds. For rows beside other libraries, see bench.py.
"""

import argparse
import ast
import os
import time
from math import comb
from pathlib import Path

import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score
from suite.datasets import SOURCES, load_parts

from sparsectr.methods.dynint.classifier import DynIntClassifier
from sparsectr.methods.profit.classifier import ProfitClassifier

DEEP = {
    "predictor": "mlp",
    "hidden_units": (400, 400, 400),
    "dropout": 0.2,
    "learning_rate": 1e-3,
}
# An FM is the kept net with all pairs, weights of 1 and embeddings from scratch; a logistic
# regression is the kept net without crosses. Their one epoch of search is not used.
UNSEARCHED = {"search_epochs": 1, "screening": None, "retrain_from": "scratch"}


def make_models(n_fields):
    """Return the estimator of every row of the tables."""
    wide = {"max_order": 3, "space": "cp"}
    profit = {
        "LR": UNSEARCHED | {"n_crosses": {2: 0}},
        "FM": UNSEARCHED | {"n_crosses": {2: comb(n_fields, 2)}, "retrain_weights": "ones"},
        "PROFIT": wide,
        "PROFIT, MLP": wide | DEEP,
        "no screening": wide | {"screening": None},
        "one-step": wide | {"search": "one_step"},
        "random": wide | {"search": "random"},
        "full space": {"max_order": 3, "space": "full"},
    }
    variants = {f"DynInt, {variant.upper()}": variant for variant in ("da", "dgp", "dwp")}
    return (
        {name: ProfitClassifier(**parameters) for name, parameters in profit.items()}
        | {"DynInt": DynIntClassifier()}
        | {name: DynIntClassifier(variant=variant) for name, variant in variants.items()}
    )


def parse_value(text):
    """Read 3, 0.5, None, True or (400, 400) as Python does, and anything else as a string."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=SOURCES)
    parser.add_argument("--data", type=Path, default=os.environ.get("SPARSECTR_DATA"))
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("pass --data or set SPARSECTR_DATA")
    changes = dict(pair.split("=") for pair in arguments.set)
    changes = {name: parse_value(text) for name, text in changes.items()}
    results = []
    for seed in arguments.seeds:
        (X, y), (X_val, y_val), (X_test, y_test) = load_parts(
            arguments.dataset, Path(arguments.data), seed
        )
        models = make_models(X.shape[1])
        for name in arguments.models or models:
            clf = models[name].set_params(**changes, random_state=seed)
            started = time.perf_counter()
            clf.fit(X, y, X_val=X_val, y_val=y_val)
            seconds = time.perf_counter() - started
            probability = clf.predict_proba(X_test)[:, 1]
            row = {
                "model": name,
                "seed": seed,
                "AUC": roc_auc_score(y_test, probability),
                "log loss": log_loss(y_test, probability),
                "epochs": clf.n_iter_,
                "seconds": seconds,
            }
            results.append(row)
            print(row, [str(cross) for cross in clf.selected_interactions_[:5]], flush=True)
    print(pd.DataFrame(results).groupby("model", sort=False).mean().drop(columns="seed").round(4))


if __name__ == "__main__":
    main()

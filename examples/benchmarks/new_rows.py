"""What training that goes on is worth: a model of January to June meets one month after the other.

Every month is predicted first and learnt then: not at all, by one epoch of `partial_fit`, by a warm
start that stops early, or by a new fit on all months so far, which stops early by random rows or by
those of the last month:

    python examples/benchmarks/bench.py new_rows --seeds 0 1 2

Prints log loss and AUC of every month, and the means with the seconds that a month costs.
"""

import time

import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from sparsectr import DynIntClassifier
from sparsectr.datasets import load_flights

FIRST = 7  # the first month to predict


def keep(clf, old, new):
    return clf


def fit_one_epoch(clf, old, new):
    return clf.partial_fit(*new)


def fit_warm(clf, old, new):
    return clf.set_params(warm_start=True).fit(*new)


def fit_anew(clf, old, new):
    both = zip(old, new, strict=True)
    return clf.set_params(warm_start=False).fit(*(pd.concat(parts) for parts in both))


def fit_anew_by_month(clf, old, new):
    return clf.set_params(warm_start=False).fit(*old, X_val=new[0], y_val=new[1])


WAYS = {
    "fitted once": keep,
    "partial_fit": fit_one_epoch,
    "warm start": fit_warm,
    "fitted anew": fit_anew,
    "stopped by month": fit_anew_by_month,
}


def follow_months(X, y, months, way, seed):
    """Return way, month, log loss, AUC and seconds of learning."""
    clf = DynIntClassifier(random_state=seed).fit(X[months < FIRST], y[months < FIRST])
    rows = []
    for month in range(FIRST, 13):
        old, new = months < month, months == month
        p = clf.predict_proba(X[new])[:, 1]
        start = time.perf_counter()
        clf = WAYS[way](clf, (X[old], y[old]), (X[new], y[new]))
        seconds = time.perf_counter() - start
        rows.append([way, month, log_loss(y[new], p), roc_auc_score(y[new], p), seconds])
        print(f"seed {seed}, {way}, month {month}: {rows[-1][2]:.4f} {rows[-1][3]:.4f}", flush=True)
    return pd.DataFrame(rows, columns=["way", "month", "log_loss", "auc", "seconds"])


def add_arguments(parser):
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))


def run(arguments):
    X, y = load_flights(return_X_y=True)
    # The month itself is a value that the model has never seen.
    months = X.pop("month").to_numpy()
    table = pd.concat(
        follow_months(X, y, months, way, seed) for way in arguments.ways for seed in arguments.seeds
    )
    means = table.groupby("way", sort=False)[["log_loss", "auc", "seconds"]].mean()
    print(means.round(4).to_string())

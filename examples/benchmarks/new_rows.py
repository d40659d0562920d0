"""What training that goes on is worth: a model of January to June meets one month after the other.

Every month is predicted first and learnt then: not at all, by one epoch of `partial_fit`, with
vocabularies that stay or grow, by a warm start that stops early, or by a new fit on all months so
far, which stops early by random rows or by those of the last month:

    python examples/benchmarks/bench.py new_rows --seeds 0 1 2

Prints log loss and AUC of every month, and the means with the CPU seconds that a month costs. Or a
stream of clicks in which a quarter of the users is new in every chunk; the means are those of its
second half:

    python examples/benchmarks/bench.py new_rows --table users --seeds 0 1 2
"""

import time

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from sparsectr import DynIntClassifier, FieldEncoder
from sparsectr.datasets import load_flights

FIRST = 7  # the first month to predict
# Chunks of the users' stream, rows of one, users that are active, and how many of them are new.
N_CHUNKS, CHUNK_ROWS, N_USERS, N_NEW = 12, 10_000, 1_000, 250


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
    "partial_fit, grow": fit_one_epoch,
    "partial_fit, grow from 5": fit_one_epoch,
    "warm start": fit_warm,
    "fitted anew": fit_anew,
    "stopped by month": fit_anew_by_month,
}


ENCODERS = {
    "partial_fit, grow": FieldEncoder(new_values="grow"),
    "partial_fit, grow from 5": FieldEncoder(new_values="grow", min_frequency=5),
}


def follow(X, y, times, first, way, seed):
    """Return way, time, log loss, AUC and seconds of learning; the times before are fitted."""
    clf = DynIntClassifier(random_state=seed, encoder=ENCODERS.get(way, "auto"))
    clf.fit(X[times < first], y[times < first])
    rows = []
    for now in range(first, times.max() + 1):
        old, new = times < now, times == now
        p = clf.predict_proba(X[new])[:, 1]
        start = time.process_time()
        clf = WAYS[way](clf, (X[old], y[old]), (X[new], y[new]))
        seconds = time.process_time() - start
        rows.append([way, now, log_loss(y[new], p), roc_auc_score(y[new], p), seconds])
        print(f"seed {seed}, {way}, time {now}: {rows[-1][2]:.4f} {rows[-1][3]:.4f}", flush=True)
    return pd.DataFrame(rows, columns=["way", "time", "log_loss", "auc", "seconds"])


def load_months(seed):
    X, y = load_flights(return_X_y=True)
    # The month itself is a value that the model has never seen.
    months = X.pop("month").to_numpy()
    return X, y, months, FIRST


def make_users(seed):
    """Clicks of users who come and go, of items, and of hours, with a cross of both."""
    rng = np.random.default_rng(seed)
    n_rows = N_CHUNKS * CHUNK_ROWS
    chunks = np.repeat(np.arange(N_CHUNKS), CHUNK_ROWS)
    users = chunks * N_NEW + rng.integers(0, N_USERS, n_rows)
    items, hours = rng.integers(0, 300, n_rows), rng.integers(0, 24, n_rows)
    of_users = rng.normal(0, 1.2, N_USERS + N_CHUNKS * N_NEW)
    of_both = rng.normal(0, 0.5, (300, 24))
    logits = of_users[users] + of_both[items, hours] - 1
    y = pd.Series((rng.random(n_rows) < 1 / (1 + np.exp(-logits))).astype(int))
    columns = {"user": users, "item": items, "hour": hours}
    X = pd.DataFrame({name: values.astype(str) for name, values in columns.items()})
    return X, y, chunks, 1


TABLES = {"flights": load_months, "users": make_users}


def add_arguments(parser):
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--table", choices=TABLES, default="flights")


def run(arguments):
    found = []
    for seed in arguments.seeds:
        rows = TABLES[arguments.table](seed)
        found += [follow(*rows, way, seed) for way in arguments.ways]
    table = pd.concat(found)
    if arguments.table == "users":
        table = table[table["time"] >= N_CHUNKS // 2]
    means = table.groupby("way", sort=False)[["log_loss", "auc", "seconds"]].mean()
    print(means.round(4).to_string())

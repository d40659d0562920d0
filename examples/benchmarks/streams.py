"""Streams of clicks: what training that goes on is worth, and ways to train on rare ones.

    python examples/benchmarks/bench.py new_rows --seeds 0 1 2
    python examples/benchmarks/bench.py imbalanced --seeds 0 1 2

``--help`` of each says what it measures and how.
"""

import time

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import f1_score, log_loss, roc_auc_score
from sklearn.model_selection import TunedThresholdClassifierCV

from sparsectr import DynIntClassifier, FieldEncoder
from sparsectr.datasets import load_flights, make_clicks
from sparsectr.metrics import calibration_error

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


def add_new_rows(parser):
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--table", choices=TABLES, default="flights")


def run_new_rows(arguments):
    """What training that goes on is worth, to a model that meets one month after the other.

    It has seen January to June. Every month is predicted first and learnt then: not at all, by one
    epoch of `partial_fit`, with vocabularies that stay or grow, by a warm start that stops early,
    or by a new fit on all months so far, which stops early by random rows or by those of the last
    month:

        python examples/benchmarks/bench.py new_rows --seeds 0 1 2

    Prints log loss and AUC of every month, and the means with the CPU seconds that a month costs.
    Or a stream of clicks in which a quarter of the users is new in every chunk; the means are those
    of its second half:

        python examples/benchmarks/bench.py new_rows --table users --seeds 0 1 2
    """
    found = []
    for seed in arguments.seeds:
        rows = TABLES[arguments.table](seed)
        found += [follow(*rows, way, seed) for way in arguments.ways]
    table = pd.concat(found)
    if arguments.table == "users":
        table = table[table["time"] >= N_CHUNKS // 2]
    means = table.groupby("way", sort=False)[["log_loss", "auc", "seconds"]].mean()
    print(means.round(4).to_string())


# Rare clicks -----------------------------------------------------------------------------

RATE, N_TRAIN, N_CALIBRATION = 0.1, 30_000, 10_000
MEASURES = ["log loss", "calibration error", "AUC", "mean probability", "F1"]


def evaluate(model, X, y):
    """Return the measures of a fitted model."""
    p = model.predict_proba(X)[:, 1]
    return [
        log_loss(y, p),
        calibration_error(y, p),
        roc_auc_score(y, p),
        p.mean(),
        f1_score(y, model.predict(X)),
    ]


def fit_all(seed):
    """Yield names and fitted models, and the test rows."""
    clicks = make_clicks(60_000, 6, 20, base_rate=0.03, random_state=seed)
    X, y, n = clicks.X, clicks.y, N_TRAIN
    kept = (y[:n] == 1) | (np.random.default_rng(seed).random(n) < RATE)
    sampled = X[:n][kept], y[:n][kept]
    free = slice(n, n + N_CALIBRATION)
    test = X[n + N_CALIBRATION :], y[n + N_CALIBRATION :]

    def net(**settings):
        return DynIntClassifier(random_state=seed, max_epochs=6, **settings)

    uncorrected = net().fit(*sampled)
    yield "sampled negatives, no rate", uncorrected, test
    yield (
        "sampled negatives, `negative_sampling_rate=0.1`",
        net(negative_sampling_rate=RATE).fit(*sampled),
        test,
    )
    weights = np.where(sampled[1] == 1, 1, 1 / RATE)
    yield (
        "sampled negatives, `sample_weight` 10 for them",
        net().fit(*sampled, sample_weight=weights),
        test,
    )
    for method in ("sigmoid", "isotonic"):
        calibrated = CalibratedClassifierCV(FrozenEstimator(uncorrected), method=method)
        yield (
            f"sampled negatives, calibrated ({method}) on 10,000 other rows",
            calibrated.fit(X[free], y[free]),
            test,
        )
    everything = net().fit(X[:n], y[:n])
    yield "all rows", everything, test
    tuned = TunedThresholdClassifierCV(
        FrozenEstimator(everything), scoring="f1", cv="prefit", refit=False
    )
    yield "all rows, threshold tuned for F1 on 10,000 other rows", tuned.fit(X[free], y[free]), test
    yield (
        "all rows, `class_weight='balanced'`",
        net(class_weight="balanced").fit(X[:n], y[:n]),
        test,
    )


def add_imbalanced(parser):
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])


def run_imbalanced(arguments):
    """Compare ways to train on rare clicks, by probabilities of the full stream.

        python examples/benchmarks/bench.py imbalanced --seeds 0 1 2

    `make_clicks` with a base rate of 3 %: 30,000 rows to train on, of which the sampled fits see
    every click and a tenth of the others; 10,000 further rows, not sampled, for calibration; 20,000
    to test.
    """
    results = {}
    for seed in arguments.seeds:
        for name, model, test in fit_all(seed):
            results.setdefault(name, []).append(evaluate(model, *test))
    print("| training | " + " | ".join(MEASURES) + " |")
    print("|---" * (1 + len(MEASURES)) + "|")
    for name, rows in results.items():
        cells = " | ".join(f"{value:.4f}" for value in np.mean(rows, axis=0))
        print(f"| {name} | {cells} |")

"""Time whole processes: imports, a fit from raw columns, a grid search, a fit beside a neighbour.

    python examples/benchmarks/bench.py processes import
    python examples/benchmarks/bench.py processes flights --threads 2     (needs LightGBM)
    python examples/benchmarks/bench.py processes grid
    python examples/benchmarks/bench.py processes neighbour --threads 2 --estimator PROFIT

Every side runs in processes of its own, in turn (A B B A ...), and the fastest of each counts. Run
them on a machine that does nothing else.
"""

import importlib
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split

from sparsectr import DynIntClassifier, OptFeatureClassifier, ProfitClassifier
from sparsectr.datasets import load_flights

IMPORTS = {"sparsectr": "import sparsectr", "parts": "import torch, sklearn, pandas"}
GRID = {"embedding_dim": [8, 16], "n_layers": [1, 2]}
GRID_ROWS = 60_000
FLIGHTS = {"DynInt": {}, "DynInt, 2 epochs": {"max_epochs": 2}, "LightGBM": None}
BENCH = str(Path(__file__).with_name("bench.py"))
NEIGHBOUR = "while True: pass"
ESTIMATORS = {
    "DynInt": DynIntClassifier(n_interactions=1),
    "PROFIT": ProfitClassifier(),
    "OptFeature": OptFeatureClassifier(),
}


def time_process(arguments, threads):
    """Return the seconds of a process, and what it prints; ``threads`` may be left to it."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS") if threads else ()
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        env=os.environ | dict.fromkeys(names, str(threads)),
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - started, done.stdout.strip()


def compare(sides, rounds, threads):
    """Run every side in turn and print its fastest process."""
    times, words = {name: [] for name in sides}, {}
    for turn in range(rounds):
        for name in list(sides)[:: 1 if turn % 2 == 0 else -1]:
            seconds, words[name] = time_process(sides[name], threads)
            times[name].append(seconds)
    fastest = {name: min(values) for name, values in times.items()}
    first, *_ = fastest.values()
    for name, seconds in fastest.items():
        print(
            f"{name:<24}{seconds:8.2f} s (median {np.median(times[name]):.2f}), "
            f"first / this {first / seconds:.2f}  {words[name]}"
        )


def fit_flights(model):
    """Fit from raw columns to a prediction, with a tenth of the rows to stop by."""
    X, y = load_flights(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
    X, X_val, y, y_val = train_test_split(X, y, test_size=0.1, random_state=0)
    settings = FLIGHTS[model]
    if settings is None:
        lightgbm = importlib.import_module("lightgbm")  # installed where it is compared with
        names = list(X.select_dtypes(exclude="number"))
        kinds = {name: X[name].astype("category").dtype for name in names}
        X, X_val, X_test = (part.astype(kinds) for part in (X, X_val, X_test))
        clf = lightgbm.LGBMClassifier(
            n_estimators=2000,
            learning_rate=0.05,
            n_jobs=torch.get_num_threads(),
            verbose=-1,
        )
        clf.fit(
            X, y, eval_set=[(X_val, y_val)], callbacks=[lightgbm.early_stopping(50, verbose=False)]
        )
    else:
        clf = DynIntClassifier(random_state=0, n_interactions=1, **settings)
        clf.fit(X, y, X_val=X_val, y_val=y_val)
    print(f"test log loss {log_loss(y_test, clf.predict_proba(X_test)[:, 1]):.4f}")


def search_grid(n_jobs):
    """Search four settings by two-fold cross-validation."""
    X, y = load_flights(return_X_y=True)
    clf = DynIntClassifier(random_state=0, max_epochs=6, early_stopping=False, n_interactions=1)
    search = GridSearchCV(clf, GRID, cv=2, n_jobs=n_jobs, scoring="neg_log_loss", refit=False)
    search.fit(X[:GRID_ROWS], y[:GRID_ROWS])
    print(f"best {search.best_params_}, {-search.best_score_:.4f}")


def compare_neighbour(name, batch_size, threads):
    """Print rows per second of the median epoch alone, and beside a process that never rests."""
    if threads:
        torch.set_num_threads(threads)
    X, y = load_flights(return_X_y=True)

    def fit():
        clf = clone(ESTIMATORS[name]).set_params(
            random_state=0, batch_size=batch_size, max_epochs=4, early_stopping=False
        )
        clf.fit(X, y)
        return len(y) / np.median(clf.epoch_seconds_)

    fit()  # compiles
    alone = fit()
    neighbour = subprocess.Popen([sys.executable, "-c", NEIGHBOUR])
    try:
        beside = fit()
    finally:
        neighbour.kill()
    print(
        f"{name}, {threads} threads: {alone:,.0f} rows/s alone, {beside:,.0f} beside: "
        f"{beside / alone:.2f}"
    )


def add_arguments(parser):
    parser.add_argument("what", choices=["import", "flights", "grid", "neighbour"])
    parser.add_argument("--threads", type=int, help="as many as there are cores if not given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--estimator", choices=ESTIMATORS, default="DynInt", help="of neighbour")
    parser.add_argument("--batch-size", type=int, default=4096, help="of neighbour")
    parser.add_argument("--one", help="what a single process of a comparison does")


def run(arguments):
    warnings.filterwarnings("ignore")
    rounds, threads, this = arguments.rounds, arguments.threads, [BENCH, "processes"]
    if arguments.what == "import":
        compare({name: ["-c", code] for name, code in IMPORTS.items()}, rounds, threads)
    elif arguments.what == "flights":
        if arguments.one:
            fit_flights(arguments.one)
            return
        sides = {name: [*this, "flights", "--one", name] for name in FLIGHTS}
        compare(sides, rounds, threads)
    elif arguments.what == "grid":
        if arguments.one:
            search_grid(int(arguments.one))
            return
        sides = {f"n_jobs={n}": [*this, "grid", "--one", str(n)] for n in (1, 2)}
        compare(sides, rounds, threads)
    else:
        compare_neighbour(arguments.estimator, arguments.batch_size, threads)

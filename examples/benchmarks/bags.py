"""Compare fields of several values with the same cells as one category, and with neither.

MovieLens-1M, a rating above 3 or not, eight fields. A film has one to six genres of 18, written as
``Action|Comedy``: 301 different strings. Tested are random rows, or all rows of a tenth of the
films, which training has not seen.

    python examples/benchmarks/bench.py bags --data DIR [--n-rows 200000] [--methods dynint]
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score
from suite.datasets import read_ratings

from sparsectr import DynIntClassifier, FieldEncoder, OptFeatureClassifier, ProfitClassifier

METHODS = {
    "dynint": DynIntClassifier,
    "optfeature": OptFeatureClassifier,
    "profit": ProfitClassifier,
}
FORMS = ("none", "category", "set")
TEST_SHARE = 0.1


def split(table: pd.DataFrame, by: str, n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows to train on and to test on: random ones, or those of other films."""
    rng = np.random.default_rng(seed)
    if by == "films":
        films = table["movie_id"].unique()
        new = rng.permutation(films)[: int(TEST_SHARE * len(films))]
        is_test = table["movie_id"].isin(new).to_numpy()
    else:
        is_test = rng.random(len(table)) < TEST_SHARE
    train = rng.permutation(np.flatnonzero(~is_test))
    return train[: n_rows or None], np.flatnonzero(is_test)


def measure(
    table: pd.DataFrame, y: np.ndarray, by: str, method: str, form: str, n_rows: int, seed: int
) -> None:
    """Fit one model and print how it predicts the test rows."""
    train, test = split(table, by, n_rows, seed)
    X = table.drop(columns="genres") if form == "none" else table
    encoder = FieldEncoder(multi_valued={"genres": "|"} if form == "set" else None)
    started = time.process_time()
    clf = METHODS[method](encoder=encoder, random_state=seed).fit(X.iloc[train], y[train])
    seconds = time.process_time() - started
    predicted = clf.predict_proba(X.iloc[test])[:, 1]
    print(
        f"{by:6} {method:10} {form:8} seed {seed}  log loss {log_loss(y[test], predicted):.5f}  "
        f"AUC {roc_auc_score(y[test], predicted):.5f}  {seconds:.0f} s",
        flush=True,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to measure."""
    parser.add_argument("--data", type=Path, required=True, help="folder of movielens-1m")
    parser.add_argument("--n-rows", type=int, default=200_000, help="to train on; 0 takes all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--by", nargs="+", choices=["rows", "films"], default=["rows", "films"])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))


def run(arguments: argparse.Namespace) -> None:
    """Measure every combination."""
    table = read_ratings(arguments.data)
    y = (table.pop("rating") > 3).to_numpy().astype(int)
    for by in arguments.by:
        for method in arguments.methods:
            for seed in arguments.seeds:
                for form in arguments.forms:
                    measure(table, y, by, method, form, arguments.n_rows, seed)

"""What discovered crosses are worth to other models.

Logistic regression (one-hot) and LightGBM (categories and out-of-fold target statistics), each
without crosses, with 20 discovered ones, and with 20 random ones of the same orders:

    python examples/benchmarks/bench.py uplift flights --estimators PROFIT --seeds 0 1 2
    python examples/benchmarks/bench.py uplift amazon adult frappe --data DIR

Flights are bundled; the other tables lie below --data or the folder named by SPARSECTR_DATA, in the
forms described in ``suite/datasets.py``. The validation part stops the training early and chooses
the penalty of the logistic regression. Prints a line per fit and the means over the seeds. Needs
LightGBM.
"""

import os
import time
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from suite.datasets import SOURCES, load_parts

from sparsectr import (
    DynIntClassifier,
    Interaction,
    InteractionFeatures,
    OptFeatureClassifier,
    ProfitClassifier,
)

N_CROSSES = 20
PENALTIES = [0.03, 0.1, 0.3, 1.0, 3.0]  # C of LogisticRegression
ESTIMATORS = {
    "PROFIT": ProfitClassifier(max_order=2, n_crosses=N_CROSSES),
    "DynInt": DynIntClassifier(),
    "OptFeature": OptFeatureClassifier(),
}


class RandomCrosses(BaseEstimator):
    """List random crosses of given orders."""

    def __init__(self, orders=(), random_state=None):
        self.orders = orders
        self.random_state = random_state

    def fit(self, X, y):
        rng, drawn = np.random.default_rng(self.random_state), {}
        for order in self.orders:
            while (fields := tuple(np.sort(rng.choice(X.shape[1], order, replace=False)))) in drawn:
                pass
            drawn[fields] = Interaction(tuple(X.columns[list(fields)]), order, 0.0)
        self.selected_interactions_ = list(drawn.values())
        return self


# Models -----------------------------------------------------------------------------------


def predict_logistic(make_features, parts):
    """Return test probabilities of the penalty that is best on the validation part."""
    (X, y), (X_val, y_val), (X_test, _) = parts
    features = make_features(encoder="onehot")
    columns = features.fit_transform(X, y)
    validation, test = features.transform(X_val), features.transform(X_test)
    models = [
        LogisticRegression(C=penalty, max_iter=300, tol=1e-3).fit(columns, y)
        for penalty in PENALTIES
    ]
    losses = [log_loss(y_val, model.predict_proba(validation)) for model in models]
    best = models[int(np.argmin(losses))]
    return best.predict_proba(test)[:, 1], f"C={best.C}"


def predict_lightgbm(make_features, parts):
    """Return test probabilities of boosted trees on categories and target statistics."""
    (X, y), (X_val, y_val), (X_test, _) = parts
    statistics = make_features(encoder="target")
    categories = make_features(encoder="codes", n_interactions=0)
    columns = np.hstack([categories.fit_transform(X, y), statistics.fit_transform(X, y)])
    validation, test = (
        np.hstack([categories.transform(rows), statistics.transform(rows)])
        for rows in (X_val, X_test)
    )
    parameters = {"objective": "binary", "learning_rate": 0.05, "num_threads": 1, "verbose": -1}
    data = lightgbm.Dataset(columns, y, categorical_feature=list(range(X.shape[1])))
    booster = lightgbm.train(
        parameters | {"max_cat_to_onehot": 8, "cat_smooth": 20},
        data,
        num_boost_round=2_000,
        valid_sets=lightgbm.Dataset(validation, y_val, reference=data),
        callbacks=[lightgbm.early_stopping(50, verbose=False)],
    )
    return booster.predict(test), f"{booster.best_iteration} trees"


MODELS = {"logistic": predict_logistic, "LightGBM": predict_lightgbm}


def measure(models, table, parts, crosses, name, seed):
    """Fit these models on the fields and these crosses; print and return the results."""
    rows = []
    for model in models:

        def make_features(**parameters):
            settings = {"n_interactions": N_CROSSES, "random_state": seed} | parameters
            return InteractionFeatures(FrozenEstimator(crosses), **settings)

        started = time.perf_counter()
        probability, setting = MODELS[model](make_features, parts)
        y_test = parts[2][1]
        row = {
            "table": table,
            "model": model,
            "crosses": name,
            "seed": seed,
            "AUC": round(float(roc_auc_score(y_test, probability)), 5),
            "log loss": round(float(log_loss(y_test, probability)), 5),
            "seconds": round(time.perf_counter() - started),
        }
        print(row, setting, flush=True)
        rows.append(row)
    return rows


def measure_crosses(models, table, parts, names, seed):
    """Measure without crosses, and for each estimator with its crosses and random ones."""
    (X, y), (X_val, y_val), _ = parts
    results = measure(models, table, parts, RandomCrosses().fit(X, y), "none", seed)
    for name in names:
        started = time.perf_counter()
        clf = ESTIMATORS[name].set_params(random_state=seed)
        clf.fit(X, y, X_val=X_val, y_val=y_val)
        found = clf.selected_interactions_[:N_CROSSES]
        print(f"{name} {time.perf_counter() - started:.0f} s:", *map(str, found), sep="\n  ")
        results += measure(models, table, parts, clf, name, seed)
        orders = [cross.order for cross in found]
        drawn = RandomCrosses(orders, random_state=seed).fit(X, y)
        results += measure(models, table, parts, drawn, f"random, orders of {name}", seed)
    return results


def add_arguments(parser):
    parser.add_argument("tables", nargs="+", choices=SOURCES)
    parser.add_argument("--data", type=Path, default=os.environ.get("SPARSECTR_DATA"))
    parser.add_argument("--n-rows", type=int, help="use the first rows only, for a trial")
    parser.add_argument("--estimators", nargs="+", choices=ESTIMATORS, default=list(ESTIMATORS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])


def run(arguments):
    if arguments.data is None and set(arguments.tables) != {"flights"}:
        raise SystemExit("pass --data or set SPARSECTR_DATA")
    folder = Path(arguments.data or ".")
    results = []
    for table in arguments.tables:
        for seed in arguments.seeds:
            parts = load_parts(table, folder, seed, arguments.n_rows)
            results += measure_crosses(arguments.models, table, parts, arguments.estimators, seed)
    groups = pd.DataFrame(results).groupby(["table", "model", "crosses"], sort=False)
    print(groups.mean().drop(columns="seed").round(4))

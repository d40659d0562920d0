"""What the fits of the development suite say: tables in Markdown."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from suite.digits import make_table
from suite.entrants import ENTRANTS, REFERENCES
from suite.records import Record

NEAR = 1.01  # times the best log loss


class Selection(NamedTuple):
    """Which fits count: on which rows, how many to train on, and of what."""

    part: str
    n_rows: int
    tables: Sequence[str]
    models: Sequence[str]
    seeds: Sequence[int]


def summarise(records: Iterable[Record], selection: Selection) -> Iterator[str]:
    """Yield two tables: a line per model, and a line per table.

    Of a model the latest fits count. The log loss of a model is its mean over the seeds; "better
    tree" is the better of default CatBoost and LightGBM.
    """
    latest = select(records, selection)
    if latest.empty:
        yield "Nothing is measured."
        return
    losses, seconds = average(latest, selection.tables)
    relative = relate(losses)
    described = [describe_model(name, losses, seconds) for name in losses]
    yield make_table(list(described[0]), (list(line.values()) for line in described))
    yield "Log loss relative to the better tree:"
    titles = [ENTRANTS[name].title for name in losses]
    rows = ([name, *(percent(value) for value in line)] for name, line in relative.iterrows())
    yield make_table(["table", *titles], rows)


def select(records: Iterable[Record], selection: Selection) -> pd.DataFrame:
    """Return the latest fit of every table, model and seed that is asked for, a row for each."""
    latest: dict[tuple, Record] = {}
    for record in records:
        if (record["n_rows"], record["part"]) == (selection.n_rows, selection.part):
            latest[record["table"], record["model"], record["seed"]] = record
    columns = ["table", "model", "seed", "log_loss", "fit_seconds"]
    frame = pd.DataFrame(list(latest.values()), columns=columns)
    return frame[frame["seed"].isin(selection.seeds) & frame["model"].isin(selection.models)]


def average(latest: pd.DataFrame, tables: Iterable[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return mean log losses and seconds, a row per table and a column per model."""
    means = latest.groupby(["table", "model"])[["log_loss", "fit_seconds"]].mean().unstack()
    names = [name for name in ENTRANTS if name in set(latest["model"])]
    known = [name for name in tables if name in means.index]
    return means["log_loss"].loc[known, names], means["fit_seconds"].loc[known, names]


def relate(losses: pd.DataFrame) -> pd.DataFrame:
    """Return log losses as multiples of that of the better tree, table by table."""
    references = [name for name in REFERENCES if name in losses]
    better = losses[references].min(axis=1) if references else losses.min(axis=1)
    return losses.div(better, axis=0)


def mean_ratio(seconds: pd.DataFrame, name: str, reference: str) -> float:
    """Return how many times as long as a reference a model takes, the geometric mean."""
    return float(np.exp(np.log(seconds[name] / seconds[reference]).mean()))


def percent(ratio: float) -> str:
    """Write a multiple as what it is above or below one."""
    return "" if np.isnan(ratio) else f"{100 * (ratio - 1):+.1f} %"


def describe_model(name: str, losses: pd.DataFrame, seconds: pd.DataFrame) -> dict[str, str]:
    """Return a line about a model, by columns, over the tables on which it was measured."""
    own, relative = losses[name].dropna(), relate(losses)[name]
    best = losses.loc[own.index].min(axis=1)
    slower = np.nan
    if "catboost" in seconds:
        slower = mean_ratio(seconds, name, "catboost")
    worst = relative.idxmax()
    return {
        "model": ENTRANTS[name].title,
        "to the best": percent((own / best).mean()),
        "to the better tree": percent(relative.mean()),
        "within 1 % of the best": f"{int((own <= NEAR * best).sum())} of {len(own)}",
        "worst table": f"{percent(relative[worst])} ({worst})",
        "fit time in CatBoosts": "" if np.isnan(slower) else f"{slower:.2f}",
        "fit s": f"{seconds[name].mean():.1f}",
    }

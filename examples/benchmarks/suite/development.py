"""The development suite: defaults of ours and of peers on tables that resemble the world.

    python examples/benchmarks/bench.py suite --data DIR
    python examples/benchmarks/bench.py suite bank hotel --models dynint lightgbm --seeds 0
    python examples/benchmarks/bench.py suite --data DIR --part test

Without ``--part test``, models are fitted on four fifths of the training rows and measured on the
others: so defaults are chosen. Test rows are for a report at the end. A fit is a line of the
results, and is not repeated for the same version: of the library, or of the files of ours.
"""

import argparse
import time
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from sparsectr.datasets import make_clicks
from suite.arguments import DOCS, one_of
from suite.entrants import ENTRANTS, REFERENCES
from suite.records import Record, append_record, find_machine, read_records
from suite.render import make_table
from suite.runner import describe_run
from suite.tables import TABLES, hold_out, load_table

RESULTS = DOCS / "benchmarks" / "suite.jsonl"
N_ROWS = 20_000
# What makes two fits the same fit.
KEY = ("table", "model", "version", "seed", "n_rows", "part")
NEAR = 1.01  # times the best log loss


def add_suite(commands: argparse._SubParsersAction, data: str | None) -> None:
    """Add the command to those of ``bench.py``."""
    parser = commands.add_parser(
        "suite",
        help="measure defaults on the development tables",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tables", nargs="*", type=one_of(list(TABLES)), metavar="table")
    parser.add_argument("--models", nargs="+", choices=ENTRANTS, default=list(ENTRANTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--part", choices=["held-out", "test"], default="held-out")
    parser.add_argument("--n-rows", type=int, default=N_ROWS, help="most training rows")
    parser.add_argument("--data", type=Path, default=data or ".", help="folder of data")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--show", action="store_true", help="print what is there, fit nothing")


def run_suite(arguments: argparse.Namespace) -> int:
    """Fit what is missing, and print the summary; return the number of fits that failed."""
    tables = arguments.tables or list(TABLES)
    n_failed = 0 if arguments.show else sum(_run_table(name, arguments) for name in tables)
    print(summarise(read_records(arguments.results), arguments, tables))
    return n_failed


def _run_table(name: str, arguments: argparse.Namespace) -> int:
    """Fit the models of a table that have no line, and append one for each."""
    jobs = [
        job
        for seed in arguments.seeds
        for model in arguments.models
        if not _is_known(job := _make_job(name, model, seed, arguments), arguments.results)
    ]
    if not jobs:
        return 0
    try:
        train, test = load_table(name, arguments.data, arguments.n_rows)
    except OSError as error:
        print(f"{name}: not there ({error})")
        return 1
    if arguments.part != "test":
        train, test = hold_out(*train)
    n_failed = 0
    for job in jobs:
        try:
            record = job | _measure(job, train, test) | describe_run()
        except Exception as error:  # the next fit may do
            print(f"{name} {job['model']} seed {job['seed']}: FAILED: {error!r}", flush=True)
            n_failed += 1
            continue
        append_record(arguments.results, record)
        print(
            f"{name} {job['model']} seed {job['seed']}: log loss {record['log_loss']:.5f}, "
            f"AUC {record['roc_auc']:.4f}, {record['fit_seconds']:.1f} s",
            flush=True,
        )
    return n_failed


def _make_job(name: str, model: str, seed: int, arguments: argparse.Namespace) -> Record:
    version = ENTRANTS[model].find_version()
    values = (name, model, version, seed, arguments.n_rows, arguments.part)
    return dict(zip(KEY, values, strict=True))


def _is_known(job: Record, path: Path) -> bool:
    return any(job.items() <= record.items() for record in read_records(path))


def _measure(job: Record, train: tuple, test: tuple) -> Record:
    """Fit a model and measure it: log loss, AUC, and seconds of this process."""
    entrant, ids = ENTRANTS[job["model"]], TABLES[job["table"]].ids
    (X, y), (X_test, y_test) = train, test
    if entrant.ours:
        _warm_up(job["model"])
    else:
        # Strings: a rival is told which integers are ids.
        X, X_test = (part.astype(dict.fromkeys(ids, str)) for part in (X, X_test))
    clf = entrant.make(job["seed"])
    started, clock = time.process_time(), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf.fit(X, y)
        fitted, wall = time.process_time(), time.perf_counter() - clock
        probability = clf.predict_proba(X_test)[:, 1]
    return {
        "log_loss": float(log_loss(y_test, probability)),
        "roc_auc": float(roc_auc_score(y_test, probability)),
        "fit_seconds": fitted - started,
        "wall_seconds": wall,
        "predict_seconds": time.process_time() - fitted,
        "rows": {"train": len(y), "measured": len(y_test)},
        "share": float(np.mean(y)),
        "machine": find_machine(),
    }


@cache
def _warm_up(model: str) -> None:
    """Fit once, so that no measured fit compiles."""
    clicks = make_clicks(600, random_state=0)
    ENTRANTS[model].make(0).fit(clicks.X, clicks.y)


# What it says -------------------------------------------------------------------------------------


def summarise(
    records: Iterable[Record], arguments: argparse.Namespace, tables: Iterable[str]
) -> str:
    """Return two tables in Markdown: a line per model, and a line per table.

    Of a model the latest fits count. The log loss of a model is its mean over the seeds; "better
    tree" is the better of default CatBoost and LightGBM.
    """
    latest = select(records, arguments)
    if latest.empty:
        return "Nothing is measured."
    losses, seconds = average(latest, tables)
    references = [name for name in REFERENCES if name in losses]
    better = losses[references].min(axis=1) if references else losses.min(axis=1)
    relative = losses.div(better, axis=0)
    lines = [_describe_model(name, losses, relative, seconds) for name in losses]
    heads = ["model", "to the best", "to the better tree", "within 1 % of the best"]
    heads += ["worst table", "fit time in CatBoosts", "fit s"]
    blocks = [make_table(heads, lines)]
    rows = ([name, *(_percent(value) for value in line)] for name, line in relative.iterrows())
    blocks.append("Log loss relative to the better tree:")
    titles = [ENTRANTS[name].title for name in losses]
    blocks.append(make_table(["table", *titles], rows))
    return "\n\n".join(blocks)


def select(records: Iterable[Record], arguments: argparse.Namespace) -> pd.DataFrame:
    """Return the latest fit of every table, model and seed that is asked for, a row for each."""
    latest: dict[tuple, Record] = {}
    for record in records:
        if (record["n_rows"], record["part"]) == (arguments.n_rows, arguments.part):
            latest[record["table"], record["model"], record["seed"]] = record
    frame = pd.DataFrame(list(latest.values()), columns=[*KEY, "log_loss", "fit_seconds"])
    return frame[frame["seed"].isin(arguments.seeds) & frame["model"].isin(arguments.models)]


def average(latest: pd.DataFrame, tables: Iterable[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return mean log losses and seconds, a row per table and a column per model."""
    means = latest.groupby(["table", "model"])[["log_loss", "fit_seconds"]].mean().unstack()
    names = [name for name in ENTRANTS if name in set(latest["model"])]
    known = [name for name in tables if name in means.index]
    return means["log_loss"].loc[known, names], means["fit_seconds"].loc[known, names]


def _describe_model(
    name: str, losses: pd.DataFrame, relative: pd.DataFrame, seconds: pd.DataFrame
) -> list[str]:
    """Return a line about a model, over the tables on which it was measured."""
    own = losses[name].dropna()
    best = losses.loc[own.index].min(axis=1)
    slower = np.nan
    if "catboost" in seconds:
        slower = np.exp(np.log(seconds[name] / seconds["catboost"]).mean())
    worst = relative[name].idxmax()
    return [
        ENTRANTS[name].title,
        _percent((own / best).mean()),
        _percent(relative[name].mean()),
        f"{int((own <= NEAR * best).sum())} of {len(own)}",
        f"{_percent(relative.loc[worst, name])} ({worst})",
        "" if np.isnan(slower) else f"{slower:.2f}",
        f"{seconds[name].mean():.1f}",
    ]


def _percent(ratio: float) -> str:
    return "" if np.isnan(ratio) else f"{100 * (ratio - 1):+.1f} %"

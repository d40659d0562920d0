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
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from sparsectr.datasets import make_clicks
from suite.arguments import DOCS, one_of
from suite.entrants import ENTRANTS
from suite.records import Record, append_record, find_machine, read_records
from suite.runner import describe_run
from suite.summary import Selection, summarise
from suite.tables import TABLES, hold_out, load_table

RESULTS = DOCS / "benchmarks" / "suite.jsonl"
N_ROWS = 20_000
SEEDS = [0, 1]
# What the page of the benchmarks shows.
ON_TEST_ROWS = Selection("test", N_ROWS, list(TABLES), list(ENTRANTS), SEEDS)
# What makes two fits the same fit.
KEY = ("table", "model", "version", "seed", "n_rows", "part")


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
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--part", choices=["held-out", "test"], default="held-out")
    parser.add_argument("--n-rows", type=int, default=N_ROWS, help="most training rows")
    parser.add_argument("--data", type=Path, default=data or ".", help="folder of data")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--show", action="store_true", help="print what is there, fit nothing")


def run_suite(arguments: argparse.Namespace) -> int:
    """Fit what is missing, and print the summary; return the number of fits that failed."""
    tables = arguments.tables or list(TABLES)
    n_failed = 0 if arguments.show else sum(_run_table(name, arguments) for name in tables)
    selection = Selection(
        arguments.part, arguments.n_rows, tables, arguments.models, arguments.seeds
    )
    print("\n\n".join(summarise(read_records(arguments.results), selection)))
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

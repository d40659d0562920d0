"""What the commands of the suite are told on the command line."""

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"
README = DOCS.parent / "README.md"
RESULTS = DOCS / "benchmarks" / "results.jsonl"
TRIALS = DOCS / "benchmarks" / "tuning.jsonl"
STOPPED = DOCS / "benchmarks" / "stopped.jsonl"


def add_arguments(
    parser: argparse.ArgumentParser, datasets: Iterable[str], models: Iterable[str]
) -> None:
    """Add what every kind of measuring wants to know."""
    names, rows = list(datasets), list(models)
    # With choices, argparse would refuse to be given none.
    parser.add_argument(
        "datasets", nargs="*", type=one_of(names), metavar="dataset", help=", ".join(names)
    )
    parser.add_argument(
        "--models", nargs="+", choices=rows, default=rows, metavar="MODEL", help=", ".join(rows)
    )
    parser.add_argument("--data", default=os.environ.get("SPARSECTR_DATA"), help="folder of data")
    parser.add_argument("--n-rows", type=int, help="use the first rows only, for a trial")
    parser.add_argument("--threads", type=int, default=1, help="threads of every fit")
    parser.add_argument("--at-once", type=int, default=1, help="fits at the same time")
    parser.add_argument("--timeout", type=float, help="seconds after which a fit is stopped")


def one_of(names: Sequence[str]):
    """Return a reader of names."""

    def read(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"must be one of {', '.join(names)}, got {text}")
        return text

    return read


def read_folder(
    parser: argparse.ArgumentParser, folder: str | None, datasets: Iterable[str]
) -> str:
    """Return the folder of data; only the bundled flights need none."""
    if folder is None and set(datasets) != {"flights"}:
        parser.error("pass --data or set SPARSECTR_DATA")
    return folder or "."

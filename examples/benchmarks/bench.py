"""Measure our estimators beside real peers, tune both, and render the page of the results.

    python -m nox -s bench -- flights amazon adult frappe ml1m --data DIR --seeds 0 1 2
    python examples/benchmarks/bench.py run flights --models dynint-pin lightgbm
    python examples/benchmarks/bench.py tune flights --models dynint-pin
    python examples/benchmarks/bench.py run flights --models dynint-pin --settings tuned
    python examples/benchmarks/bench.py render

``run`` appends a line per fit to docs/benchmarks/results.jsonl and skips what is there; ``tune``
tries 20 settings per model on validation rows and appends to docs/benchmarks/tuning.jsonl;
``render`` writes docs/benchmarks.md. Where data lie, and in which form: suite/datasets.py.
"""

import argparse
import sys
from pathlib import Path

from suite.arguments import DOCS, RESULTS, TRIALS, add_arguments, read_folder
from suite.datasets import SOURCES
from suite.models import MODELS
from suite.records import read_records
from suite.render import render_page
from suite.runner import make_jobs, run_jobs
from suite.tuning import N_TRIALS, make_trial_jobs

TABLES = ["flights", "amazon", "adult", "frappe", "ml1m"]


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="fit and test")
    add_arguments(run, SOURCES, MODELS)
    run.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    run.add_argument("--settings", choices=["default", "chosen", "tuned"], default="chosen")
    run.add_argument("--results", type=Path, default=RESULTS)
    run.add_argument("--tuning", type=Path, default=TRIALS)
    tune = commands.add_parser("tune", help="try settings on validation rows")
    add_arguments(tune, SOURCES, MODELS)
    tune.add_argument("--trials", type=int, default=N_TRIALS)
    tune.add_argument("--results", type=Path, default=TRIALS)
    commands.add_parser("render", help="write the page")
    return parser


def main(words=None):
    parser = make_parser()
    arguments = parser.parse_args(words)
    if arguments.command == "render":
        page = render_page(read_records(RESULTS), read_records(TRIALS))
        (DOCS / "benchmarks.md").write_text(page, encoding="utf-8")
        return 0
    datasets = arguments.datasets or TABLES
    data = read_folder(parser, arguments.data, datasets)
    if arguments.command == "run":
        jobs = make_jobs(
            datasets,
            arguments.models,
            arguments.seeds,
            arguments.settings,
            data=data,
            n_rows=arguments.n_rows,
            tuned=read_records(arguments.tuning),
        )
    else:
        jobs = make_trial_jobs(datasets, arguments.models, data, arguments.n_rows, arguments.trials)
    return run_jobs(jobs, arguments.results, threads=arguments.threads, timeout=arguments.timeout)


if __name__ == "__main__":
    sys.exit(main())

"""Measure the estimators: accuracy beside other libraries, speed, memory, and what they find.

    python -m nox -s bench -- run flights amazon adult frappe ml1m --data DIR --seeds 0 1 2
    python examples/benchmarks/bench.py run flights --models dynint-pin lightgbm
    python examples/benchmarks/bench.py tune flights --models dynint-pin
    python examples/benchmarks/bench.py run flights --models dynint-pin --settings tuned
    python examples/benchmarks/bench.py render
    python -m nox -s bench -- reproduce --data DIR --out again --at-once 2
    python examples/benchmarks/bench.py paper dynint criteo-dynint --data DIR --n-rows 100000
    python examples/benchmarks/bench.py suite --data DIR
    python examples/benchmarks/bench.py speed --help

``run`` appends a line per fit to docs/benchmarks/results.jsonl and skips what is there; ``tune``
tries 20 settings per model on validation rows and appends to docs/benchmarks/tuning.jsonl; fits
that exceed ``--timeout`` are noted in docs/benchmarks/stopped.jsonl; ``render`` writes
docs/benchmarks.md and the table of the README. ``reproduce`` measures every line of both files
again, trials included, keeps lines and page in another folder, and prints how far old and new
results lie apart. ``paper`` runs the main table of a paper. ``suite`` measures defaults on the
development tables, see suite/development.py. Where data lie, and in which form: suite/datasets.py.
Each of the other commands says with ``--help`` what it measures and how; `SUBJECTS` lists the
modules beside this file that hold them.
"""

import argparse
import importlib
import inspect
import os
import sys
from pathlib import Path

from suite.arguments import DOCS, README, RESULTS, STOPPED, TRIALS, add_arguments, read_folder
from suite.datasets import SOURCES
from suite.development import RESULTS as FITS
from suite.development import add_suite, run_suite
from suite.models import MODELS
from suite.papers import PAPERS, run_paper
from suite.readme import replace_table
from suite.records import read_records
from suite.render import render_page
from suite.reproduce import compare, repeat_jobs
from suite.runner import make_jobs, run_jobs
from suite.tuning import N_TRIALS, make_trial_jobs

TABLES = ["flights", "amazon", "adult", "frappe", "ml1m"]
# Modules beside this file, and their commands. Each is imported when it is asked for, because most
# need a library that the others do not. The command that a module is named after has
# `add_arguments(parser)` and `run(arguments)` there, any other one `add_NAME` and `run_NAME`.
SUBJECTS = {
    "speed": {
        "speed": "rows per second beside other libraries",
        "device": "agreement with the CPU, and speed, on a GPU",
    },
    "kernels": {
        "kernels": "fused code against its reference, and against the limits of the machine"
    },
    "serving": {
        "one_row": "microseconds of a compiled predictor for one row",
        "onnx_graphs": "ONNX graphs beside their estimators: agreement, speed, size",
    },
    "scaling": {
        "scaling": "how time and memory grow with batch, fields, vocabulary, order and rank"
    },
    "scale": {"scale": "training in several processes: bytes, time, and what is to be expected"},
    "processes": {"processes": "whole processes: import, fit, grid search, a busy neighbour"},
    "encoding": {
        "encoding": "FieldEncoder beside OrdinalEncoder",
        "files": "fits on files: encoding, memory, and training beside memory",
        "bags": "fields of several values beside the same cells as one category",
    },
    "planted": {
        "planted": "which planted crosses are found, and how often a rare class is predicted",
        "screening": "false alarms and power of the screening",
    },
    "evidence": {
        "evidence": "realised false discoveries and power of the evidence, beside other rankings",
    },
    "accuracy": {
        "defaults": "out-of-fold log loss of settings on the development tables",
        "regression": "regressors beside boosted trees",
        "uplift": "what crosses are worth to other models",
    },
    "streams": {
        "new_rows": "what training that goes on is worth",
        "imbalanced": "ways to train on rare clicks",
    },
    "variants": {
        "variants": "searches, spaces, layers and gates of the methods beside each other",
    },
}
# Command -> module.
MEASUREMENTS = {name: module for module, commands in SUBJECTS.items() for name in commands}


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
    commands.add_parser("render", help="write the page and the table of the README")
    again = commands.add_parser("reproduce", help="measure all lines again and compare")
    add_arguments(again, SOURCES, MODELS)
    again.add_argument("--out", type=Path, required=True, help="folder of the new lines and page")
    add_suite(commands, os.environ.get("SPARSECTR_DATA"))
    # What follows these names is read by somebody else.
    paper = commands.add_parser("paper", help="the main table of a paper", add_help=False)
    paper.add_argument("paper", choices=PAPERS)
    for measured in SUBJECTS.values():
        for name, words in measured.items():
            commands.add_parser(name, help=words, add_help=False)
    return parser


def run_measurement(name, words):
    """Run a measurement as the rest of the command line says."""
    subject = MEASUREMENTS[name]
    module = importlib.import_module(subject)
    if name == subject:
        add_options, measure, description = module.add_arguments, module.run, module.__doc__
    else:
        add_options, measure = (getattr(module, f"{verb}_{name}") for verb in ("add", "run"))
        description = inspect.getdoc(measure)
    parser = argparse.ArgumentParser(
        prog=f"bench.py {name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    measure(parser.parse_args(words))
    return 0


def reproduce(arguments, datasets, data):
    """Measure all records again; return the number of fits that failed."""
    known = [RESULTS, TRIALS]
    paths = [arguments.out / path.name for path in known]
    n_failed = 0
    for old, new in zip(known, paths, strict=True):
        jobs = repeat_jobs(read_records(old), datasets, arguments.models, data)
        n_failed += measure_all(jobs, new, arguments)
        print(compare(read_records(old), read_records(new)))
    stopped = arguments.out / STOPPED.name
    page = render_page(*map(read_records, [*paths, stopped]))
    (arguments.out / "benchmarks.md").write_text(page, encoding="utf-8")
    return n_failed


def measure_all(jobs, path, arguments):
    """Run jobs as the command line says; return the number of fits that failed."""
    options = {"threads": arguments.threads, "timeout": arguments.timeout}
    return run_jobs(jobs, path, **options, at_once=arguments.at_once)


def main(words=None):
    parser = make_parser()
    arguments, rest = parser.parse_known_args(words)
    if arguments.command in MEASUREMENTS:
        return run_measurement(arguments.command, rest)
    if arguments.command == "paper":
        words = f"Run the main table of {arguments.paper}'s paper again, beside the peers."
        return run_paper(arguments.paper, words, rest)
    arguments = parser.parse_args(words)
    if arguments.command == "render":
        results = read_records(RESULTS)
        fits = read_records(FITS)
        page = render_page(results, read_records(TRIALS), read_records(STOPPED), fits)
        (DOCS / "benchmarks.md").write_text(page, encoding="utf-8")
        README.write_text(replace_table(README.read_text(encoding="utf-8"), fits), "utf-8")
        return 0
    if arguments.command == "suite":
        return run_suite(arguments)
    datasets = arguments.datasets or TABLES
    data = read_folder(parser, arguments.data, datasets)
    if arguments.command == "reproduce":
        return reproduce(arguments, datasets, data)
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
    return measure_all(jobs, arguments.results, arguments)


if __name__ == "__main__":
    sys.exit(main())

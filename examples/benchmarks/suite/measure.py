"""Fit one model in this process and write down how well and how fast: ``python -m suite.measure``.

A process of its own for every fit gives peak memory a meaning.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from sklearn.metrics import log_loss, roc_auc_score

from suite.datasets import load_parts
from suite.models import make_model
from suite.records import Record, find_machine, find_versions, parse, peak_memory

# Predicting is repeated until this many seconds have passed; the fastest pass counts.
PREDICTION_SECONDS = 1.0


def measure(job: Record) -> Record:
    """Run a job, a dict of dataset, model, parameters, seed, data, n_rows and test.

    Without ``test``, test rows are not even predicted: so settings are chosen.
    """
    parts = load_parts(job["dataset"], Path(job["data"]), job["seed"], job["n_rows"])
    (X, y), (X_val, y_val), (X_test, y_test) = parts
    clf = make_model(job["dataset"], job["model"], job["parameters"], job["seed"])
    before = find_machine()
    started = time.perf_counter()
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    record = {
        "fit_seconds": time.perf_counter() - started,
        "peak_memory_mib": peak_memory(),
        "epochs": int(clf.n_iter_),
        "parameters_trained": int(sum(clf.n_parameters_.values())),
        "batch_size": getattr(clf, "batch_size_", None),
        "rows": {"train": len(y), "validation": len(y_val), "test": len(y_test)},
        "validation": score(clf, X_val, y_val),
        "versions": find_versions(),
        "threads": torch.get_num_threads(),
        "machine": before | {"load_after": find_machine()["load"]},
    }
    if job["test"]:
        record["test"] = score(clf, X_test, y_test)
        record["predict_rows_per_second"] = time_predictions(clf, X_test)
    return record


def score(clf: Any, X: Any, y: Any) -> dict[str, float]:
    """Return both measures of the predicted probabilities."""
    probability = clf.predict_proba(X)[:, 1]
    return {
        "roc_auc": float(roc_auc_score(y, probability)),
        "log_loss": float(log_loss(y, probability)),
    }


def time_predictions(clf: Any, X: Any) -> float:
    """Return predicted rows per second, encoding included."""
    seconds: list[float] = []
    while sum(seconds) < PREDICTION_SECONDS:
        started = time.perf_counter()
        clf.predict_proba(X)
        seconds.append(time.perf_counter() - started)
    return len(X) / min(seconds)


def main() -> None:
    job, target = parse(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    # Peers speak of what their dependencies will drop one day.
    warnings.filterwarnings("ignore", category=FutureWarning)
    target.write_text(json.dumps(measure(job)))


if __name__ == "__main__":
    main()

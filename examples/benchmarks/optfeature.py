"""OptFeature, each granularity beside the ungated twin: quality, and cost on a large table.

Reads the tables below --data, or below the folder named by the variable SPARSECTR_DATA, in the
forms described in ``suite/datasets.py``:

    python examples/benchmarks/optfeature.py frappe --data DIR --seeds 0 1 2
    python examples/benchmarks/optfeature.py amazon --data DIR
    python examples/benchmarks/optfeature.py cost --threads 2
"""

import argparse
import json
import os
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import log_loss, roc_auc_score
from suite.datasets import SOURCES, load_parts
from suite.models import find_settings

from sparsectr.methods.optfeature.classifier import OptFeatureClassifier
from sparsectr.methods.optfeature.net import OptFeatureConfig, OptFeatureNet
from sparsectr.training.batches import LabelledRows
from sparsectr.training.loop import Schedule
from sparsectr.training.task import TrainingTask

# A joint search whose gates cannot move leaves the product network without gates.
UNGATED = {
    "granularity": "field",
    "search": "joint",
    "search_epochs": 1,
    "selection_learning_rate": 1e-12,
}
MODELS = {
    "ungated": UNGATED,
    "field": {"granularity": "field"},
    "value": {"granularity": "value"},
    "hybrid": {"granularity": "hybrid"},
}


def measure_quality(dataset, folder, models, seeds, changes):
    """Print one line per fit and the means over the seeds."""
    settings = find_settings(dataset, "optfeature-hybrid", "chosen")
    results = []
    for seed in seeds:
        (X, y), (X_val, y_val), (X_test, y_test) = load_parts(dataset, folder, seed)
        for name in models:
            options = settings | changes | MODELS[name]
            clf = OptFeatureClassifier(
                **options, monitor=SOURCES[dataset].monitor, random_state=seed
            ).fit(X, y, X_val=X_val, y_val=y_val)
            probability = clf.predict_proba(X_test)[:, 1]
            seconds = {"search": 0.0, "retrain": 0.0}
            for record, of_epoch in zip(clf.history_, clf.epoch_seconds_, strict=True):
                seconds[record["phase"]] += of_epoch
            row = {
                "model": name,
                "seed": seed,
                "AUC": roc_auc_score(y_test, probability),
                "log loss": log_loss(y_test, probability),
                "share kept": clf.keep_rate_.mean(),
                "removed": (clf.keep_rate_ == 0).mean(),
                "search s": seconds["search"],
                "retrain s": seconds["retrain"],
            }
            results.append(row)
            print(row, flush=True)
    print(pd.DataFrame(results).groupby("model", sort=False).mean().drop(columns="seed").round(4))


class Silent:
    """Report nothing."""

    def begin_epoch(self, net):
        """Ignore it."""

    def end_epoch(self, net, record):
        """Go on."""
        return False


def measure_cost(n_batches=24, batch_size=4096, n_fields=39, n_values=1_000_000):
    """Print training rows/s and peak memory on a table of a million values."""
    rng = np.random.default_rng(0)
    size = n_values // n_fields
    n_rows = n_batches * batch_size
    codes = (size ** rng.random((n_rows, n_fields))).astype(np.int32) - 1  # Zipf's law
    rows = LabelledRows(
        torch.from_numpy(codes),
        torch.from_numpy(rng.integers(2, size=n_rows).astype(np.float32)),
        torch.ones(n_rows),
    )
    clf = OptFeatureClassifier(granularity="hybrid", search_fraction=0.2)
    config = OptFeatureConfig(selection_dim=16, selection_rank=128, hidden_units=(1024, 512, 256))
    net = OptFeatureNet([size] * n_fields, 16, 1, config)
    schedule = Schedule(batch_size, 1)
    task = TrainingTask(rows, None, (size,) * n_fields, 1, schedule, None, Silent())
    net.reset_weights(task.new_generator())
    net.reset_selection(task.new_generator())
    train_gates, batches = clf._gate_step(task, net, rows)
    of_gates = {"before": train_gates, "gate_rows": zip(batches)}
    for name, options in (
        ("weights, gates frozen", {}),
        ("search, gates on batches of their own", of_gates),
        ("search, both on one batch", {"selection": clf._selection_optimizers(net)}),
    ):
        started = time.perf_counter()
        clf._train_weights(task, net, "train", schedule, **options)
        speed = n_rows / (time.perf_counter() - started)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name}: {speed:,.0f} training rows/s, peak memory so far {peak:,.0f} MiB")
    print(f"load {os.getloadavg()[0]:.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["frappe", "amazon", "cost"])
    parser.add_argument("--data", type=Path, default=os.environ.get("SPARSECTR_DATA"))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--set", type=json.loads, default={}, help="other parameters, as JSON")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.what == "cost":
        measure_cost()
        return
    if arguments.data is None:
        parser.error("pass --data or set SPARSECTR_DATA")
    measure_quality(
        arguments.what, Path(arguments.data), arguments.models, arguments.seeds, arguments.set
    )


if __name__ == "__main__":
    main()

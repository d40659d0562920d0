"""Compare the speed of the estimators with that of other libraries.

All sides run in one process on the same generated rows, in turn: A B B A, and again. The time of
an epoch is the difference of two fits with few and with more epochs, validation included: the
set-up of tables and what follows training thus drop out for everybody. Prediction starts from
codes. Every side is shown by its best round. On a busy machine use one thread: the times are then
CPU times of the process, and only their ratios count::

    python -m nox -s speed -- --shape criteo --threads 1
    python -m nox -s speed -- --shape frappe --batch-size 256 --sides pin profit fuxictr-fm
"""

import argparse
import os
import time
from dataclasses import dataclass

import numpy as np
import torch
from peers import DeepCTR, FuxiCTR
from torch.utils.data import DataLoader, TensorDataset

from sparsectr import DynIntClassifier, OptFeatureClassifier, ProfitClassifier
from sparsectr.kernels.dispatch import fused_kernels
from sparsectr.training.batches import LabelledRows, shuffled_batches
from sparsectr.training.prediction import predict_logits

# Number of fields, of rows of the table, and the Zipf exponent of the values of a field.
SHAPES = {"criteo": (39, 1_000_000, 1.1), "frappe": (10, 5_400, 1.1)}
PREDICT_ROWS = 65_536


@dataclass
class Table:
    """Codes and labels of training and validation rows."""

    codes: np.ndarray
    labels: np.ndarray
    val_codes: np.ndarray
    val_labels: np.ndarray
    sizes: np.ndarray
    batch_size: int


def make_table(shape, batch_size, n_batches):
    """Draw Zipf-distributed codes; the vocabularies of the fields grow geometrically."""
    n_fields, n_values, exponent = SHAPES[shape]
    rng = np.random.default_rng(0)
    sizes = np.geomspace(10, n_values / 5.5, n_fields)
    sizes = np.maximum(2, sizes * n_values / sizes.sum()).astype(int)
    n_rows = batch_size * n_batches
    codes = np.empty((n_rows + n_rows // 9, n_fields), dtype=np.int32)
    for j, size in enumerate(sizes):
        shares = np.arange(1, size + 1) ** -exponent
        places = np.searchsorted(np.cumsum(shares / shares.sum()), rng.random(len(codes)))
        codes[:, j] = np.minimum(places, size - 1)
    effects = [rng.normal(size=size) for size in sizes[:5]]
    logits = sum(effect[codes[:, j]] for j, effect in enumerate(effects)) - 1
    labels = (rng.random(len(codes)) < 1 / (1 + np.exp(-logits))).astype(int)
    return Table(
        codes[:n_rows], labels[:n_rows], codes[n_rows:], labels[n_rows:], sizes, batch_size
    )


class Ours:
    """One of our classifiers.

    Parameters
    ----------
    estimator : class
    data : Table
    fused : bool, default=True
        Whether to use the fused kernels.
    **parameters
        Of the estimator.
    """

    more_epochs = 6  # short ones

    def __init__(self, estimator, data, fused=True, **parameters):
        self.data, self.fused = data, fused
        # An epoch of PROFIT: one for each of three orders, and one of the kept crosses.
        self.passes = 4 if estimator is ProfitClassifier else 1
        self.make = lambda n_epochs: estimator(
            batch_size=data.batch_size,
            max_epochs=n_epochs,
            n_iter_no_change=100,
            n_interactions=1,
            random_state=0,
            **parameters,
            **({"search_epochs": n_epochs} if estimator is not DynIntClassifier else {}),
        )

    def fit(self, n_epochs):
        data, self.model = self.data, self.make(n_epochs)

        def fit():
            with fused_kernels(self.fused):
                self.model.fit(data.codes, data.labels, X_val=data.val_codes, y_val=data.val_labels)

        return fit

    def predict(self, codes):
        net = self.model._fitted_net()
        encoded = torch.from_numpy(self.model.encoder_.transform(codes))

        def predict():
            with fused_kernels(self.fused):
                return predict_logits(net, encoded)

        return predict

    def predict_row(self, codes):
        return self.predict(codes[:1])


def make_sides(data):
    """Return every side by name."""
    search = {"max_order": 3, "rank": 8, "space": "cp", "screening": None, "search_patience": 99}
    return {
        "pin": Ours(DynIntClassifier, data, n_layers=3),
        "pin-torch": Ours(DynIntClassifier, data, fused=False, n_layers=3),
        "da": Ours(DynIntClassifier, data, n_layers=2, variant="da"),
        "dgp": Ours(DynIntClassifier, data, n_layers=2, variant="dgp"),
        "dwp": Ours(DynIntClassifier, data, n_layers=2, variant="dwp", rank=2),
        "profit": Ours(ProfitClassifier, data, n_crosses=20, **search),
        "profit-torch": Ours(ProfitClassifier, data, fused=False, n_crosses=20, **search),
        "optfeature": Ours(OptFeatureClassifier, data),
        "fuxictr-dcnv2": FuxiCTR("DCN-V2", data),
        "fuxictr-fm": FuxiCTR("FM", data),
        "deepctr-deepfm": DeepCTR(data),
    }


def measure(function, clock):
    """Return the seconds that a call takes."""
    start = clock()
    function()
    return clock() - start


def measure_side(side, data, clock):
    """Return seconds per row of an epoch and of prediction, and per single row."""
    few, many = 1, 1 + side.more_epochs
    seconds = measure(side.fit(many), clock) - measure(side.fit(few), clock)
    codes = np.resize(data.codes, (PREDICT_ROWS, data.codes.shape[1]))
    predict = side.predict(codes)
    predict()
    found = {
        "fit": seconds / (side.more_epochs * side.passes * len(data.codes)),
        "predict": measure(predict, clock) / PREDICT_ROWS,
    }
    if hasattr(side, "predict_row"):
        one = side.predict_row(codes)
        found["row"] = np.median([measure(one, clock) for _ in range(300)])
    return found


def feed(data, clock):
    """Return the seconds per row of feeding batches: ours, and a DataLoader's."""
    codes, labels = torch.from_numpy(data.codes), torch.from_numpy(data.labels).float()
    rows = LabelledRows(codes, labels, torch.ones(len(labels)))
    generator = torch.Generator().manual_seed(0)

    def ours():
        for batch in shuffled_batches(len(rows), data.batch_size, generator):
            rows.take(batch)

    loader = DataLoader(TensorDataset(codes, labels), data.batch_size, shuffle=True)
    ours()
    return {
        "ours": min(measure(ours, clock) for _ in range(3)) / len(rows),
        "DataLoader": measure(lambda: list(loader), clock) / len(rows),
    }


def main():
    """Measure and print one line per side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="criteo")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--batches", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sides", nargs="+", default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    data = make_table(arguments.shape, arguments.batch_size, arguments.batches)
    sides = make_sides(data)
    names = arguments.sides or list(sides)
    best: dict[str, dict[str, float]] = {name: {} for name in names}
    for name in names:  # compile first
        if isinstance(sides[name], Ours):
            sides[name].fit(1)()
    for turn in range(arguments.rounds):
        for name in names if turn % 2 == 0 else reversed(names):
            for what, value in measure_side(sides[name], data, clock).items():
                best[name][what] = min(value, best[name].get(what, np.inf))
    print(f"{len(data.codes)} rows, {arguments}, load {os.getloadavg()[0]:.1f}")
    print(f"{'':16}{'fit rows/s':>12}{'predict rows/s':>16}{'one row, us':>14}")
    for name, found in best.items():
        row = 1e6 * found.get("row", np.nan)
        print(f"{name:16}{1 / found['fit']:12,.0f}{1 / found['predict']:16,.0f}{row:14.0f}")
    print({name: f"{1 / value:,.0f} rows/s" for name, value in feed(data, clock).items()})


if __name__ == "__main__":
    main()

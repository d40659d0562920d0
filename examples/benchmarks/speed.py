"""Compare the speed of the estimators with that of other libraries.

All sides run in one process on the same generated rows, in turn: A B B A, and again. The time of
an epoch, validation included, is what our own estimator says of the fastest one of every phase of
the training, and for the other libraries half the difference of a fit of three epochs and one of
one, the fastest of all rounds: the set-up of tables and what follows training thus drop out for
everybody. Prediction starts from codes. Every side is shown by its best round. On a busy machine
use one thread: the times are then CPU times of the process, and only their ratios count::

    python -m nox -s bench -- speed --shape criteo --threads 1
    python -m nox -s bench -- speed --shape frappe --batch-size 256 --sides pin profit fuxictr-fm
"""

import os
import resource
import time
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import torch
from peers import EMBEDDING_DIM, DeepCTR, FuxiCTR, Peer, PlainSearch, measure
from torch.utils.data import DataLoader, TensorDataset

from sparsectr import DynIntClassifier, OptFeatureClassifier, ProfitClassifier
from sparsectr.kernels.fused import fused_kernels
from sparsectr.rows.labelled import LabelledRows
from sparsectr.rows.memory import MemoryRows
from sparsectr.rows.orders import shuffled_batches
from sparsectr.training.prediction import predict_logits

# Number of fields, of rows of the table, and the Zipf exponent of the values of a field.
SHAPES = {"criteo": (39, 1_000_000, 1.1), "frappe": (10, 5_400, 1.1)}
PREDICT_ROWS = 65_536
N_EPOCHS = 4


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

    def __init__(self, estimator, data, fused=True, **parameters):
        self.data, self.fused = data, fused
        self.model = estimator(
            batch_size=data.batch_size,
            max_epochs=N_EPOCHS,
            n_iter_no_change=100,
            n_interactions=1,
            random_state=0,
            embedding_dim=EMBEDDING_DIM,
            **parameters,
            **({"search_epochs": N_EPOCHS} if estimator is not DynIntClassifier else {}),
        )

    def epoch_seconds(self, clock):
        """Return the seconds of the fastest epoch of every phase."""
        data = self.data
        with (
            fused_kernels(self.fused),
            # The loop times its epochs by the wall clock; with one thread it is to be the CPU's.
            patch("sparsectr.training.loop.time.perf_counter", clock),
            # After the last epoch, and no part of it.
            patch("sparsectr.methods.dynint.estimator.strongest_sets", return_value=[]),
        ):
            self.model.fit(data.codes, data.labels, X_val=data.val_codes, y_val=data.val_labels)
        return fastest_epochs(self.model)

    def predict(self, codes):
        net = self.model._fitted_net()
        encoded = torch.from_numpy(self.model.encoder_.transform(codes))

        def predict():
            with fused_kernels(self.fused):
                return predict_logits(net, encoded)

        return predict

    def predict_row(self, codes):
        return self.predict(codes[:1])


def fastest_epochs(model):
    """Return the seconds of the fastest epoch of every phase."""
    fastest = {}
    for record, seconds in zip(model.history_, model.epoch_seconds_, strict=True):
        # A search for crosses goes through the orders one after the other.
        phase = f"{record['phase']} {record.get('order', '')}".strip()
        fastest[phase] = min(seconds, fastest.get(phase, np.inf))
    return fastest


def make_sides(data):
    """Return every side by name."""
    # The sizes of OptFeature's authors.
    wide = {"hidden_units": (1024, 512, 256), "selection_dim": 16, "selection_rank": 128}
    search = {"max_order": 3, "rank": 8, "space": "cp", "screening": None, "search_patience": 99}
    return {
        "pin": Ours(DynIntClassifier, data, n_layers=3),
        "pin-torch": Ours(DynIntClassifier, data, fused=False, n_layers=3),
        "da": Ours(DynIntClassifier, data, n_layers=2, variant="da"),
        "dgp": Ours(DynIntClassifier, data, n_layers=2, variant="dgp"),
        "dwp": Ours(DynIntClassifier, data, n_layers=2, variant="dwp", rank=2),
        "profit": Ours(ProfitClassifier, data, n_crosses=20, **search),
        "profit-torch": Ours(ProfitClassifier, data, fused=False, n_crosses=20, **search),
        "search-plain-torch": PlainSearch(data, search["rank"]),
        "optfeature": Ours(OptFeatureClassifier, data),
        "optfeature-wide": Ours(OptFeatureClassifier, data, **wide),
        "optfeature-joint": Ours(OptFeatureClassifier, data, search="joint", **wide),
        "fuxictr-dcnv2": FuxiCTR("DCN-V2", data),
        "fuxictr-fm": FuxiCTR("FM", data),
        "deepctr-deepfm": DeepCTR(data),
    }


def measure_side(side, data, clock):
    """Return seconds per row of an epoch and of prediction, and per single row."""
    n_rows = len(data.codes)
    found = {phase: seconds / n_rows for phase, seconds in side.epoch_seconds(clock).items()}
    codes = np.resize(data.codes, (PREDICT_ROWS, data.codes.shape[1]))
    predict = side.predict(codes)
    predict()
    found["predict"] = measure(predict, clock) / PREDICT_ROWS
    if hasattr(side, "predict_row"):
        one = side.predict_row(codes)
        found["one row"] = np.median([measure(one, clock) for _ in range(300)])
    return found


def feed(data, clock):
    """Return the seconds per row of feeding batches: ours, and a DataLoader's."""
    codes, labels = torch.from_numpy(data.codes), torch.from_numpy(data.labels).float()
    rows = LabelledRows(MemoryRows(codes), labels, torch.ones(len(labels)))
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


def add_arguments(parser):
    parser.add_argument("--shape", choices=SHAPES, default="criteo")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--batches", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sides", nargs="+", default=None)


def run(arguments):
    """Measure and print one line per side."""
    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    data = make_table(arguments.shape, arguments.batch_size, arguments.batches)
    sides = make_sides(data)
    names = arguments.sides or list(sides)
    best: dict[str, dict[str, float]] = {name: {} for name in names}
    for name in names:  # compile first
        if isinstance(sides[name], Ours):
            sides[name].epoch_seconds(clock)
    for turn in range(arguments.rounds):
        for name in names if turn % 2 == 0 else reversed(names):
            for what, value in measure_side(sides[name], data, clock).items():
                # Of other libraries it is already that of the fastest fits.
                known = what == "train" and isinstance(sides[name], Peer)
                before = np.inf if known else best[name].get(what, np.inf)
                best[name][what] = min(value, before)
    print(f"{len(data.codes)} rows, {arguments}, load {os.getloadavg()[0]:.1f}")
    for name, found in best.items():
        for what, seconds in found.items():
            shown = (
                f"{1e6 * seconds:,.0f} us" if what == "one row" else f"{1 / seconds:,.0f} rows/s"
            )
            print(f"{name:16}{what:12}{shown:>18}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")
    print({name: f"{1 / value:,.0f} rows/s" for name, value in feed(data, clock).items()})

"""Compare the speed of the estimators with that of other libraries.

All sides run in one process on the same generated rows, in turn: A B B A, and again. The time of
an epoch, validation included, is what our own estimator says of the fastest one of every phase of
the training, and for the other libraries half the difference of a fit of three epochs and one of
one, the fastest of all rounds: the set-up of tables and what follows training thus drop out for
everybody. Prediction starts from codes. Every side is shown by its best round. On a busy machine
use one thread: the times are then CPU times of the process, and only their ratios count::

    python -m nox -s bench -- speed --shape criteo --threads 1
    python -m nox -s bench -- speed --shape frappe --batch-size 256 --sides pin profit fuxictr-fm

``bench.py device`` checks and times training on a GPU.
"""

import copy
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
from sparsectr.methods.dynint.net import VARIANTS, DynIntConfig, DynIntNet
from sparsectr.rows.labelled import Batch, LabelledRows
from sparsectr.rows.memory import MemoryRows
from sparsectr.rows.orders import shuffled_batches
from sparsectr.training.prediction import predict_logits
from sparsectr.training.recording import WARM_UP_CALLS

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


# On a device -----------------------------------------------------------------------------

# Relative error of loss and gradients against float64 on the CPU, by the norm of each.
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-4}
# Passes of a step over the embeddings of a batch: looked up, their gradient written and read, and
# the row with both moments read and written.
PASSES = 3 + 2 * 3
# The gradient of a ReLU jumps at 0: rows are left out whose inputs to one are closer to it than
# float32 can tell.
SMALLEST_INPUT = 1e-5


def find_errors(data, device):
    """Return, for every variant and type, the largest relative error of loss and gradients."""
    errors = {}
    batch = [torch.from_numpy(x[: data.batch_size]) for x in (data.codes, data.labels)]
    for variant in VARIANTS:
        config = DynIntConfig(variant, n_layers=3, rank=2)
        net = DynIntNet(data.sizes, EMBEDDING_DIM, 1, config)
        net.reset_parameters(torch.Generator().manual_seed(0))
        smooth = smallest_inputs(net, batch[0]) > SMALLEST_INPUT
        rows = [x[smooth] for x in batch]
        exact = compute_gradients(net, *rows, "cpu", torch.float64)
        for dtype in TOLERANCES:
            results = compute_gradients(net, *rows, device, dtype)
            errors[variant, dtype] = max(
                float((a - b).norm() / b.norm().clamp(min=1e-12))
                for a, b in zip(results, exact, strict=True)
            )
    return errors


@torch.no_grad()
def smallest_inputs(net, codes):
    """Return, for every row of codes, the smallest absolute input to a ReLU of the net's gates."""
    smallest = torch.full((len(codes),), torch.inf)
    for gate in net.gates:
        inputs = gate.hidden(net.embedding(codes).flatten(1))
        smallest = torch.minimum(smallest, inputs.abs().amin(1))
    return smallest


def compute_gradients(net, codes, labels, device, dtype):
    """Return the loss and all gradients of a copy of the net on a device."""
    net = copy.deepcopy(net).to(device, dtype)
    labels = labels.to(device, dtype)
    rows = Batch(codes.to(device), labels, torch.ones_like(labels))
    loss = net.loss(rows)
    loss.backward()
    gradients = [p.grad.to_dense() if p.grad.is_sparse else p.grad for p in net.parameters()]
    return [x.detach().cpu().double() for x in (loss, *gradients)]


def make_estimators(shared):
    """Return the estimators by name."""
    dynint = {
        variant: DynIntClassifier(n_layers=3 if variant == "pin" else 2, variant=variant, **shared)
        for variant in VARIANTS
    }
    search = {"search_epochs": shared["max_epochs"], **shared}
    return dynint | {
        "profit": ProfitClassifier(
            space="cp", rank=8, max_order=3, n_crosses=20, screening=None, **search
        ),
        "profit-mlp": ProfitClassifier(
            space="cp", rank=8, max_order=2, n_crosses=20, predictor="mlp", dropout=0.2, **search
        ),
        "optfeature": OptFeatureClassifier(granularity="hybrid", **search),
    }


def fit(estimator, data, recorded):
    """Return rows per second of the fastest epoch of every phase, the predictions, the seconds."""
    started = time.perf_counter()
    # Without a warm-up that ends, nothing is recorded.
    warm_up = WARM_UP_CALLS if recorded else 10**9
    with patch("sparsectr.training.recording.WARM_UP_CALLS", warm_up):
        estimator.fit(data.codes, data.labels, X_val=data.val_codes, y_val=data.val_labels)
    seconds = time.perf_counter() - started
    fastest = fastest_epochs(estimator)
    rates = {phase: len(data.codes) / seconds for phase, seconds in fastest.items()}
    return rates, estimator.predict_proba(data.val_codes), seconds


def measure_bandwidth(device):
    """Return the bytes per second that a copy of a large tensor reads and writes."""
    source = torch.zeros(64 * 2**20, device=device)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(5):
        started = time.perf_counter()
        target.copy_(source)
        if device != "cpu":
            torch.cuda.synchronize(device)
        best = max(best, 2 * source.nbytes / (time.perf_counter() - started))
    return best


def add_device(parser):
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shape", choices=SHAPES, default="criteo")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--methods", nargs="+", help="all by default")


def run_device(arguments):
    """Check training on a device against the CPU, and compare its speed with FuxiCTR's DCN-V2.

    One command does all of it, on a GPU or, to try the script, on the CPU::

        python examples/benchmarks/bench.py device --device cuda
        python examples/benchmarks/bench.py device --device cpu --batches 4 --shape frappe

    Printed are, for every variant of DynInt, how far loss and gradients on the device are from
    those in float64 on the CPU, in both types; for every method, whether steps that the GPU repeats
    from a recording train the same net as steps launched one by one, and rows per second of both,
    beside FuxiCTR's DCN-V2; and the share of the memory bandwidth that the bytes of the embeddings
    alone would take.
    """
    """Check, measure and print."""
    data = make_table(arguments.shape, arguments.batch_size, arguments.batches)
    for (variant, dtype), error in find_errors(data, arguments.device).items():
        print(f"{variant:4}{dtype}: {error:.1e} from float64 on the CPU")
        if not error < TOLERANCES[dtype]:
            raise SystemExit(f"more than {TOLERANCES[dtype]}")
    shared = {
        "device": arguments.device,
        "batch_size": arguments.batch_size,
        "max_epochs": 4,
        "n_iter_no_change": 100,
        "n_interactions": 1,
        "embedding_dim": EMBEDDING_DIM,
        "random_state": 0,
    }
    bandwidth = measure_bandwidth(arguments.device)
    print(f"copying a large tensor: {bandwidth / 1e9:.0f} GB/s")
    peer = FuxiCTR("DCN-V2", data, gpu=-1 if arguments.device == "cpu" else 0)
    peer_rate = len(data.codes) / peer.epoch_seconds(time.perf_counter)["train"]
    print(f"FuxiCTR DCN-V2    {peer_rate:14,.0f} rows/s")
    row_bytes = PASSES * 4 * EMBEDDING_DIM * len(data.sizes)
    estimators = make_estimators(shared)
    for name in arguments.methods or estimators:
        estimator = estimators[name]
        plain, expected, _ = fit(estimator, data, False)
        recorded, predicted, seconds = fit(estimator, data, True)
        difference = abs(predicted - expected).max()
        print(f"{name}: recorded steps change predictions by {difference:.1e}; fit {seconds:.1f} s")
        for phase, rate in recorded.items():
            share = rate * row_bytes / bandwidth
            print(
                f"    {phase:10}{rate:14,.0f} rows/s, {rate / plain[phase]:.1f} times that of "
                f"single launches, {rate / peer_rate:.1f} that of DCN-V2, "
                f"{share:.1%} of the bandwidth"
            )

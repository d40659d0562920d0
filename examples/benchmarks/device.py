"""Check training on a device against the CPU, and compare its speed with FuxiCTR's DCN-V2 there.

One command does all of it, on a GPU or, to try the script, on the CPU::

    python examples/benchmarks/bench.py device --device cuda
    python examples/benchmarks/bench.py device --device cpu --batches 4 --shape frappe

Printed are, for every variant of DynInt, how far loss and gradients on the device are from those in
float64 on the CPU, in both types; for every method, whether steps that the GPU repeats from a
recording train the same net as steps launched one by one, and rows per second of both, beside
FuxiCTR's DCN-V2; and the share of the memory bandwidth that the bytes of the embeddings alone would
take.
"""

import copy
import time
from unittest.mock import patch

import torch
from peers import FuxiCTR
from speed import SHAPES, fastest_epochs, make_table

from sparsectr import DynIntClassifier, OptFeatureClassifier, ProfitClassifier
from sparsectr.methods.dynint.net import VARIANTS, DynIntConfig, DynIntNet
from sparsectr.rows.labelled import Batch
from sparsectr.training.recording import WARM_UP_CALLS

EMBEDDING_DIM = 16
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


def add_arguments(parser):
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shape", choices=SHAPES, default="criteo")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--methods", nargs="+", help="all by default")


def run(arguments):
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

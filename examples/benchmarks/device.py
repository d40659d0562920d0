"""Check training on a device against the CPU, and compare its speed with FuxiCTR's DCN-V2 there.

One command does all of it, on a GPU or, to try the script, on the CPU::

    python examples/benchmarks/device.py --device cuda
    python examples/benchmarks/device.py --device cpu --batches 4 --shape frappe

Three things are printed: for every variant, the largest relative difference of loss and gradients
between both devices; rows per second of epochs on the device beside DCN-V2's; and the share of the
memory bandwidth that the bytes of the embeddings alone would take.
"""

import argparse
import copy
import time

import torch
from peers import FuxiCTR
from speed import SHAPES, fastest_epochs, make_table

from sparsectr import DynIntClassifier, ProfitClassifier
from sparsectr.kernels.dispatch import fused_kernels
from sparsectr.methods.dynint import VARIANTS, DynIntConfig, DynIntNet
from sparsectr.training.batches import LabelledRows
from sparsectr.training.losses import log_loss

EMBEDDING_DIM = 16
TOLERANCE = 1e-4
# Passes of a step over the embeddings of a batch: looked up, their gradient written and read, and
# the row with both moments read and written.
PASSES = 3 + 2 * 3


def find_differences(data, device):
    """Return, for every variant, the largest relative difference of loss and gradients."""
    differences = {}
    size = data.batch_size
    rows = LabelledRows(
        torch.from_numpy(data.codes[:size]),
        torch.from_numpy(data.labels[:size]).float(),
        torch.ones(size),
    )
    for variant in VARIANTS:
        config = DynIntConfig(variant, n_layers=3, rank=2)
        net = DynIntNet(data.sizes, EMBEDDING_DIM, 1, config)
        net.reset_parameters(torch.Generator().manual_seed(0))
        results = [compute_gradients(net, rows, place) for place in ("cpu", device)]
        differences[variant] = max(
            float((a - b).abs().max() / a.abs().max().clamp(min=1e-12))
            for a, b in zip(*results, strict=True)
        )
    return differences


def compute_gradients(net, rows, device):
    """Return the loss and all gradients of a copy of the net on a device, by the reference."""
    net = copy.deepcopy(net).to(device)
    rows = LabelledRows(*(x.to(device) for x in (rows.codes, rows.targets, rows.weights)))
    with fused_kernels(False):
        loss = log_loss(net(rows.codes), rows)
        loss.backward()
    gradients = [p.grad.to_dense() if p.grad.is_sparse else p.grad for p in net.parameters()]
    return [x.detach().cpu().double() for x in (loss, *gradients)]


def time_epochs(estimator, data):
    """Return rows per second of the fastest epoch of every phase."""
    estimator.fit(data.codes, data.labels, X_val=data.val_codes, y_val=data.val_labels)
    fastest = fastest_epochs(estimator.history_)
    return {phase: len(data.codes) / seconds for phase, seconds in fastest.items()}


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


def main():
    """Check, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shape", choices=SHAPES, default="criteo")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--batches", type=int, default=200)
    arguments = parser.parse_args()
    data = make_table(arguments.shape, arguments.batch_size, arguments.batches)
    for variant, difference in find_differences(data, arguments.device).items():
        print(f"{variant}: differs by {difference:.1e}")
        if difference > TOLERANCE:
            raise SystemExit(f"more than {TOLERANCE} between {arguments.device} and the CPU")
    shared = {
        "device": arguments.device,
        "batch_size": arguments.batch_size,
        "max_epochs": 3,
        "n_iter_no_change": 100,
        "n_interactions": 1,
        "random_state": 0,
    }
    sides = {
        "pin": DynIntClassifier(n_layers=2, **shared),
        "profit": ProfitClassifier(space="cp", max_order=3, screening=None, **shared),
    }
    bandwidth = measure_bandwidth(arguments.device)
    print(f"copying a large tensor: {bandwidth / 1e9:.0f} GB/s")
    row_bytes = PASSES * 4 * EMBEDDING_DIM * len(data.sizes)
    for name, estimator in sides.items():
        for phase, rate in time_epochs(estimator, data).items():
            share = rate * row_bytes / bandwidth
            print(f"{name:8}{phase:10}{rate:14,.0f} rows/s, {share:.1%} of the bandwidth")
    peer = FuxiCTR("DCN-V2", data, gpu=-1 if arguments.device == "cpu" else 0)
    seconds = peer.epoch_seconds(time.perf_counter)["train"]
    print(f"FuxiCTR DCN-V2    {len(data.codes) / seconds:14,.0f} rows/s")


if __name__ == "__main__":
    main()

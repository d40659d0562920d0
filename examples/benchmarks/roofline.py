"""Hold each part of a training step against what the machine allows.

Criteo shape: 39 fields, a million values, D = 16, batches of 4,096 rows, Zipf-distributed values;
CPU time of one thread, the best of several steps. The limits are measured in the same run:

- arithmetic: the products of the reference, as torch counts them, at the rate of a large product;
- memory: the embeddings of all lookups, read, and their gradients, written, at the rate of a copy;
- optimizer: gradients read at that rate, weights and state of the distinct rows visited in random
  order, at the rate at which torch selects such rows.

    python examples/benchmarks/roofline.py
"""

import os
import time

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from sparsectr.kernels.fused import fused_kernels
from sparsectr.methods.dynint.net import DynIntConfig, DynIntNet
from sparsectr.methods.optfeature.net import OptFeatureConfig, OptFeatureNet
from sparsectr.methods.profit.net import ProfitConfig, ProfitNet
from sparsectr.methods.profit.search_net import CrossSearchNet
from sparsectr.methods.profit.search_spaces import SymmetricSpace
from sparsectr.training.batches import LabelledRows
from sparsectr.training.optimizers import make_optimizers, set_batch_rows

B, F, D, V = 4096, 39, 16, 1_000_000
N_BATCHES, ROUNDS = 8, 3
CROSSES = [(f, f + 1, f + 2)[: 2 + f % 2] for f in range(37)] + [(0, 9), (0, 10), (0, 11)]
# Places in memory that hold weights and state of one row. Adam's moments lie side by side.
PLACES = {"adagrad": 2, "adam": 3}


def make_nets():
    """Return every net with its optimizer and the options of its loss."""
    sizes = [V // F] * F
    space = SymmetricSpace(F, 3, 8)
    for beta in space.architecture:
        beta.requires_grad_(False)
    search = CrossSearchNet(sizes, D, 1, space)
    search.order = 3
    wide = OptFeatureConfig(selection_dim=16, selection_rank=128, hidden_units=(1024, 512, 256))
    nets = {
        f'DynInt "{variant}", {n_layers} layers': (
            DynIntNet(sizes, D, 1, DynIntConfig(variant, n_layers, rank=rank, hidden_units=78)),
            "adagrad",
            {},
        )
        for variant, n_layers, rank in (("pin", 3, 1), ("da", 2, 1), ("dgp", 2, 16), ("dwp", 2, 2))
    }
    nets |= {
        "PROFIT search, order 3": (search, "adam", {"of_space": False}),
        "PROFIT, 40 crosses": (ProfitNet(sizes, D, 1, ProfitConfig(tuple(CROSSES))), "adam", {}),
        "OptFeature, weights": (OptFeatureNet(sizes, D, 1, wide), "adagrad", None),
    }
    return nets


def loss_of(net, rows, options):
    """Return the loss as the estimators compute it."""
    if options is None:
        with torch.no_grad():
            gates = net.gates_of(rows.codes)
        return net.loss(rows, gates)
    return net.loss(rows, **options)


def find_limits(rows):
    """Return floating point operations, bytes and randomly selected rows per millisecond."""
    square, block = torch.randn(2048, 2048), torch.randn(16_000_000)
    target = torch.empty_like(block)
    product = min(timed(lambda: square @ square) for _ in range(5))
    copy = min(timed(lambda: target.copy_(block)) for _ in range(5))
    table, order = torch.randn(V, D), rows[torch.randperm(len(rows))]
    select = min(timed(lambda: table.index_select(0, order)) for _ in range(5))
    return 2 * 2048**3 / product, 2 * 4 * len(block) / copy, len(rows) / select


def timed(call):
    """Return the CPU milliseconds of a call."""
    start = time.process_time()
    call()
    return 1e3 * (time.process_time() - start)


def measure(net, kind, options, batches):
    """Return milliseconds of loss with gradients and of optimizers, and counted operations."""
    generator = torch.Generator().manual_seed(0)
    if isinstance(net, OptFeatureNet):
        net.reset_weights(generator)
        net.reset_selection(generator)
        tables, others = [net.embedding.weight], list(net.mlp.parameters())
        columns = (0, D)
    else:
        net.reset_parameters(generator)
        tables = [p for p in net.parameters() if len(p) == net.embedding.weight.shape[0]]
        others = [p for p in net.parameters() if p.requires_grad and len(p) < len(tables[0])]
        columns = None
    optimizers = make_optimizers(tables, others, kind, learning_rate=1e-3, columns=columns)
    inputs = [*tables, *others]

    def backward(rows):
        for parameter in inputs:
            parameter.grad = None
        loss_of(net, rows, options).backward(inputs=inputs)

    def update():
        set_batch_rows(optimizers, B)
        for optimizer in optimizers:
            optimizer.step()

    best = np.full(2, np.inf)
    for _ in range(ROUNDS):
        for rows in batches:
            best = np.minimum(best, (timed(lambda: backward(rows)), timed(update)))  # noqa: B023
    with fused_kernels(False), FlopCounterMode(display=False) as counter:
        backward(batches[0])
    return *best, counter.get_total_flops(), [min(table.shape[1], D) for table in tables]


def main():
    """Measure and print one line per net."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    ranks = np.minimum(rng.zipf(1.1, (N_BATCHES, B, F)), V // F) - 1
    targets = rng.integers(2, size=(N_BATCHES, B))
    batches = [
        LabelledRows(torch.from_numpy(c), torch.from_numpy(y), torch.ones(B))
        for c, y in zip(ranks.astype(np.int32), targets.astype(np.float32), strict=True)
    ]
    distinct = torch.from_numpy((ranks[0] + np.arange(F) * (V // F)).ravel()).unique()
    rate, bandwidth, selected = find_limits(distinct)
    print(
        f"load {os.getloadavg()[0]:.1f}, product {rate / 1e6:.0f} GFLOP/s, copy "
        f"{bandwidth / 1e6:.1f} GB/s, {selected / 1e3:.0f} M random rows/s, {len(distinct)} rows"
    )
    print(f"{'ms of a step':26}loss + gradients  limit  share   optimizer  limit  share")
    for name, (net, kind, options) in make_nets().items():
        loss, update, operations, widths = measure(net, kind, options, batches)
        gradients = 4 * B * F * sum(widths)
        of_loss = operations / rate + 2 * gradients / bandwidth
        visits = PLACES[kind] * len(widths) * len(distinct)
        of_update = gradients / bandwidth + visits / selected
        print(
            f"{name:26}{loss:16.1f}{of_loss:7.1f}{of_loss / loss:7.0%}"
            f"{update:12.1f}{of_update:7.1f}{of_update / update:7.0%}"
        )


if __name__ == "__main__":
    main()

"""Compare fused code with its torch reference, and with the limits of the machine.

    python examples/benchmarks/bench.py kernels
    python examples/benchmarks/bench.py kernels limits

Criteo shape: batches of 4,096 rows, 39 fields, a million Zipf-distributed values, D = 16. Times are
CPU milliseconds of one thread, the best of several rounds.

``reference``: every kernel, fused and as torch computes it, in turn.

``limits``: each part of a training step against what the machine allows. The limits are measured
in the same run:

- arithmetic: the products of the reference, as torch counts them, at the rate of a large product;
- memory: the embeddings of all lookups, read, and their gradients, written, at the rate of a copy;
- optimizer: gradients read at that rate, weights and state of the distinct rows visited in random
  order, at the rate at which torch selects such rows.
"""

import os
import time

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from sparsectr.kernels.ftrl import group_ftrl_rows_
from sparsectr.kernels.fused import fused_kernels
from sparsectr.kernels.pin import polynomial_sums
from sparsectr.kernels.rows import AdagradTable, AdamTable, adagrad_rows_, adam_rows_
from sparsectr.methods.dynint.net import DynIntConfig, DynIntNet
from sparsectr.methods.optfeature.net import OptFeatureConfig, OptFeatureNet
from sparsectr.methods.profit.net import ProfitConfig, ProfitNet
from sparsectr.methods.profit.search_net import CrossSearchNet
from sparsectr.methods.profit.search_spaces import SymmetricSpace
from sparsectr.methods.profit.symmetric import symmetric_sums
from sparsectr.nn.cross_products import WeightedCrosses
from sparsectr.rows.labelled import Batch
from sparsectr.training.optimizers import make_optimizers, set_batch_rows

B, F, D, V = 4096, 39, 16, 1_000_000
N_BATCHES = 8
CROSSES = [(f, f + 1, f + 2)[: 2 + f % 2] for f in range(37)] + [(0, 9), (0, 10), (0, 11)]
# Places in memory that hold weights and state of one row. Adam's moments lie side by side.
PLACES = {"adagrad": 2, "adam": 3}


# References ------------------------------------------------------------------------------


def make_cases():
    """Return every kernel as name: (function of tensors, tensors with gradients, operations)."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape, scale=1.0):
        return (scale * torch.randn(shape, generator=generator)).requires_grad_()

    embeddings = draw(B, F, D, scale=0.1)
    layers = draw(3, F, F, scale=F**-0.5)
    two = draw(2, F, F, scale=F**-0.5)
    gate, left, right = draw(2, B, 1, F), draw(2, B, 2, F), draw(2, B, 2, F)
    betas = [draw(8, F, scale=0.5) for _ in range(3)]
    crosses = WeightedCrosses(CROSSES)
    torch.nn.init.normal_(crosses.weight, generator=generator)
    product = 2 * B * D * F * F  # one layer
    ranks = np.minimum(np.random.default_rng(0).zipf(1.1, (B, F)), V // F) - 1
    rows = Batch(torch.from_numpy(ranks.astype(np.int32)), torch.ones(B), torch.ones(B))
    sizes = [V // F] * F
    pin = DynIntNet(sizes, D, 1, DynIntConfig(n_layers=3))
    search = CrossSearchNet(sizes, D, 1, SymmetricSpace(F, 3, 8))
    search.order = 3
    kept = ProfitNet(sizes, D, 1, ProfitConfig(tuple(CROSSES)))
    for net in (pin, search, kept):
        net.reset_parameters(generator)
    return {
        "PIN, 3 layers": (polynomial_sums, [embeddings, layers], 9 * product),
        "DA, 2 layers": (polynomial_sums, [embeddings, two, gate], 6 * product),
        "DWP, 2 layers, K = 2": (polynomial_sums, [embeddings, two, left, right], 12 * product),
        "PROFIT orders 1 to 3, R = 8": (
            lambda e, *b: symmetric_sums(e, list(b)),
            [embeddings, *betas],
            0,
        ),
        "40 crosses": (lambda e, _: crosses.sum(e), [embeddings, crosses.weight], 0),
        "PIN, codes to gradients": (*loss_of(pin, rows), 9 * product),
        "PROFIT search, the same": (*loss_of(search, rows, of_space=False), 0),
        "40 crosses, the same": (*loss_of(kept, rows), 0),
    }


def loss_of(net, rows, **options):
    """Return a function that gives the loss of a net on a batch, and the net's parameters."""

    return lambda *_: net.loss(rows, **options), [p for p in net.parameters() if p.requires_grad]


def time_case(function, inputs):
    """Return the CPU milliseconds of a forward and a backward pass."""
    start = time.process_time()
    result = function(*inputs)
    middle = time.process_time()
    torch.autograd.grad(result, inputs, torch.ones_like(result))
    return 1e3 * (middle - start), 1e3 * (time.process_time() - middle)


def make_updates(values):
    """Return a function per optimizer that takes the rows of a batch and updates its table."""

    steps = torch.zeros(V, dtype=torch.int32)
    adam = AdamTable(torch.randn(V, D), torch.zeros(V, D), torch.zeros(V, D), steps, values)
    adagrad = AdagradTable(torch.randn(V, D), torch.zeros(V), values)
    ftrl = torch.randn(V, D), torch.zeros(V, D), torch.zeros(V, D)
    of_adam = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
    of_ftrl = {"lr": 0.05, "beta": 1.0, "l1": 0.1, "l2": 0.1, "gradient_scale": B}
    return {
        "Adam": lambda rows: adam_rows_([adam], rows, **of_adam),
        "row-wise Adagrad": lambda rows: adagrad_rows_(
            [adagrad], rows, lr=0.1, eps=1e-10, weight_decay=0.0
        ),
        "group FTRL": lambda rows: group_ftrl_rows_(*ftrl, rows, values, **of_ftrl),
    }


def time_update(update, batches):
    """Return the CPU milliseconds of the fastest of several updates."""
    best = np.inf
    for rows in batches:
        start = time.process_time()
        update(rows)
        best = min(best, 1e3 * (time.process_time() - start))
    return best


def compare_references(n_rounds):
    """Print one line per kernel."""
    print(f"load {os.getloadavg()[0]:.1f}")
    large = torch.randn(2048, 2048)
    rates = []
    for _ in range(5):
        start = time.process_time()
        large @ large
        rates.append(2 * 2048**3 / (time.process_time() - start) / 1e9)
    print(f"large matrix product {max(rates):.0f} GFLOP/s")
    print(f"{'forward + backward, ms':30}{'reference':>16}{'fused':>16}{'ratio':>7}{'GFLOP/s':>9}")
    for name, (function, inputs, operations) in make_cases().items():
        best = {True: np.full(2, np.inf), False: np.full(2, np.inf)}
        for _ in range(n_rounds):
            for on in (True, False, False, True):
                with fused_kernels(on):
                    best[on] = np.minimum(best[on], time_case(function, inputs))
        (f, b), (slow_f, slow_b) = best[True], best[False]
        rate = f"{operations / (f + b) / 1e6:9.0f}" if operations else ""
        ratio = (slow_f + slow_b) / (f + b)
        print(f"{name:30}{slow_f:8.1f}{slow_b:8.1f}{f:8.1f}{b:8.1f}{ratio:7.1f}{rate}")
    rng = np.random.default_rng(0)
    ranks = np.minimum(rng.zipf(1.1, (30, B * F)), V // F) - 1
    batches = [torch.from_numpy(r + np.tile(np.arange(F) * (V // F), B)) for r in ranks]
    distinct = len(batches[0].unique())
    for name, update in make_updates(torch.randn(B * F, D)).items():
        found = {}
        for on in (True, False):
            with fused_kernels(on):
                found[on] = time_update(update, batches)
        print(
            f"{f'{name}, {distinct} distinct rows':38}{found[False]:8.1f}{found[True]:16.1f}"
            f"{found[False] / found[True]:7.1f}"
        )


# Limits ----------------------------------------------------------------------------------


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


def compute_loss(net, rows, options):
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


def measure_step(net, kind, options, batches, n_rounds):
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
        compute_loss(net, rows, options).backward(inputs=inputs)

    def update():
        set_batch_rows(optimizers, B)
        for optimizer in optimizers:
            optimizer.step()

    best = np.full(2, np.inf)
    for _ in range(n_rounds):
        for rows in batches:
            best = np.minimum(best, (timed(lambda: backward(rows)), timed(update)))  # noqa: B023
    with fused_kernels(False), FlopCounterMode(display=False) as counter:
        backward(batches[0])
    return *best, counter.get_total_flops(), [min(table.shape[1], D) for table in tables]


def measure_limits(n_rounds):
    """Print one line per net."""
    rng = np.random.default_rng(0)
    ranks = np.minimum(rng.zipf(1.1, (N_BATCHES, B, F)), V // F) - 1
    targets = rng.integers(2, size=(N_BATCHES, B))
    batches = [
        Batch(torch.from_numpy(c), torch.from_numpy(y), torch.ones(B))
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
        loss, update, operations, widths = measure_step(net, kind, options, batches, n_rounds)
        gradients = 4 * B * F * sum(widths)
        of_loss = operations / rate + 2 * gradients / bandwidth
        visits = PLACES[kind] * len(widths) * len(distinct)
        of_update = gradients / bandwidth + visits / selected
        print(
            f"{name:26}{loss:16.1f}{of_loss:7.1f}{of_loss / loss:7.0%}"
            f"{update:12.1f}{of_update:7.1f}{of_update / update:7.0%}"
        )


# Subject, and how many rounds are enough.
SUBJECTS = {"reference": (compare_references, 15), "limits": (measure_limits, 3)}


def add_arguments(parser):
    parser.add_argument("subject", nargs="?", choices=SUBJECTS, default="reference")
    parser.add_argument("--rounds", type=int)


def run(arguments):
    torch.set_num_threads(1)
    measure, n_rounds = SUBJECTS[arguments.subject]
    measure(arguments.rounds or n_rounds)

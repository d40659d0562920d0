"""Compare every fused kernel with its torch reference, and with the limits of the machine.

Times are CPU times of one thread, in milliseconds per batch of 4,096 rows, 39 fields, D = 16; fused
and reference take turns and each is shown by its best round::

    python examples/benchmarks/kernels.py
"""

import os
import time

import numpy as np
import torch

from sparsectr.kernels.ftrl import group_ftrl_rows_
from sparsectr.kernels.fused import fused_kernels
from sparsectr.kernels.pin import polynomial_sums
from sparsectr.kernels.rows import AdagradTable, AdamTable, adagrad_rows_, adam_rows_
from sparsectr.methods.dynint.net import DynIntConfig, DynIntNet
from sparsectr.methods.profit.net import ProfitConfig, ProfitNet
from sparsectr.methods.profit.search_net import CrossSearchNet
from sparsectr.methods.profit.search_spaces import SymmetricSpace
from sparsectr.methods.profit.symmetric import symmetric_sums
from sparsectr.nn.cross_products import WeightedCrosses
from sparsectr.training.batches import LabelledRows

B, F, D, V, ROUNDS = 4096, 39, 16, 1_000_000, 15


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
    listed = [(f, f + 1, f + 2)[: 2 + f % 2] for f in range(37)] + [(0, 9)] * 3
    crosses = WeightedCrosses(listed)
    torch.nn.init.normal_(crosses.weight, generator=generator)
    product = 2 * B * D * F * F  # one layer
    ranks = np.minimum(np.random.default_rng(0).zipf(1.1, (B, F)), V // F) - 1
    rows = LabelledRows(torch.from_numpy(ranks.astype(np.int32)), torch.ones(B), torch.ones(B))
    sizes = [V // F] * F
    pin = DynIntNet(sizes, D, 1, DynIntConfig(n_layers=3))
    search = CrossSearchNet(sizes, D, 1, SymmetricSpace(F, 3, 8))
    search.order = 3
    kept = ProfitNet(sizes, D, 1, ProfitConfig(tuple(listed)))
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

    def zeros(*shape):
        return torch.zeros(shape)

    adam = AdamTable(
        torch.randn(V, D), zeros(V, D), zeros(V, D), torch.zeros(V, dtype=torch.int32), values
    )
    adagrad = AdagradTable(torch.randn(V, D), zeros(V), values)
    ftrl = torch.randn(V, D), zeros(V, D), zeros(V, D)
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


def main():
    """Measure and print one line per kernel."""
    torch.set_num_threads(1)
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
        for _ in range(ROUNDS):
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


if __name__ == "__main__":
    main()

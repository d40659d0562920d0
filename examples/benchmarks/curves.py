"""Draw how the cost of a training step grows, beside the law that is expected.

The law is a fixed part plus a power of the quantity: what a step costs whatever its size, and what
the arithmetic or the memory it must go through costs. Both parts are fitted; the power is not.

Runs whole steps (fused loss, gradients, optimizers) of a DynInt net and of PROFIT's search net on
codes of uniform values, one quantity at a time around a base case, in CPU time of one thread (but
for the threads themselves), the points of a curve in turn:

    python examples/benchmarks/curves.py --out docs/performance_curves.png

Prints a table, and draws one panel per quantity if --out is given.
"""

import argparse
import importlib
import time
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import nnls

from sparsectr.methods.dynint.net import DynIntConfig, DynIntNet
from sparsectr.methods.profit.search_net import CrossSearchNet
from sparsectr.methods.profit.search_spaces import SymmetricSpace
from sparsectr.training.batches import LabelledRows
from sparsectr.training.descent import descend
from sparsectr.training.optimizers import make_optimizers

BASE = {"batch": 2048, "fields": 20, "vocabulary": 200_000, "D": 16, "threads": 1}
DYNINT = BASE | {"layers": 2}
PROFIT = BASE | {"order": 3, "rank": 8}
# Quantity, net, values, and the expected power of the quantity.
CURVES = [
    ("batch", DYNINT, [256, 1024, 4096, 16384], 1),
    ("fields", DYNINT, [5, 10, 20, 40], 2),
    ("fields", PROFIT, [5, 10, 20, 40], 1),
    ("vocabulary", DYNINT, [10_000, 100_000, 1_000_000, 4_000_000], 0),
    ("D", DYNINT, [8, 16, 32, 64], 1),
    ("layers", DYNINT, [1, 2, 3, 4], 1),
    ("order", PROFIT, [1, 2, 3, 4], 1),
    ("rank", PROFIT, [2, 4, 8, 16], 1),
    ("threads", DYNINT, [1, 2], -1),
]
N_STEPS, ROUNDS = 6, 5


class Steps:
    """A net with batches of random codes; `time_steps` trains on them."""

    def __init__(self, case):
        generator = torch.Generator().manual_seed(0)
        n_fields, self.n_threads = case["fields"], case["threads"]
        sizes = [case["vocabulary"] // n_fields] * n_fields
        if "layers" in case:
            self.net = DynIntNet(sizes, case["D"], 1, DynIntConfig("pin", case["layers"]))
            self.options = {}
        else:
            space = SymmetricSpace(n_fields, case["order"], case["rank"])
            for beta in space.architecture:
                beta.requires_grad_(False)
            self.net = CrossSearchNet(sizes, case["D"], 1, space)
            self.net.order = case["order"]
            self.options = {"of_space": False}
        self.net.reset_parameters(generator)
        tables = [p for p in self.net.parameters() if len(p) == sum(sizes)]
        others = [p for p in self.net.parameters() if len(p) != sum(sizes) and p.requires_grad]
        self.optimizers = make_optimizers(tables, others, "adagrad", learning_rate=1e-4)
        shape = N_STEPS, case["batch"], n_fields
        self.codes = (torch.rand(shape, generator=generator) * sizes[0]).int()
        self.targets = torch.randint(2, shape[:2], generator=generator).float()
        self.weights = torch.ones(shape[1])

    def time_steps(self):
        """Return milliseconds per step: of the CPU for one thread, else of the clock."""
        torch.set_num_threads(self.n_threads)
        clock = time.process_time if self.n_threads == 1 else time.perf_counter
        started = clock()
        for codes, targets in zip(self.codes, self.targets, strict=True):
            loss = self.net.loss(LabelledRows(codes, targets, self.weights), **self.options)
            descend(loss, self.optimizers, len(codes))
        return 1e3 * (clock() - started) / N_STEPS


def measure(quantity, base, values):
    """Return the fastest milliseconds per step for every value."""
    sides = [Steps(base | {quantity: value}) for value in values]
    rounds = [[side.time_steps() for side in sides] for _ in range(ROUNDS)]
    return np.min(rounds, axis=0)


def fit_law(values, power, times):
    """Return the fixed part and the factor of ``values ** power`` that come nearest, both >= 0."""
    powers = np.asarray(values, float) ** power
    # Deviations count as shares of the time.
    found, _ = nnls(
        np.column_stack([np.ones(len(times)), powers]) / times[:, None], np.ones(len(times))
    )
    return found, np.column_stack([np.ones(len(times)), powers]) @ found


def draw(results, path):
    """Draw one panel per curve."""
    plt = importlib.import_module("matplotlib.pyplot")
    plt.switch_backend("Agg")
    figure, axes = plt.subplots(3, 3, figsize=(9, 8), layout="constrained")
    for ax, (quantity, net, values, power, times, law) in zip(axes.flat, results, strict=True):
        label = "constant" if power == 0 else f"fixed + c {quantity}$^{{{power}}}$"
        ax.plot(values, law, color="0.7", label=label)
        ax.plot(values, times, "o", color="tab:blue", label="measured")
        ax.set(xscale="log", xlabel=quantity, title=net, ylabel="ms a step", ylim=(0, None))
        ax.set_xticks(values, [shorten(value) for value in values])
        ax.minorticks_off()
        ax.legend(fontsize="small", loc="best")
    figure.savefig(path, dpi=110)


def shorten(value):
    """Write a number in few characters."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if value % size == 0:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = []
    print("| quantity | net | law | ms a step | fixed ms | largest deviation |")
    print("|---|---|---|---|---|---|")
    for quantity, base, values, power in CURVES:
        times = measure(quantity, base, values)
        net = "DynInt" if base is DYNINT else "PROFIT"
        (fixed, _), law = fit_law(values, power, times)
        results.append((quantity, net, values, power, times, law))
        pairs = ", ".join(
            f"{shorten(value)}: {ms:.1f}" for value, ms in zip(values, times, strict=True)
        )
        words = "constant" if power == 0 else f"fixed + c {quantity}^{power}"
        deviation = np.abs(times / law - 1).max()
        print(
            f"| {quantity} | {net} | {words} | {pairs} | {fixed:.1f} | {deviation:.0%} |",
            flush=True,
        )
    if arguments.out:
        draw(results, arguments.out)


if __name__ == "__main__":
    main()

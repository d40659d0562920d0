"""Cost of one search step over all crosses of an order: distilled space beside the full one.

Times a forward and backward pass of one order over random embeddings (B, F, D), and measures the
peak of the memory it takes, each in a process of its own:

    python examples/benchmarks/profit_cost.py [--batch 1024] [--dim 16] [--rank 4] [--plot cost.png]

A full space that would need more than --memory GiB for one tensor of products is left out.
"""

import argparse
import multiprocessing
import resource
import time
from math import comb

import matplotlib.pyplot as plt
import pandas as pd
import torch

from sparsectr.methods.profit.search_spaces import make_space

FIELDS, ORDERS, ROUNDS = (10, 20, 39), (2, 3, 4), 3


def measure(kind, n_fields, order, batch, dim, rank):
    """Return milliseconds of the best of some steps, and MiB above the start."""
    torch.set_num_threads(1)
    space = make_space(kind, n_fields, order, rank, "symmetric", False)
    generator = torch.Generator().manual_seed(0)
    space.reset_parameters(generator)
    embeddings = torch.randn(batch, n_fields, dim, generator=generator).requires_grad_()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(ROUNDS):
        embeddings.grad = None
        started = time.process_time()
        space(embeddings, order).sum().backward()
        seconds.append(time.process_time() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 1000 * min(seconds), (peak - before) / 1024


def in_own_process(*arguments):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, arguments)


def plot(table, path):
    figure, axes = plt.subplots(layout="constrained")
    for kind, name, marker in (("cp", "distilled", "o"), ("full", "full", "s")):
        rows = table[table["space"] == kind].sort_values("sets")
        axes.loglog(rows["sets"], rows["ms"], marker, label=name)
    axes.set(xlabel="sets of the order", ylabel="CPU time of a step (ms)")
    axes.legend()
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--memory", type=float, default=2.0)
    parser.add_argument("--plot")
    arguments = parser.parse_args()
    shape = (arguments.batch, arguments.dim, arguments.rank)
    rows = []
    for n_fields in FIELDS:
        for order in ORDERS:
            n_sets = comb(n_fields, order)
            products = n_sets * arguments.batch * arguments.dim * 4 / 2**30
            for kind in ("cp", "full"):
                if kind == "full" and products > arguments.memory:
                    continue
                ms, mebibytes = in_own_process(kind, n_fields, order, *shape)
                rows.append([n_fields, order, n_sets, kind, ms, mebibytes])
                print(*rows[-1], flush=True)
    table = pd.DataFrame(rows, columns=["F", "order", "sets", "space", "ms", "MiB"])
    print(table.pivot(index=["F", "order", "sets"], columns="space", values=["ms", "MiB"]).round(1))
    if arguments.plot:
        plot(table, arguments.plot)


if __name__ == "__main__":
    main()

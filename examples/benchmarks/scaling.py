"""How time and memory of training grow.

    python examples/benchmarks/bench.py scaling steps --plot docs/performance_curves.png
    python examples/benchmarks/bench.py scaling table --optimizer adam
    python examples/benchmarks/bench.py scaling memory
    python examples/benchmarks/bench.py scaling search --plot cost.png
    python examples/benchmarks/bench.py scaling store --n-rows 10000000

``steps``: milliseconds of a whole step (fused loss, gradients, optimizers) of a DynInt net and of
PROFIT's search net on codes of uniform values, one quantity at a time around a base case, beside
the law that is expected: a fixed part plus a power of the quantity. Both parts are fitted; the
power is not.

``table``: milliseconds of a step for tables of 10 thousand, 1 million and 15.5 million rows, 39
fields with Zipf's frequencies, every step with a batch of its own, and the bytes of weights and
optimizer state per row.

``memory``: the growth of the process during `fit`, beside the size of the embedding table and its
optimizer state. Four fields are hashed into as many buckets as the table shall have rows, so that
a small frame trains a large table.

``search``: a forward and backward pass of PROFIT over all crosses of one order, distilled and full
space, with the peak of the memory, each in a process of its own. A full space that would need more
than 2 GiB for one tensor of products is left out.

``store``: seconds by the clock to write and to read an estimator with skops, one string and 16
weights for each of ``--n-rows`` rows.

Times are process CPU times of one thread (but for the threads themselves, by the clock), the best
of several rounds; what is compared takes turns.
"""

import importlib
import multiprocessing
import resource
import tempfile
import time
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import skops.io
import torch
from scipy.optimize import nnls

from sparsectr import DynIntClassifier, FieldEncoder, trusted_types
from sparsectr.methods.dynint.net import DynIntConfig, DynIntNet
from sparsectr.methods.profit.search_net import CrossSearchNet
from sparsectr.methods.profit.search_spaces import SymmetricSpace, make_space
from sparsectr.rows.labelled import Batch, LabelledRows
from sparsectr.rows.memory import MemoryRows
from sparsectr.training.descent import descend
from sparsectr.training.optimizers import make_optimizers
from sparsectr.training.prior import add_embedding_prior

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
N_STEPS = 6
# Of ``table``.
N_FIELDS, BATCH_SIZE, N_BATCHES, D = 39, 4096, 48, 16
# Of ``memory``.
N_HASHED = 4
# Of ``search``.
SEARCH_FIELDS, SEARCH_ORDERS, MAX_GIBIBYTES = (10, 20, 39), (2, 3, 4), 2.0
SEARCH_SHAPE = {"batch": 1024, "dim": 16, "rank": 4}


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# Steps -----------------------------------------------------------------------------------


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
            loss = self.net.loss(Batch(codes, targets, self.weights), **self.options)
            descend(loss, self.optimizers, len(codes))
        return 1e3 * (clock() - started) / N_STEPS


def measure_steps(arguments):
    """Print a line per curve, and draw the curves where a file is named."""
    results = []
    print("| quantity | net | law | ms a step | fixed ms | largest deviation |")
    print("|---|---|---|---|---|---|")
    for quantity, base, values, power in CURVES:
        sides = [Steps(base | {quantity: value}) for value in values]
        rounds = [[side.time_steps() for side in sides] for _ in range(arguments.rounds)]
        times = np.min(rounds, axis=0)
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
    if arguments.plot:
        draw_steps(results, arguments.plot)


def fit_law(values, power, times):
    """Return the fixed part and the factor of ``values ** power`` that come nearest, both >= 0."""
    powers = np.asarray(values, float) ** power
    # Deviations count as shares of the time.
    found, _ = nnls(
        np.column_stack([np.ones(len(times)), powers]) / times[:, None], np.ones(len(times))
    )
    return found, np.column_stack([np.ones(len(times)), powers]) @ found


def draw_steps(results, path):
    """Draw one panel per curve."""
    plt = import_pyplot()
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


def import_pyplot():
    """Import matplotlib, which only pictures need."""
    plt = importlib.import_module("matplotlib.pyplot")
    plt.switch_backend("Agg")
    return plt


def shorten(value):
    """Write a number in few characters."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if value % size == 0:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


# Table -----------------------------------------------------------------------------------


class Training:
    """One net with its data and optimizers; `run_step` trains on the next batch."""

    def __init__(self, table_rows, optimizer):
        generator = torch.Generator().manual_seed(0)
        size = table_rows // N_FIELDS
        n_rows = N_BATCHES * BATCH_SIZE
        uniform = torch.rand((n_rows, N_FIELDS), generator=generator, dtype=torch.float64)
        codes = (size**uniform - 1).int().clamp_(max=size - 1)  # frequencies like 1 / rank
        targets = torch.randint(2, (n_rows,), generator=generator).float()
        self.rows = LabelledRows(MemoryRows(codes), targets, torch.ones(n_rows))
        self.net = DynIntNet([size] * N_FIELDS, D, 1, DynIntConfig(n_layers=3))
        self.net.reset_parameters(generator)
        table = self.net.embedding.weight
        others = [p for p in self.net.parameters() if p is not table]
        self.optimizers = make_optimizers([table], others, optimizer, learning_rate=1e-3)
        add_embedding_prior(self.optimizers, self.net.embedding, self.rows, 1e-3)
        self.n_steps = 0

    def run_step(self):
        first = self.n_steps % N_BATCHES * BATCH_SIZE
        batch = self.rows.take(torch.arange(first, first + BATCH_SIZE))
        descend(self.net.loss(batch), self.optimizers, len(batch))
        self.n_steps += 1

    def time_steps(self, n_steps):
        """Return CPU seconds per step."""
        started = time.process_time()
        for _ in range(n_steps):
            self.run_step()
        return (time.process_time() - started) / n_steps

    def bytes_per_row(self):
        """Return the bytes of a row's weights and of what the optimizer remembers of it."""
        table = self.net.embedding.weight
        parts = [table, *self.optimizers[0].state[table].values()]
        return sum(part.nbytes for part in parts) / len(table)


def measure_table(arguments):
    """Print a line per size of the table."""
    torch.set_num_threads(1)
    sizes = arguments.table_rows or [10_000, 1_000_000, 15_500_000]
    trainings = {n: Training(n, arguments.optimizer) for n in sizes}
    for training in trainings.values():
        training.time_steps(4)  # first touch of optimizer state, warm caches
    times = {n: [] for n in trainings}
    for round_number in range(arguments.rounds):
        for n in list(trainings)[:: 1 if round_number % 2 == 0 else -1]:
            times[n].append(trainings[n].time_steps(N_BATCHES // 4))
    smallest = min(times[sizes[0]])
    print("  table rows  distinct rows a batch  ms a step  ratio  bytes a row")
    for n, training in trainings.items():
        first = training.rows.take(torch.arange(BATCH_SIZE))
        n_distinct = len((first.codes + training.net.embedding.offsets).unique())
        best = min(times[n])
        print(
            f"{n:>12,} {n_distinct:>21,}  {1e3 * best:>9.1f}  {best / smallest:>5.2f}"
            f"{training.bytes_per_row():>12.0f}"
        )
    print(f"peak memory {peak_bytes() / 2**20:,.0f} MB")


# Memory ----------------------------------------------------------------------------------


def measure_memory(arguments):
    """Print how much the process grows while it trains a table."""
    n_rows, (table_rows,) = arguments.n_rows, arguments.table_rows or [8_000_000]
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(10**9, size=(n_rows, N_HASHED)))
    y = rng.integers(2, size=n_rows)
    small = DynIntClassifier(max_epochs=1, encoder=FieldEncoder(hash_buckets=10))
    small.fit(X[:1000], y[:1000])  # what libraries need, whatever the size of the table

    before = peak_bytes()
    encoder = FieldEncoder(hash_buckets=table_rows // N_HASHED)
    model = DynIntClassifier(max_epochs=3, encoder=encoder, embedding_dim=D, random_state=0)
    model.fit(X, y)
    grown = peak_bytes() - before
    table = 4 * model.n_parameters_["embedding"]
    state = table // D  # one sum of squares per row
    codes = 4 * X.size
    print(f"table {table / 2**20:,.0f} MB, optimizer state {state / 2**20:,.0f} MB")
    print(f"grown by {grown / 2**20:,.0f} MB = {(grown - codes) / (table + state):.2f} x both")


# Search ----------------------------------------------------------------------------------


def measure_search(arguments):
    """Print milliseconds and memory for every number of fields, order and space."""
    rows = []
    for n_fields in SEARCH_FIELDS:
        for order in SEARCH_ORDERS:
            n_sets = comb(n_fields, order)
            products = 4 * n_sets * SEARCH_SHAPE["batch"] * SEARCH_SHAPE["dim"]
            for kind in ("cp", "full"):
                if kind == "full" and products > MAX_GIBIBYTES * 2**30:
                    continue
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    cost = pool.apply(time_space, (kind, n_fields, order, arguments.rounds))
                rows.append([n_fields, order, n_sets, kind, *cost])
                print(*rows[-1], flush=True)
    table = pd.DataFrame(rows, columns=["F", "order", "sets", "space", "ms", "MiB"])
    print(table.pivot(index=["F", "order", "sets"], columns="space", values=["ms", "MiB"]).round(1))
    if arguments.plot:
        draw_search(table, arguments.plot)


def time_space(kind, n_fields, order, n_rounds):
    """Return milliseconds of the best of some steps, and MiB above the start."""
    torch.set_num_threads(1)
    space = make_space(kind, n_fields, order, SEARCH_SHAPE["rank"], "symmetric", False)
    generator = torch.Generator().manual_seed(0)
    space.reset_parameters(generator)
    shape = SEARCH_SHAPE["batch"], n_fields, SEARCH_SHAPE["dim"]
    embeddings = torch.randn(shape, generator=generator).requires_grad_()
    before = peak_bytes()
    seconds = []
    for _ in range(n_rounds):
        embeddings.grad = None
        started = time.process_time()
        space(embeddings, order).sum().backward()
        seconds.append(time.process_time() - started)
    return 1000 * min(seconds), (peak_bytes() - before) / 2**20


def draw_search(table, path):
    """Draw the time against the number of sets."""
    figure, axes = import_pyplot().subplots(layout="constrained")
    for kind, name, marker in (("cp", "distilled", "o"), ("full", "full", "s")):
        rows = table[table["space"] == kind].sort_values("sets")
        axes.loglog(rows["sets"], rows["ms"], marker, label=name)
    axes.set(xlabel="sets of the order", ylabel="CPU time of a step (ms)")
    axes.legend()
    figure.savefig(path, dpi=150)


def measure_store(arguments):
    """Write and read an estimator with a string of its own for every row."""
    torch.set_num_threads(1)
    n_rows = arguments.n_rows
    X = pd.DataFrame({"id": [f"user{k:09d}" for k in range(n_rows)], "b": np.arange(n_rows) % 7})
    y = np.random.default_rng(0).random(n_rows) < 0.2
    # One column per field keeps the values of single rows.
    encoder = FieldEncoder(numeric_columns="one")
    settings = {"max_epochs": 1, "early_stopping": False, "batch_size": 65_536}
    model = DynIntClassifier(encoder=encoder, random_state=0, **settings).fit(X, y)
    del X, y
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.skops")
        for _ in range(arguments.rounds):
            started = time.perf_counter()
            skops.io.dump(model, path)
            written = time.perf_counter()
            skops.io.load(path, trusted=trusted_types)
            read = time.perf_counter()
            print(
                f"{path.stat().st_size / 2**20:.0f} MiB: {written - started:.2f} s to write, "
                f"{read - written:.2f} s to read",
                flush=True,
            )


SUBJECTS = {
    "steps": measure_steps,
    "table": measure_table,
    "memory": measure_memory,
    "search": measure_search,
    "store": measure_store,
}


def add_arguments(parser):
    parser.add_argument("subject", choices=SUBJECTS)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--plot", metavar="FILE", help="draw what steps or search found")
    parser.add_argument("--table-rows", type=int, nargs="+", help="of table and memory")
    parser.add_argument("--optimizer", choices=["adagrad", "adam"], default="adagrad")
    parser.add_argument("--n-rows", type=int, default=100_000, help="of memory and store")


def run(arguments):
    SUBJECTS[arguments.subject](arguments)

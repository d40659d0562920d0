"""False alarms and power of the screening, on tables that make statistics of cells fail.

    python examples/benchmarks/bench.py screening [--tables 100] [--trials 20]

Noise: tables of 20,000 rows whose labels say nothing, of six kinds: nearly constant columns, Zipf
values, sparse cells, nearly unique ids, dependent columns, and all of these. The share of positives
is .46 or .01; or it is .46, and the residuals are those of an additive model that knows a part of
its rows by heart. Printed is how many tables have any significant pair; 5 of 100 are expected, and
up to 9 are what chance allows.

Power: 50,000 rows, main effects that the model knows, and one set with an effect of the standard
deviation that stands first, centred along every axis. Printed is how often it is significant, and
how many other sets are.
"""

import numpy as np
import torch

from sparsectr.training.agreement import agreement_scores, outstanding_sets

KINDS = ["near constant", "zipf", "sparse", "ids", "dependent", "mixed"]
LABELS = {"positive .46": (0.46, 0.0), "positive .01": (0.01, 0.0), "learnt by heart": (0.46, 0.5)}
PLANTED = {
    "14 fields of 10 values": [0.05, 0.07, 0.1, 0.15],
    "8 Zipf fields of 100": [0.1, 0.15, 0.2, 0.3],
    "300 x 200 values": [0.2, 0.3, 0.4],
    "1,000 x 600 values, hashed": [0.5, 0.8, 1.2],
    "5 % x 10 %": [0.03, 0.05, 0.08],
    "triple of 8 fields of 10": [0.1, 0.15, 0.2],
}


def zipf(rng, n_rows, size, exponent=1.0):
    p = np.arange(1, size + 1) ** -exponent
    return rng.choice(size, n_rows, p=p / p.sum())


def copied(rng, column, share):
    """A column that follows another in a share of the rows."""
    return np.where(rng.random(len(column)) < share, column, rng.permutation(column))


def draw_columns(kind, rng, n_rows):
    """Return the columns of a table of noise."""
    uniform = {
        "near constant": [2, 5, 10],
        "sparse": [20, 50, 100, 200, 400, 800, 1500, 3000],
        "ids": [20_000, 50_000, 200_000, 3, 20, 100],
        "mixed": [2, 3, 5, 10, 30, 100, 18_000],
    }
    columns = [rng.integers(0, size, n_rows) for size in uniform.get(kind, [])]
    if kind in ("near constant", "mixed"):
        shares = [0.02, 0.01, 0.005, 0.003, 0.003, 0.002, 0.001, 0.0005, 0.0002, 0.0002]
        columns += [(rng.random(n_rows) < share).astype(int) for share in shares]
    if kind == "near constant":
        columns += [zipf(rng, n_rows, 6, 2.5) for _ in range(4)]
    if kind == "zipf":
        columns += [zipf(rng, n_rows, m, 1.2) for m in (3, 10, 30, 100, 300, 1000, 3000, 10_000)]
        columns += [zipf(rng, n_rows, m, 0.8) for m in (10, 100, 1000)]
    if kind == "sparse":
        columns += [zipf(rng, n_rows, m) for m in (5, 50, 500, 5000)]
    if kind == "ids":
        columns += [np.arange(n_rows), columns[0] // 10, columns[0] // 1000, zipf(rng, n_rows, 50)]
    if kind == "dependent":
        first, second = rng.integers(0, 8, n_rows), zipf(rng, n_rows, 200)
        columns += [first, first // 2, rng.permutation(8)[first], second, second // 10]
        columns += [copied(rng, first, share) for share in (0.95, 0.8, 0.6, 0.4)]
        columns += [copied(rng, second, 0.7), (first + second) % 7]
    if kind == "mixed":
        columns += [zipf(rng, n_rows, m) for m in (10, 100, 1000, 3000)]
        columns += [columns[4] // 3, copied(rng, columns[3], 0.9)]
    if kind in ("ids", "mixed"):
        columns.append(np.zeros(n_rows, dtype=int))
    return [np.unique(column, return_inverse=True)[1] + 1 for column in columns]


def learn_by_heart(columns, y, share):
    """Return what an additive model leaves that takes a share of the mean of values seen once."""
    left = y - y.mean()
    for _ in range(3):
        for column in columns:
            means = np.bincount(column, left) / (np.bincount(column) + 1 / share - 1)
            left = left - means[column]
    return left


def screen(columns, residuals, order):
    codes = torch.from_numpy(np.stack(columns, 1)).int()
    sizes = [int(column.max()) + 1 for column in columns]
    scores = agreement_scores(codes, torch.from_numpy(residuals)[:, None], sizes, order)
    return outstanding_sets(scores)


def count_alarms(kind, positive, share, n_tables):
    n_alarms = 0
    for seed in range(n_tables):
        rng = np.random.default_rng([KINDS.index(kind), seed])
        columns = draw_columns(kind, rng, 20_000)
        y = (rng.random(20_000) < positive).astype(float)
        left = learn_by_heart(columns, y, share) if share else y - y.mean()
        n_alarms += bool(screen(columns, left, 2))
    return n_alarms


def draw_planted(kind, rng, n_rows):
    """Return columns, and the places of the planted set."""
    if kind == "14 fields of 10 values":
        return [rng.integers(0, 10, n_rows) for _ in range(14)], (0, 1)
    if kind == "8 Zipf fields of 100":
        return [zipf(rng, n_rows, 100) for _ in range(8)], (0, 1)
    if kind == "triple of 8 fields of 10":
        return [rng.integers(0, 10, n_rows) for _ in range(8)], (0, 1, 2)
    if kind == "5 % x 10 %":
        pair = [(rng.random(n_rows) < share).astype(int) for share in (0.05, 0.1)]
        return pair + [rng.integers(0, 10, n_rows) for _ in range(8)], (0, 1)
    sizes = (300, 200) if kind == "300 x 200 values" else (1000, 600)
    return [rng.integers(0, m, n_rows) for m in (*sizes, *[50] * 6)], (0, 1)


def find_planted(kind, effect, seed, n_rows=50_000):
    """Return whether the planted set is significant, and how many others are."""
    rng = np.random.default_rng([list(PLANTED).index(kind), seed])
    columns, planted = draw_planted(kind, rng, n_rows)
    cells = tuple(columns[f] for f in planted)
    table = rng.normal(size=[column.max() + 1 for column in cells])
    counts = np.zeros_like(table)
    np.add.at(counts, cells, 1)
    for _ in range(30):  # to mean zero along every axis, weighted by rows
        for axis in range(len(planted)):
            sums = (table * counts).sum(axis, keepdims=True)
            table = table - sums / np.maximum(counts.sum(axis, keepdims=True), 1)
    main = sum(rng.normal(0, 0.3, column.max() + 1)[column] for column in columns) - 0.5
    together = table[cells]
    logits = main + effect * together / together.std()
    y = rng.random(n_rows) < 1 / (1 + np.exp(-logits))
    found = screen(columns, y - 1 / (1 + np.exp(-main)), len(planted))
    return planted in found, len(found) - (planted in found)


def add_arguments(parser):
    parser.add_argument("--tables", type=int, default=100)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)


def run(arguments):
    for kind in arguments.kinds:
        for labels, (positive, share) in LABELS.items():
            n_alarms = count_alarms(kind, positive, share, arguments.tables)
            print(f"{kind}, {labels}: {n_alarms} of {arguments.tables} tables", flush=True)
    for kind, effects in PLANTED.items() if arguments.trials else ():
        for effect in effects:
            trials = [find_planted(kind, effect, seed) for seed in range(arguments.trials)]
            found, others = np.sum(trials, 0)
            print(f"{effect} {kind}: found {found} of {len(trials)}, others {others}", flush=True)

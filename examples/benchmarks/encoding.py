"""Time FieldEncoder beside scikit-learn's OrdinalEncoder, and measure its memory.

Both sides encode the same frame, 26 columns of 8-digit hexadecimal strings as in the Criteo data
(Zipf-distributed values, 2 to 1,000,000 of them, some missing), in turn in one process: A B B A,
the best of the rounds counts. Times are CPU times, which a busy machine disturbs less.

    python examples/benchmarks/bench.py encoding [--rows 200000] [--dtype object|shared|str]
"""

import argparse
import gc
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.preprocessing import OrdinalEncoder

from sparsectr.encoding.field_encoder import FieldEncoder

try:
    import pyarrow as pa
except ImportError:  # pandas then keeps its strings in Python objects, which tracemalloc sees
    pa = None

N_COLUMNS = 26
MAX_VALUES = 1_000_000
MISSING_SHARE = 0.05  # of the cells of every third column


def make_frame(n_rows: int, seed: int = 0) -> pd.DataFrame:
    """Draw strings with Zipf frequencies, as object columns."""
    rng = np.random.default_rng(seed)
    columns = {}
    for j, n_values in enumerate(np.geomspace(2, MAX_VALUES, N_COLUMNS).astype(int)):
        shares = np.cumsum(1.0 / np.arange(1, n_values + 1) ** 1.05)
        ranks = np.searchsorted(shares / shares[-1], rng.random(n_rows)) + 1
        hashed = ranks.astype(np.uint64) * np.uint64(2_654_435_761 + 2 * j) % np.uint64(2**32)
        cells = np.array([f"{value:08x}" for value in hashed.tolist()], dtype=object)
        if j % 3 == 2:
            cells[rng.random(n_rows) < MISSING_SHARE] = None
        columns[f"C{j + 1}"] = cells
    return pd.DataFrame(columns, dtype=object)


KINDS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "object": lambda raw: raw,
    "shared": lambda raw: raw.astype("category").astype(object),  # equal strings are one object
    "str": lambda raw: raw.astype("str").where(raw.notna()),
}


def encoders() -> tuple[FieldEncoder, OrdinalEncoder]:
    """Return the two sides, both dropping values of a single row."""
    return FieldEncoder(min_frequency=2), OrdinalEncoder(
        min_frequency=2, handle_unknown="use_encoded_value", unknown_value=-1
    )


def seconds(call: Callable[[], object]) -> float:
    """Take the CPU time of one call, garbage collected before it."""
    gc.collect()
    start = time.process_time()
    call()
    return time.process_time() - start


def compare(frame: pd.DataFrame, rounds: int) -> None:
    """Print rows per second of both sides and their ratio."""
    ours, theirs = encoders()
    for method in ("fit", "transform", "fit_transform"):
        times: dict[object, list[float]] = {ours: [], theirs: []}
        for _ in range(rounds):
            for side in (ours, theirs, theirs, ours):
                times[side].append(seconds(lambda: getattr(side, method)(frame)))  # noqa: B023
        fast, slow = (len(frame) / min(times[side]) for side in (ours, theirs))
        print(f"  {method:14}{fast:>12,.0f}{slow:>12,.0f}{fast / slow:>10.1f}")


def extra_bytes(frame: pd.DataFrame) -> int:
    """Measure the peak memory of fit_transform beyond the frame, codes included."""
    encoder, _ = encoders()
    gc.collect()
    if pa is not None:
        default = pa.default_memory_pool()
        pool = pa.proxy_memory_pool(default)
        pa.set_memory_pool(pool)
    tracemalloc.start()
    encoder.fit_transform(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if pa is not None:
        peak += pool.max_memory()
        pa.set_memory_pool(default)
    return peak


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--dtype", choices=list(KINDS), action="append")


def run(options: argparse.Namespace) -> None:
    """Run the comparison."""
    raw = make_frame(options.rows)
    for dtype in options.dtype or KINDS:
        frame = KINDS[dtype](raw)
        size = int(frame.memory_usage(deep=True).sum())
        print(f"{len(frame):,} rows x {N_COLUMNS} columns, {dtype}, {size / 1e6:,.0f} MB")
        print(f"  {'rows/s':14}{'sparsectr':>12}{'sklearn':>12}{'ratio':>10}")
        compare(frame, options.rounds)
        extra = extra_bytes(frame)
        print(f"  peak extra memory {extra / 1e6:,.0f} MB, {1 + extra / size:.2f} x with the frame")

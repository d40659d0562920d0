"""Time FieldEncoder beside scikit-learn's OrdinalEncoder, and measure its memory.

Both sides encode the same frame, 26 columns of 8-digit hexadecimal strings as in the Criteo data
(Zipf-distributed values, 2 to 1,000,000 of them, some missing), in turn in one process: A B B A,
the best of the rounds counts. Times are CPU times, which a busy machine disturbs less.

    python examples/benchmarks/bench.py encoding [--rows 200000] [--dtype object|shared|str]

``bench.py files`` measures fits on files, ``bench.py bags`` fields of several values.
"""

import argparse
import gc
import multiprocessing
import shutil
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import torch
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import OrdinalEncoder
from suite.datasets import read_ratings

from sparsectr import (
    CodeTable,
    DynIntClassifier,
    FieldEncoder,
    OptFeatureClassifier,
    ProfitClassifier,
)
from sparsectr.datasets import make_clicks
from sparsectr.rows import mapped
from sparsectr.rows.memory import MemoryRows
from sparsectr.rows.orders import shuffled_batches

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
    default = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(default)
    pa.set_memory_pool(pool)
    tracemalloc.start()
    encoder.fit_transform(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    pa.set_memory_pool(default)
    return peak + pool.max_memory()


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


# Files -----------------------------------------------------------------------------------

FILE_ROWS, TEST_ROWS, BATCH_SIZE = 500_000, 100_000, 4_096
STEPS = ["encode", "visit", "mapped", "memory"]
CROSSES = [(0, 1), (2, 3), (4, 5)]
SIZES = (10, 100, 1_000, 10_000, 100_000)


class Peak:
    """Watch the anonymous memory of this process, in a thread."""

    def __init__(self):
        self.start = self.highest = self.now()
        threading.Thread(target=self.watch, daemon=True).start()

    @staticmethod
    def now():
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        (line,) = [line for line in lines if line.startswith("RssAnon")]
        return int(line.split()[1]) / 1024

    def watch(self):
        while True:
            self.highest = max(self.highest, self.now())
            time.sleep(0.01)

    def mebibytes(self):
        return self.highest - self.start


def write_files(folder, n_rows, n_fields):
    """Write training rows in files of their own, and test rows."""
    sizes = [SIZES[field % len(SIZES)] for field in range(n_fields)]
    truth = make_clicks(1_000, n_fields, sizes, crosses=CROSSES, main_effect=0.0, random_state=0)
    values = [pa.array([f"f{f}_{v}" for v in range(size)]) for f, size in enumerate(sizes)]
    starts = range(0, n_rows, FILE_ROWS)
    lengths = [min(FILE_ROWS, n_rows - start) for start in starts] + [TEST_ROWS]
    for number, length in enumerate(lengths):
        rng = np.random.default_rng(number)
        codes = [rng.choice(len(p), length, p=p).astype(np.int32) for p in truth.frequencies]
        log_odds = np.full(length, truth.intercept)
        for (a, b), (u, v) in zip(CROSSES, truth.cross_scores, strict=True):
            log_odds += 0.8 * u[codes[a]] * v[codes[b]]
        columns = {
            f"f{f}": pa.DictionaryArray.from_arrays(codes[f], values[f]).cast(pa.string())
            for f in range(n_fields)
        }
        columns["click"] = (rng.random(length) < expit(log_odds)).astype(np.int8)
        name = "test" if number == len(starts) else f"train-{number:03}"
        pq.write_table(pa.table(columns), folder / f"{name}.parquet", row_group_size=1 << 17)


def read_frame(path):
    """Read rows of files into a frame, strings as categories."""
    names = [name for name in ds.dataset(path).schema.names if name != "click"]
    style = ds.ParquetFileFormat(dictionary_columns=names)
    frame = ds.dataset(path, format=style).to_table().to_pandas()
    return frame.drop(columns="click"), frame["click"].to_numpy()


def encode(folder, n_rows):
    peak, started = Peak(), time.process_time()
    FieldEncoder().encode_dataset(folder / "train-*.parquet", folder / "codes", y="click")
    seconds = time.process_time() - started
    rate, used = n_rows / seconds, peak.mebibytes()
    print(f"encode  {seconds:6.1f} cpu s  {rate:9,.0f} rows/s  peak {used:6.0f} MiB", flush=True)


def visit(folder):
    table = CodeTable(folder / "codes")
    on_disk = mapped.MappedRows(table.mapped, torch.device("cpu"))
    in_memory = MemoryRows(torch.from_numpy(np.array(table.codes)))
    ways = {
        "mapped": (on_disk, 1),
        "memory": (in_memory, 1),
        "mapped, blocks": (on_disk, mapped.BLOCK_ROWS),
    }
    seconds = {name: [] for name in ways}
    for seed in range(5):
        for name, (rows, block_rows) in ways.items():
            started = time.process_time()
            generator = torch.Generator().manual_seed(seed)
            for numbers in shuffled_batches(len(rows), BATCH_SIZE, generator, block_rows):
                rows.take(numbers)
            seconds[name].append(time.process_time() - started)
    for name, taken in seconds.items():
        print(f"visit, {name:14}  epoch {np.median(taken):6.3f} cpu s", flush=True)


def fit(folder, where, seed, blocks):
    """Fit with one epoch and with three, and print half of the difference."""
    if blocks and where == "mapped":
        mapped.IN_MEMORY = 0.0
    peak = Peak()
    if where == "mapped":
        X, y = CodeTable(folder / "codes"), None
    else:
        X, y = read_frame(sorted(map(str, folder.glob("train-*.parquet"))))
    seconds = []
    for n_epochs in (1, 3):
        started = time.process_time()
        clf = DynIntClassifier(max_epochs=n_epochs, early_stopping=False, random_state=seed)
        clf.fit(X, y)
        seconds.append(time.process_time() - started)
    used = peak.mebibytes()
    test, clicks = read_frame(str(folder / "test.parquet"))
    auc = roc_auc_score(clicks, clf.predict_proba(test)[:, 1])
    name = f"{where}{', blocks' if blocks and where == 'mapped' else ''}"
    print(
        f"{name:14}  seed {seed}  epoch {(seconds[1] - seconds[0]) / 2:6.2f} cpu s  fit of one "
        f"{seconds[0]:6.1f} cpu s  peak {used:6.0f} MiB  AUC {auc:.4f}",
        flush=True,
    )


def add_files(parser):
    parser.add_argument("--n-rows", type=int, default=1_000_000)
    parser.add_argument("--n-fields", type=int, default=26)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--blocks", action="store_true")
    parser.add_argument("--folder", type=Path, help="where files go, and stay")
    parser.add_argument("--only", nargs="+", choices=STEPS)


def run_files(arguments):
    """Fits on files: how fast rows are encoded, memory of a fit, and what mapped codes cost.

        python examples/benchmarks/bench.py files --n-rows 1000000 --n-fields 26
        python examples/benchmarks/bench.py files --n-fields 20 --seeds 0 1 2 --blocks

    Writes Parquet files of a click log with planted crosses: string fields of 10 to 100,000 values
    with Zipf's frequencies, 500,000 rows a file. Then, each in a process of its own with one
    thread:

    ``encode``: `FieldEncoder.encode_dataset`: rows per second of CPU time, both passes and reading
    included.

    ``visit``: the codes of an epoch, batch by batch in random order, from the map, from an array,
    and from the map in blocks; the median of five epochs, in turns.

    ``mapped`` and ``memory``: a DynInt fit on the code table, and on the same rows as a frame of
    categories. Printed are the CPU time of an epoch (what a fit of three epochs takes more than one
    of a single epoch, halved), and the area under the ROC curve on rows of another file.

    ``--blocks`` lets the mapped fit visit blocks of rows, as where codes do not fit into half of
    the memory. ``peak`` is the largest anonymous memory of the process, beyond that after imports;
    pages of mapped files, which the system takes back when it needs them, are not in it. Linux
    only.
    """
    folder = arguments.folder or Path(tempfile.mkdtemp())
    context = multiprocessing.get_context("spawn")
    only = arguments.only or STEPS
    calls = [(encode, (folder, arguments.n_rows))] if "encode" in only else []
    calls += [(visit, (folder,))] if "visit" in only else []
    for seed in arguments.seeds:
        ways = [where for where in ("mapped", "memory") if where in only]
        calls += [(fit, (folder, where, seed, arguments.blocks)) for where in ways]
    try:
        if not (folder / "test.parquet").exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_files(folder, arguments.n_rows, arguments.n_fields)
        print(f"{arguments.n_rows:,} rows of {arguments.n_fields} fields", flush=True)
        for function, values in calls:
            child = context.Process(target=function, args=values)
            child.start()
            child.join()
            if child.exitcode:
                raise RuntimeError(f"{function.__name__} ended with exit code {child.exitcode}")
    finally:
        if arguments.folder is None:
            shutil.rmtree(folder)


# Fields of several values ----------------------------------------------------------------

METHODS = {
    "dynint": DynIntClassifier,
    "optfeature": OptFeatureClassifier,
    "profit": ProfitClassifier,
}
FORMS = ("none", "category", "set")
TEST_SHARE = 0.1


def split(table: pd.DataFrame, by: str, n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows to train on and to test on: random ones, or those of other films."""
    rng = np.random.default_rng(seed)
    if by == "films":
        films = table["movie_id"].unique()
        new = rng.permutation(films)[: int(TEST_SHARE * len(films))]
        is_test = table["movie_id"].isin(new).to_numpy()
    else:
        is_test = rng.random(len(table)) < TEST_SHARE
    train = rng.permutation(np.flatnonzero(~is_test))
    return train[: n_rows or None], np.flatnonzero(is_test)


def measure(
    table: pd.DataFrame, y: np.ndarray, by: str, method: str, form: str, n_rows: int, seed: int
) -> None:
    """Fit one model and print how it predicts the test rows."""
    train, test = split(table, by, n_rows, seed)
    X = table.drop(columns="genres") if form == "none" else table
    encoder = FieldEncoder(multi_valued={"genres": "|"} if form == "set" else None)
    started = time.process_time()
    clf = METHODS[method](encoder=encoder, random_state=seed).fit(X.iloc[train], y[train])
    seconds = time.process_time() - started
    predicted = clf.predict_proba(X.iloc[test])[:, 1]
    print(
        f"{by:6} {method:10} {form:8} seed {seed}  log loss {log_loss(y[test], predicted):.5f}  "
        f"AUC {roc_auc_score(y[test], predicted):.5f}  {seconds:.0f} s",
        flush=True,
    )


def add_bags(parser: argparse.ArgumentParser) -> None:
    """Add what to measure."""
    parser.add_argument("--data", type=Path, required=True, help="folder of movielens-1m")
    parser.add_argument("--n-rows", type=int, default=200_000, help="to train on; 0 takes all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--by", nargs="+", choices=["rows", "films"], default=["rows", "films"])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))


def run_bags(arguments: argparse.Namespace) -> None:
    """Compare fields of several values with the same cells as one category, and with neither.

    MovieLens-1M, a rating above 3 or not, eight fields. A film has one to six genres of 18, written
    as ``Action|Comedy``: 301 different strings. Tested are random rows, or all rows of a tenth of
    the films, which training has not seen.

        python examples/benchmarks/bench.py bags --data DIR [--n-rows 200000] [--methods dynint]
    """
    table = read_ratings(arguments.data)
    y = (table.pop("rating") > 3).to_numpy().astype(int)
    for by in arguments.by:
        for method in arguments.methods:
            for seed in arguments.seeds:
                for form in arguments.forms:
                    measure(table, y, by, method, form, arguments.n_rows, seed)

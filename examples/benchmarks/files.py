"""Fits on files: how fast rows are encoded, what memory a fit takes, and what mapped codes cost.

    python examples/benchmarks/bench.py files --n-rows 1000000 --n-fields 26
    python examples/benchmarks/bench.py files --n-rows 200000 --n-fields 20 --seeds 0 1 2 --blocks

Writes Parquet files of a click log with planted crosses: string fields of 10 to 100,000 values with
Zipf's frequencies, 500,000 rows a file. Then, each in a process of its own with one thread:

``encode``: `FieldEncoder.encode_dataset`: rows per second of CPU time, both passes and reading
included.

``visit``: the codes of an epoch, batch by batch in random order, from the map, from an array, and
from the map in blocks; the median of five epochs, in turns.

``mapped`` and ``memory``: a DynInt fit on the code table, and on the same rows as a frame of
categories. Printed are the CPU time of an epoch (what a fit of three epochs takes more than one of
a single epoch, halved), and the area under the ROC curve on rows of another file.

``--blocks`` lets the mapped fit visit blocks of rows, as where codes do not fit into half of the
memory. ``peak`` is the largest anonymous memory of the process, beyond that after imports; pages
of mapped files, which the system takes back when it needs them, are not in it. Linux only.
"""

import multiprocessing
import shutil
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import torch
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from sparsectr import CodeTable, DynIntClassifier, FieldEncoder
from sparsectr.datasets import make_clicks
from sparsectr.rows import mapped
from sparsectr.rows.memory import MemoryRows
from sparsectr.rows.orders import shuffled_batches

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


def add_arguments(parser):
    parser.add_argument("--n-rows", type=int, default=1_000_000)
    parser.add_argument("--n-fields", type=int, default=26)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--blocks", action="store_true")
    parser.add_argument("--folder", type=Path, help="where files go, and stay")
    parser.add_argument("--only", nargs="+", choices=STEPS)


def run(arguments):
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

"""Run jobs, each in a process of its own, and keep what came out."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from suite.arguments import STOPPED
from suite.models import find_settings
from suite.records import Record, append_record, find_commit, normalise, parse, read_records

HOME = Path(__file__).parents[1]
# What makes two fits the same fit.
KEY = ("dataset", "model", "parameters", "seed", "n_rows")


def make_jobs(
    datasets: list[str],
    models: list[str],
    seeds: list[int],
    kind: str,
    *,
    data: str = ".",
    n_rows: int | None = None,
    tuned: Sequence[Record] = (),
) -> Iterator[Record]:
    """Yield a job per table, seed and model, with settings of one kind; see `find_settings`."""
    for dataset in datasets:
        for seed in seeds:
            for model in models:
                yield {
                    "dataset": dataset,
                    "model": model,
                    "settings": kind,
                    "parameters": find_settings(dataset, model, kind, tuned),
                    "seed": seed,
                    "data": data,
                    "n_rows": n_rows,
                    "test": True,
                }


def run_jobs(
    jobs: Iterable[Record],
    path: Path,
    *,
    threads: int = 1,
    timeout: float | None = None,
    at_once: int = 1,
    report: Callable[[str], None] = print,
) -> int:
    """Run the jobs that the file at ``path`` does not hold, and append a line for each.

    Up to ``at_once`` of them run at the same time. Returns the number of jobs that failed; their
    last words are reported and nothing is written. A job stopped after ``timeout`` seconds leaves a
    line in `STOPPED`, beside ``path``, and is tried again only if it is given more time.
    """
    path_stopped = path.with_name(STOPPED.name)
    # Neither two lines at once, nor a line half read.
    lock = Lock()

    def has_failed(job: Record) -> bool:
        job = normalise(job)
        identity = {key: job[key] for key in KEY} | {"threads": threads, "test": job["test"]}
        name = f"{job['dataset']} {job['model']} {job['settings']} seed {job['seed']}"
        with lock:
            known = any(is_same(job, record) for record in read_records(path))
            stopped = read_records(path_stopped)
            limits = [row["seconds"] for row in stopped if identity.items() <= row.items()]
        if known:
            report(f"{name}: known")
            return False
        if timeout is not None and timeout <= max(limits, default=0):
            report(f"{name}: known to take more than {timeout:.0f} s")
            return False
        started = time.perf_counter()
        try:
            result = run_job(job, threads, timeout)
        except subprocess.TimeoutExpired:
            with lock:
                append_record(path_stopped, identity | {"seconds": timeout} | describe_run())
            report(f"{name}: stopped after {timeout:.0f} s")
            return True
        except subprocess.CalledProcessError as error:
            words = (error.stderr or b"").decode().strip().splitlines() or [str(error)]
            report(f"{name}: FAILED after {time.perf_counter() - started:.0f} s: {words[-1]}")
            return True
        # Not the folder of this machine, nor the wish to be tested.
        record = {name: job[name] for name in job if name not in ("data", "test")} | result
        record |= describe_run()
        record["wall_seconds"] = time.perf_counter() - started
        with lock:
            append_record(path, record)
        report(f"{name}: {summarise(record)}")
        return False

    with ThreadPoolExecutor(at_once) as pool:
        return sum(pool.map(has_failed, jobs))


def describe_run() -> Record:
    """Return of which code and when a line is."""
    return {
        "commit": find_commit(HOME),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def is_same(job: Record, record: Record) -> bool:
    """Tell whether a record is the result of this job."""
    return all(job[name] == record[name] for name in KEY) and job["test"] == ("test" in record)


def run_job(job: Record, threads: int = 1, timeout: float | None = None) -> Record:
    """Measure one job in a new process."""
    paths = [str(HOME), os.environ.get("PYTHONPATH", "")]
    variables = dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads)
    )
    environment = os.environ | variables | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "record.json"
        subprocess.run(
            [sys.executable, "-m", "suite.measure", json.dumps(job), str(target)],
            env=environment,
            check=True,
            capture_output=True,
            timeout=timeout,
        )
        return parse(target.read_text())


def summarise(record: Record) -> str:
    """Describe a result in a line."""
    part = "test" if "test" in record else "validation"
    values = record[part]
    return (
        f"{part} AUC {values['roc_auc']:.4f}, log loss {values['log_loss']:.4f}, "
        f"{record['epochs']} epochs, {record['fit_seconds']:.0f} s, {record['parameters']}"
    )

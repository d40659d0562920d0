"""Dask, Ray and Spark start the processes of the same fit: ``python -m nox -s scale``."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "engines"
SECONDS = 600
QUIET = {
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(FOLDER),  # workers look for job.py there
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    "CUDA_VISIBLE_DEVICES": "",
}


def answers(*command):
    """Return the checksums that a program prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *command],
        cwd=FOLDER,
        env=os.environ | QUIET,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return re.findall(r"(?:\d processes|search): [0-9a-f]{8}", done.stdout)


@pytest.fixture(scope="module")
def of_torchrun():
    """What two processes started by torchrun print."""
    first, second = answers("-m", "torch.distributed.run", "--nproc-per-node", "2", "job.py")
    assert first == second
    assert first.startswith("2 processes")
    return first


@pytest.fixture(scope="module")
def of_search():
    return answers("-c", "from job import search; print(search())")[0]


def needs(package):
    found = importlib.util.find_spec(package) is not None
    return pytest.mark.skipif(not found, reason=f"needs {package}")


@needs("distributed")
def test_dask(of_torchrun, of_search):
    assert answers("dask_workers.py") == [of_torchrun, of_torchrun, of_search]


@needs("ray")
def test_ray(of_torchrun, of_search):
    assert answers("ray_train.py") == [of_torchrun, of_torchrun, of_search]


@needs("pyspark")
@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")
def test_spark(of_torchrun):
    assert answers("spark_distributor.py") == [of_torchrun]

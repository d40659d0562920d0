"""Kill fits at random moments and let them go on: ``python tests/kill_fits.py [N_KILLS] [SEED]``.

A fit with a checkpoint runs in a process of its own, which gets SIGKILL after a random time, and is
started again until it ends. What it predicts must be, to the bit, what a fit predicts that nobody
has killed.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FIT = """
import hashlib, sys
import sparsectr
from sparsectr.datasets import make_clicks
clicks = make_clicks(4_000, 5, 12, crosses=[(0, 1)], random_state=0)
estimator = getattr(sparsectr, sys.argv[1])(
    random_state=0, max_epochs=6, batch_size=256, checkpoint=sys.argv[2] if sys.argv[2:] else None
)
predicted = estimator.fit(clicks.X, clicks.y).predict_proba(clicks.X)
print(hashlib.sha256(predicted.tobytes()).hexdigest())
"""
NAMES = ["DynIntClassifier", "ProfitClassifier", "OptFeatureClassifier"]


def start(name, *folder):
    return subprocess.Popen(
        [sys.executable, "-c", FIT, name, *folder],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def finish(process):
    output, _ = process.communicate()
    assert process.returncode == 0
    return output


def kill_soon(process, folder, seconds):
    """Wait until the fit has written a file and some seconds more; tell whether it still ran."""
    while process.poll() is None and not list(Path(folder).glob("*/*.pt*")):
        time.sleep(0.01)
    time.sleep(seconds)
    is_running = process.poll() is None
    process.kill()
    process.communicate()
    return is_running


def kill_and_compare(name, n_kills, rng):
    """Return how many kills met a running fit, and whether all ended with the same bits."""
    expected = finish(start(name))
    n_met = 0
    for _ in range(n_kills):
        with tempfile.TemporaryDirectory() as folder:
            n_met += kill_soon(start(name, folder), folder, rng.uniform(0, 1))
            if finish(start(name, folder)) != expected:
                return n_met, False
    return n_met, True


if __name__ == "__main__":
    n_kills, seed = (int(word) for word in (sys.argv[1:] + ["20", "0"][len(sys.argv) - 1 :]))
    for name in NAMES:
        n_met, is_same = kill_and_compare(name, n_kills, np.random.default_rng(seed))
        result = f"{n_met} of {n_kills} kills met a running fit, same bits: {is_same}"
        sys.stdout.write(f"{name}: {result}\n")
        if not is_same:
            sys.exit(1)

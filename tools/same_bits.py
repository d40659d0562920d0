"""Compare what estimators predict and list with the same at another commit, bit for bit.

    python tools/same_bits.py COMMIT [--n-rows 20000] [--settings PROFIT "DynInt, dwp"]

Every setting is fitted on flights and on planted tables, with and without fused kernels, at both
versions of the package, each in processes of its own. A change that leaves arithmetic alone must
change no bit. Prints the arrays that differ, and how far.
"""

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
SHORT = {"max_epochs": 2, "random_state": 0, "batch_size": 512}
SETTINGS = {
    "DynInt": ("DynIntClassifier", {}),
    "DynInt, da": ("DynIntClassifier", {"variant": "da"}),
    "DynInt, dgp": ("DynIntClassifier", {"variant": "dgp"}),
    "DynInt, dwp": ("DynIntClassifier", {"variant": "dwp", "rank": 2}),
    "DynInt, FTRL": ("DynIntClassifier", {"optimizer": "ftrl", "learning_rate": 0.05}),
    "PROFIT": ("ProfitClassifier", {"max_order": 3, "search_epochs": 1}),
    "PROFIT, random": ("ProfitClassifier", {"search": "random", "search_epochs": 1}),
    "PROFIT, MLP": ("ProfitClassifier", {"predictor": "mlp", "search_epochs": 1}),
    "OptFeature": ("OptFeatureClassifier", {"search_epochs": 1}),
    "OptFeature, joint": ("OptFeatureClassifier", {"search": "joint", "search_epochs": 1}),
}


def fit_all(names, n_rows, path):
    """Fit every setting with the package that is imported, and write arrays to a file."""
    package, data = map(importlib.import_module, ("sparsectr", "sparsectr.datasets"))
    X, y = data.load_flights(return_X_y=True)
    rows = np.random.default_rng(0).choice(len(X), n_rows, replace=False)
    flights = X.iloc[rows].reset_index(drop=True), y.to_numpy()[rows]
    clicks = data.make_clicks(n_rows, 6, 40, random_state=0)
    three = clicks.y + (np.arange(n_rows) % 3 == 0)
    tables = {"flights": flights, "clicks": (clicks.X, clicks.y), "classes": (clicks.X, three)}
    found = {}
    for name in names:
        estimator, parameters = SETTINGS[name]
        for table, (frame, labels) in tables.items():
            model = getattr(package, estimator)(**SHORT, **parameters).fit(frame, labels)
            key = f"{name} on {table}"
            found[f"{key}: probabilities"] = model.predict_proba(frame[:5000])
            found[f"{key}: losses"] = np.array([record["train_loss"] for record in model.history_])
            listed = [str(cross.fields) for cross in model.selected_interactions_]
            found[f"{key}: crosses"] = np.array(listed, dtype=str)
            model.partial_fit(frame[:2000], labels[:2000])
            found[f"{key}: after partial_fit"] = model.predict_proba(frame[:5000])
    np.savez(path, **found)


def run(folder, path, fused, arguments):
    """Fit all settings with the package in a folder; return the arrays by name."""
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    if not fused:
        environment["SPARSECTR_FUSED"] = "0"
    words = ["--write", str(path), "--n-rows", str(arguments.n_rows)]
    words += ["--settings", *arguments.settings]
    subprocess.run([sys.executable, __file__, *words], env=environment, cwd="/", check=True)
    with np.load(path) as arrays:
        return dict(arrays)


def compare(before, after):
    """Print what differs; return the number of arrays that do."""
    n_different = 0
    for name, old in before.items():
        new = after[name]
        if old.shape != new.shape or not np.array_equal(old, new):
            far = (
                np.abs(old - new).max() if old.shape == new.shape and old.dtype.kind == "f" else ""
            )
            print(f"  {name} differs {far}")
            n_different += 1
    return n_different


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commit", nargs="?")
    parser.add_argument("--n-rows", type=int, default=20_000)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        fit_all(arguments.settings, arguments.n_rows, arguments.write)
        return
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "old"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(old), arguments.commit], check=True)
        try:
            n_different = 0
            for fused in (True, False):
                before = run(old, Path(folder) / "before.npz", fused, arguments)
                after = run(ROOT, Path(folder) / "after.npz", fused, arguments)
                found = compare(before, after)
                print(f"fused {fused}: {found} of {len(before)} arrays differ", flush=True)
                n_different += found
        finally:
            subprocess.run([*git, "remove", "--force", str(old)], check=True)
    sys.exit(bool(n_different))


if __name__ == "__main__":
    main()

"""What every engine in this folder runs: one process's part of a fit, and a search."""

import os
from zlib import crc32

import torch.distributed as dist
from sklearn.model_selection import GridSearchCV

from sparsectr import DynIntClassifier
from sparsectr.datasets import load_flights

N_ROWS = 20_000


def train():
    """Fit in step with the other processes; return their number and a checksum of the result."""
    starts_group = not dist.is_initialized() and "RANK" in os.environ
    if starts_group:
        dist.init_process_group("gloo")
    X, y = load_flights(return_X_y=True)
    clf = DynIntClassifier(random_state=0, max_epochs=2).fit(X[:N_ROWS], y[:N_ROWS])
    if starts_group:
        dist.destroy_process_group()
    return f"{clf.world_size_} processes: {crc32(clf.predict_proba(X[:N_ROWS]).tobytes()):08x}"


def search():
    """Return a checksum of the scores of a grid search, whose fits joblib's backend runs."""
    X, y = load_flights(return_X_y=True)
    model = DynIntClassifier(random_state=0, max_epochs=1)
    grid = GridSearchCV(model, {"embedding_dim": [4, 8]}, cv=2, n_jobs=2).fit(X[:2000], y[:2000])
    return f"search: {crc32(grid.cv_results_['mean_test_score'].tobytes()):08x}"


if __name__ == "__main__":  # alone, or started by torchrun
    print(train())

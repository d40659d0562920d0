"""Store small fitted estimators in the current format, for the tests of all later versions.

    python tools/store_version.py

Writes tests/data/stored_FORMAT.skops: once per format. A file of a format that has been released is
never written again.
"""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import skops.io

from sparsectr import (
    DynIntClassifier,
    FieldEncoder,
    InteractionFeatures,
    ListedInteractions,
    OptFeatureClassifier,
    ProfitClassifier,
)
from sparsectr.stored_state import FORMAT

N_ROWS = 120
QUICK = {"max_epochs": 1, "embedding_dim": 2, "n_interactions": 2, "random_state": 0}
SEARCHED = QUICK | {"search_epochs": 1}


def make_estimators():
    """Return estimators that together hold everything that can be stored."""
    return {
        "encoder": FieldEncoder(min_frequency=2, hash_buckets={"city": 5}),
        "pin": DynIntClassifier(encoder=FieldEncoder(numeric_columns="several"), **QUICK),
        "dwp": DynIntClassifier(variant="dwp", n_members=2, **QUICK),
        "profit": ProfitClassifier(**SEARCHED),
        "mlp": ProfitClassifier(predictor="mlp", hidden_units=(3,), **SEARCHED),
        "optfeature": OptFeatureClassifier(granularity="hybrid", hidden_units=(3,), **SEARCHED),
        "features": InteractionFeatures(ListedInteractions(), encoder="count"),
    }


def make_table():
    """Return columns of all kinds, and labels."""
    rng = np.random.default_rng(0)
    ids = rng.integers(9, size=N_ROWS)
    table = {
        "city": rng.choice(["Oslo", "Bergen", "Tromsø"], size=N_ROWS).tolist(),
        "id": ids.tolist(),
        "price": rng.normal(size=N_ROWS).round(1).tolist(),
        "day": [f"2020-01-{day:02}" for day in rng.integers(1, 9, size=N_ROWS)],
    }
    return table, np.where(ids % 3 == 0, "yes", "no").tolist()


def as_frame(table):
    """Return the stored table as a frame, days as dates."""
    return pd.DataFrame(table).assign(day=lambda frame: pd.to_datetime(frame["day"]))


def results_of(estimator, frame):
    """Return what a fitted estimator gives."""
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(frame)
    return estimator.transform(frame)


def main():
    table, y = make_table()
    frame = as_frame(table)
    estimators = {name: model.fit(frame, y) for name, model in make_estimators().items()}
    expected = {name: results_of(model, frame).tolist() for name, model in estimators.items()}
    path = Path(__file__).parents[1] / "tests" / "data" / f"stored_{FORMAT}.skops"
    path.parent.mkdir(exist_ok=True)
    skops.io.dump(
        {"table": table, "estimators": estimators, "expected": expected},
        path,
        compression=zipfile.ZIP_DEFLATED,
    )
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()

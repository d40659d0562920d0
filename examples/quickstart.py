"""Predict late flights from raw columns, and see which columns matter together.

Trains `DynIntClassifier` on 80 % of the flights that left New York City in 2013, compares it
with a logistic regression on one-hot columns on the other 20 %, lists the strongest crosses, and
saves and reloads the model. Takes one to three minutes on two cores:

    python examples/quickstart.py
"""

import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sparsectr import DynIntClassifier
from sparsectr.datasets import load_flights


def report(name, model, X, y, seconds):
    """Print one line of test results and return the probabilities."""
    probabilities = model.predict_proba(X)[:, 1]
    auc, loss = roc_auc_score(y, probabilities), log_loss(y, probabilities)
    print(f"{name:<40} AUC {auc:.4f}   log loss {loss:.4f}   fit {seconds:.0f} s")
    return probabilities


def main():
    X, y = load_flights(return_X_y=True)
    # Random rows: flights of the same day are on both sides, so this measures how well the
    # columns are used, not how well next year's delays can be foretold.
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
    print(f"{len(X_train):,} flights to train on, {len(X_test):,} to test; the first one:")
    print(X_train.iloc[0].to_string(), end="\n\n")

    started = time.perf_counter()
    baseline = make_pipeline(
        OneHotEncoder(handle_unknown="ignore"), LogisticRegression(C=0.1, max_iter=300)
    )
    baseline.fit(X_train.astype(str), y_train)
    seconds = time.perf_counter() - started
    report("one-hot logistic regression", baseline, X_test.astype(str), y_test, seconds)

    started = time.perf_counter()
    model = make_pipeline(DynIntClassifier(random_state=0))
    model.fit(X_train, y_train)
    seconds = time.perf_counter() - started
    probabilities = report(
        "DynIntClassifier, crosses up to order 3", model, X_test, y_test, seconds
    )

    print("\nStrongest crosses, with the standard deviation of what they add to the log-odds:")
    for interaction in model[-1].selected_interactions_[:10]:
        print(f"  {interaction}")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "late-flights.joblib"
        joblib.dump(model, path)
        reloaded = joblib.load(path)
        same = np.array_equal(reloaded.predict_proba(X_test)[:, 1], probabilities)
        size = path.stat().st_size / 1e6
    print(f"\nSaved ({size:.1f} MB) and reloaded: same probabilities: {same}")


if __name__ == "__main__":
    main()

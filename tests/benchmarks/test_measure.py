"""One fit and what is written down about it."""

import json

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score
from suite.datasets import load_parts
from suite.measure import measure, score
from suite.models import make_model

JOB = {"dataset": "flights", "model": "lr", "parameters": {"penalties": [0.1]}, "seed": 0}
JOB |= {"data": ".", "n_rows": 400, "test": True}


def test_figures_are_those_of_the_fitted_model():
    record = measure(JOB)
    (X, y), validation, test = load_parts("flights", ".", 0, 400)
    clf = make_model("flights", "lr", {"penalties": [0.1]}, seed=0)
    clf.fit(X, y, X_val=validation[0], y_val=validation[1])
    for part, (X, y) in (("validation", validation), ("test", test)):
        probability = clf.predict_proba(X)[:, 1]
        expected = {
            "roc_auc": roc_auc_score(y, probability),
            "log_loss": log_loss(y, probability),
        }
        assert record[part] == pytest.approx(expected)
    assert record["rows"] == {"train": 400, "validation": 400, "test": 400}
    assert record["parameters_trained"] == sum(clf.n_parameters_.values())
    assert record["predict_rows_per_second"] > 0
    assert json.loads(json.dumps(record)) == record


def test_without_test_the_test_rows_are_not_predicted():
    record = measure(JOB | {"test": False, "model": "dynint-pin", "parameters": {"max_epochs": 1}})
    assert "test" not in record
    assert "predict_rows_per_second" not in record
    assert record["epochs"] == 1
    assert record["batch_size"] == 32


def test_score_of_a_model_that_knows():
    class Oracle:
        def predict_proba(self, X):
            return np.column_stack([1 - X, X])

    y = np.array([0, 1, 1, 0])
    assert score(Oracle(), 0.2 + 0.6 * y, y) == pytest.approx(
        {"roc_auc": 1.0, "log_loss": -np.log(0.8)}
    )

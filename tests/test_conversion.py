"""Pipelines with estimators of this package, converted by skl2onnx."""

import numpy as np
import pandas as pd
import pytest
from onnx_runs import run_feeds
from public import CLASSIFIERS, REGRESSORS
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from sparsectr import DynIntClassifier, FieldEncoder, ProfitClassifier, register_onnx
from sparsectr.export import skl2onnx as module

skl2onnx = pytest.importorskip("skl2onnx")
types = pytest.importorskip("skl2onnx.common.data_types")

N = 400
RNG = np.random.default_rng(0)
X = pd.DataFrame(
    {
        "city": RNG.choice(["Oslo", "Bergen", "Tromsø"], size=N),
        "id": RNG.integers(20, size=N),
        "price": RNG.normal(size=N).round(2),
    }
)
Y = np.where((X["id"] % 3 == 0) ^ (X["city"] == "Oslo"), "yes", "no")
QUICK = {"max_epochs": 1, "embedding_dim": 4, "random_state": 0}
COLUMNS = [
    ("city", types.StringTensorType([None, 1])),
    ("id", types.Int64TensorType([None, 1])),
    ("price", types.DoubleTensorType([None, 1])),
]
FEEDS = {name: X[name].to_numpy(object if name == "city" else None)[:, None] for name in X}


@pytest.fixture(autouse=True)
def registered():
    register_onnx()


def check(pipeline, atol=1e-6):
    model = skl2onnx.convert_sklearn(
        pipeline,
        initial_types=COLUMNS,
        target_opset={"": 17, "ai.onnx.ml": 3},
        options={"zipmap": False},
    )
    assert [output.name for output in model.graph.output] == ["label", "probabilities"]
    for rows in (slice(None), slice(1)):
        feeds = {name: values[rows] for name, values in FEEDS.items()}
        label, probabilities = run_feeds(model, feeds)
        expected = pipeline.predict_proba(X[rows])
        np.testing.assert_allclose(probabilities, expected, atol=atol)
        assert (label == pipeline.predict(X[rows])).all()


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("cls", REGRESSORS)
def test_a_pipeline_of_every_regressor(cls, loss):
    reg = make_pipeline(cls(loss=loss, max_epochs=1, random_state=0))
    reg.fit(X, X["id"] + 5.0 * (X["city"] == "Oslo"))
    opset = {"": 17, "ai.onnx.ml": 3}
    model = skl2onnx.convert_sklearn(reg, initial_types=COLUMNS, target_opset=opset)
    assert [output.name for output in model.graph.output] == ["variable"]
    for rows in (slice(None), slice(1)):
        (found,) = run_feeds(model, {name: values[rows] for name, values in FEEDS.items()})
        np.testing.assert_allclose(found[:, 0], reg.predict(X[rows]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_a_pipeline_of_every_classifier(cls):
    searched = {"search_epochs": 1} if "search_epochs" in cls().get_params() else {}
    check(make_pipeline(cls(**QUICK, **searched)).fit(X, Y))


def test_a_column_transformer_before_it():
    columns = ColumnTransformer(
        [("codes", OrdinalEncoder(), ["city"]), ("numbers", StandardScaler(), ["price"])]
    )
    check(make_pipeline(columns, DynIntClassifier(**QUICK)).fit(X, Y))


def test_a_calibration_behind_it():
    # Not isotonic: it has steps, where skl2onnx's float32 falls on the other side of some.
    columns = ColumnTransformer([("codes", OrdinalEncoder(), ["city", "id"])])
    clf = ProfitClassifier(search_epochs=1, **QUICK)
    calibrated = CalibratedClassifierCV(clf, cv=2, method="sigmoid")
    check(make_pipeline(columns, calibrated).fit(X, Y), atol=1e-5)


def test_columns_of_other_types_are_refused():
    clf = DynIntClassifier(**QUICK).fit(X[["city"]], Y)
    with pytest.raises(ValueError, match="field 'city' must come as string, got DoubleTensorType"):
        skl2onnx.convert_sklearn(clf, initial_types=COLUMNS[2:])
    with pytest.raises(ValueError, match="has 1 fields, got 2 columns"):
        skl2onnx.convert_sklearn(clf, initial_types=COLUMNS[:2])
    hashed = DynIntClassifier(encoder=FieldEncoder(hash_buckets=5), **QUICK).fit(X[["city"]], Y)
    with pytest.raises(ValueError, match="field 'city' is hashed"):
        skl2onnx.convert_sklearn(hashed, initial_types=COLUMNS[:1])


def test_without_the_package(monkeypatch):
    def fail(name):
        raise ImportError(name)

    monkeypatch.setattr(module, "import_module", fail)
    with pytest.raises(ImportError, match="pip install skl2onnx"):
        register_onnx()


def test_cells_of_several_values_are_refused():
    encoder = FieldEncoder(multi_valued={"city": "|"})
    clf = DynIntClassifier(encoder=encoder, **QUICK).fit(X, Y)
    with pytest.raises(ValueError, match=r"must hold single values, .*; sparsectr\.to_onnx writes"):
        skl2onnx.convert_sklearn(clf, initial_types=COLUMNS)

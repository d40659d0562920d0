"""ONNX graphs give the probabilities of the estimators, for any number of rows."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_runs import check_predictions, onnxruntime, run, run_feeds
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from sparsectr import (
    CrossEnsembleClassifier,
    DynIntClassifier,
    DynIntRegressor,
    FieldEncoder,
    OptFeatureClassifier,
    OptFeatureRegressor,
    ProfitClassifier,
    ProfitRegressor,
    onnx_inputs,
    to_onnx,
)
from sparsectr.export import graph as graph_module
from sparsectr.export import onnx as onnx_module
from sparsectr.export.columns import type_of, write_columns
from sparsectr.export.graph import OnnxGraph
from sparsectr.export.onnx_inputs import to_input

onnx = pytest.importorskip("onnx")

RNG = np.random.default_rng(0)
N = 500


def make_frame(n, rng):
    frame = pd.DataFrame(
        {
            "city": rng.choice(["Oslo", "Bergen", "Å", None], size=n),
            "id": rng.integers(40, size=n),
            "price": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n).round(1)),
            "day": pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(9, size=n), "D"),
            "took": pd.to_timedelta(rng.integers(9, size=n), unit="s"),
            "flag": rng.random(n) < 0.5,
        }
    )
    frame.loc[::17, ["day", "took"]] = pd.NaT
    return frame


X = make_frame(N, RNG)
# Values that no training row has.
UNSEEN = make_frame(N, np.random.default_rng(1)).assign(
    city=lambda f: f["city"].where(f.index % 3 > 0, "Paris"), id=lambda f: f["id"] * 2 - 9
)
Y = np.where((X["id"] % 3 == 0) ^ X["flag"], "yes", "no")
Y3 = (np.arange(N) % 2 + (X["id"] % 5 == 0)).to_numpy()
QUICK = {"max_epochs": 1, "embedding_dim": 4, "random_state": 0}
SEARCHED = QUICK | {"search_epochs": 1}
SEVERAL = FieldEncoder(numeric_columns="several", n_bins=16)
METHODS = {
    "pin": (DynIntClassifier(n_layers=3, encoder=SEVERAL, **QUICK), Y),
    "da": (DynIntClassifier(variant="da", n_subspaces=2, **QUICK), Y3),
    "dgp": (DynIntClassifier(variant="dgp", rank=3, **QUICK), Y),
    "mean": (DynIntClassifier(variant="da", n_members=3, **QUICK), Y),
    "dwp": (DynIntClassifier(variant="dwp", rank=2, n_subspaces=2, **QUICK), Y),
    "profit": (ProfitClassifier(**SEARCHED), Y),
    "profit of classes": (ProfitClassifier(encoder=SEVERAL, **SEARCHED), Y3),
    "sampled": (DynIntClassifier(negative_sampling_rate=0.2, **QUICK), Y),
    "profit mlp": (ProfitClassifier(predictor="mlp", hidden_units=(8, 4), **SEARCHED), Y3),
    **{
        f"optfeature {granularity} {operator} {orders}": (
            OptFeatureClassifier(
                granularity=granularity, operator=operator, orders=orders, **SEARCHED
            ),
            y,
        )
        for granularity, operator, orders, y in [
            ("field", "inner", (2,), Y),
            ("value", "inner", (2, 3), Y),
            ("hybrid", "inner", (2,), Y3),
            ("hybrid", "inner", (3,), Y),
            ("hybrid", "outer", (2,), Y),
        ]
    },
}


@pytest.fixture(scope="module", params=METHODS)
def fitted(request):
    clf, y = METHODS[request.param]
    return clf.fit(X, y)


@pytest.mark.parametrize("n_rows", [1, 7])
@pytest.mark.filterwarnings("ignore::sparsectr.UnknownValuesWarning")
def test_probabilities_and_labels_from_columns(fitted, n_rows):
    model = to_onnx(fitted)
    onnx.checker.check_model(model, full_check=True)
    for table in (X, UNSEEN):
        check_predictions(fitted, model, table, n_rows, 70)


def test_probabilities_from_codes(fitted):
    model = to_onnx(fitted, inputs="codes")
    codes = fitted.encoder_.transform(UNSEEN)
    for n_rows in (1, 300):
        (probabilities,) = run_feeds(model, {"codes": codes[:n_rows]}, "probabilities")
        expected = fitted.predict_proba(UNSEEN[:n_rows])
        np.testing.assert_allclose(probabilities, expected, atol=1e-6)


def test_names_shapes_and_metadata(fitted):
    model = to_onnx(fitted)
    outputs = {
        output.name: [d.dim_param or d.dim_value for d in output.type.tensor_type.shape.dim]
        for output in model.graph.output
    }
    assert outputs == {"label": ["rows"], "probabilities": ["rows", len(fitted.classes_)]}
    assert [given.name for given in model.graph.input] == X.columns.tolist()
    known = {prop.key: prop.value for prop in model.metadata_props}
    assert known["estimator"] == type(fitted).__name__
    assert json.loads(known["classes"]) == fitted.classes_.tolist()
    fields = json.loads(known["fields"])
    assert [field["name"] for field in fields] == X.columns.tolist()
    sizes = [size for field in fields for size in field["sizes"]]
    assert sizes == fitted.encoder_.vocabulary_sizes_.tolist()
    assert fields[0]["type"], fields[3]["unit"] == ("string", "us")
    assert model.producer_name == "sparsectr"
    assert model.producer_version == known["sparsectr_version"]


REGRESSORS = {
    "dynint": DynIntRegressor(encoder=SEVERAL, **QUICK),
    "dynint poisson": DynIntRegressor(loss="poisson", n_members=2, **QUICK),
    "optfeature": OptFeatureRegressor(granularity="hybrid", **SEARCHED),
    "profit poisson": ProfitRegressor(loss="poisson", predictor="mlp", **SEARCHED),
}
NUMBERS_OF_ROWS = np.where(Y == "yes", 70.0, 20.0) + X["id"]


@pytest.mark.parametrize("name", REGRESSORS)
@pytest.mark.filterwarnings("ignore::sparsectr.UnknownValuesWarning")
def test_numbers_from_columns(name):
    reg = REGRESSORS[name].fit(X, NUMBERS_OF_ROWS)
    model = to_onnx(reg)
    onnx.checker.check_model(model, full_check=True)
    (output,) = model.graph.output
    assert [d.dim_param or d.dim_value for d in output.type.tensor_type.shape.dim] == ["rows", 1]
    for table in (X, UNSEEN):
        for n_rows in (1, 300):
            (found,) = run(model, table[:n_rows], "variable")
            assert found.dtype == np.float32
            expected = reg.predict(table[:n_rows])
            scale = max(reg.target_scale_, np.abs(expected).max())
            np.testing.assert_allclose(found[:, 0], expected, atol=1e-6 * scale)
    known = {prop.key: prop.value for prop in model.metadata_props}
    assert known["estimator"] == type(reg).__name__
    assert "classes" not in known


# Columns ---------------------------------------------------------------------------------


def encode(encoder, frame):
    """Codes by a graph that consists of the columns alone."""
    graph, names = OnnxGraph(), encoder._field_names()
    types = {name: type_of(name, field) for name, field in zip(names, encoder._fields, strict=True)}
    codes = write_columns(graph, names, encoder._fields)
    graph.add_output("codes", codes, "int64", ["rows", len(encoder.code_fields_)])
    feeds = {
        name: to_input(frame[name], {"type": known.kind, "unit": known.unit})
        for name, known in types.items()
    }
    return run_feeds(graph.make_model({}, "0"), feeds)[0]


NUMBERS = st.one_of(
    st.floats(width=32), st.sampled_from([0.0, -0.0, 2.0, np.e, 1e300, -1e300, np.nan])
)
COLUMNS = {
    "string": st.one_of(st.none(), st.text(min_size=1, max_size=3)),
    "int": st.integers(-(2**62), 2**62),
    "float": NUMBERS,
    "bool": st.booleans(),
}


def frames(min_rows):
    row = st.fixed_dictionaries(COLUMNS)
    return st.lists(row, min_size=min_rows, max_size=30).map(
        lambda rows: pd.DataFrame(rows, columns=list(COLUMNS)).astype(
            {"string": object, "int": "int64", "float": "float64", "bool": bool}
        )
    )


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40, deadline=None)
@given(
    frames(4),
    frames(1),
    st.sampled_from(["quantile", "log_squared", "log_square", "category"]),
    st.sampled_from(["one", "several"]),
)
def test_codes_of_any_columns(train, test, numeric, columns):
    encoder = FieldEncoder(numeric=numeric, n_bins=3, numeric_columns=columns).fit(train)
    for frame in (train, test, test[:1]):
        np.testing.assert_array_equal(encode(encoder, frame), encoder.transform(frame))


def test_what_cannot_be_written_is_refused():
    hashed = DynIntClassifier(encoder=FieldEncoder(hash_buckets={"city": 5}), **QUICK).fit(X, Y)
    with pytest.raises(ValueError, match=r"'city' is hashed, .* export with inputs='codes'"):
        to_onnx(hashed)
    codes = hashed.encoder_.transform(X)
    (found,) = run_feeds(to_onnx(hashed, inputs="codes"), {"codes": codes}, "probabilities")
    np.testing.assert_allclose(found, hashed.predict_proba(X), atol=1e-6)

    table = X[["id"]].assign(mixed=pd.Series(["a", 1] * (N // 2), dtype=object))
    with pytest.raises(ValueError, match=r"'mixed' has values that are not all strings"):
        to_onnx(DynIntClassifier(**QUICK).fit(table, Y))
    table = X[["id"]].assign(empty=pd.Series(["a", ""] * (N // 2)))
    with pytest.raises(ValueError, match=r"'empty' has the empty string as a value"):
        to_onnx(DynIntClassifier(**QUICK).fit(table, Y))
    with pytest.raises(ValueError, match="inputs must be 'columns' or 'codes', got 'rows'"):
        to_onnx(hashed, inputs="rows")
    with pytest.raises(NotFittedError):
        to_onnx(DynIntClassifier())
    with pytest.raises(TypeError, match=r"must be a classifier or regressor .*, got a Logistic"):
        to_onnx(LogisticRegression().fit(codes, Y))
    ensemble = CrossEnsembleClassifier(net=DynIntClassifier(**QUICK), n_folds=2, random_state=0)
    with pytest.raises(TypeError, match=r"that is one net, .*, got a CrossEnsembleClassifier"):
        to_onnx(ensemble.fit(X[["city", "id"]], Y))


def test_without_the_package_onnx(monkeypatch):
    clf = DynIntClassifier(**QUICK).fit(X, Y)

    def fail(name):
        raise ImportError(name)

    monkeypatch.setattr(graph_module, "import_module", fail)
    with pytest.raises(ImportError, match=r"pip install 'sparsectr\[onnx\]'"):
        to_onnx(clf)


@pytest.mark.parametrize("is_large", [False, True])
def test_files(tmp_path, monkeypatch, is_large):
    clf = DynIntClassifier(embedding_dim=64, max_epochs=1, random_state=0).fit(X, Y)
    if is_large:
        monkeypatch.setattr(onnx_module, "MOST_BYTES", 1000)
    model = to_onnx(clf, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx.data").exists() == is_large
    feeds = onnx_inputs(model, X)
    (found,) = run_feeds(str(tmp_path / "model.onnx"), feeds, "probabilities")
    np.testing.assert_allclose(found, clf.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(run(model, X, "probabilities")[0], found)


@pytest.mark.parametrize("labels", [[False, True], [1.0, 2.0], [0, 7], ["a", "b"]])
def test_labels_of_any_type(labels):
    clf = DynIntClassifier(**QUICK).fit(X, np.array(labels)[(Y == "yes").astype(int)])
    (found,) = run(to_onnx(clf), X, "label")
    assert found.tolist() == clf.predict(X).tolist()
    days = np.array(["2020-01-01", "2020-01-02"], "M8[D]")[(Y == "yes").astype(int)]
    with pytest.raises(ValueError, match="classes_ must be strings, numbers or booleans"):
        to_onnx(DynIntClassifier(**QUICK).fit(X, days))


def test_inputs_need_the_columns_and_a_graph_of_columns():
    X = pd.DataFrame({"a": ["x", "y", None] * 20, "b": range(60)})
    clf = DynIntClassifier(max_epochs=1, early_stopping=False, random_state=0).fit(X, [0, 1] * 30)
    model = to_onnx(clf)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for graph in (model, session):
        inputs = onnx_inputs(graph, X[["b", "a"]])
        assert {name: values.shape for name, values in inputs.items()} == {
            "a": (60, 1),
            "b": (60, 1),
        }
        assert inputs["a"][2, 0] == ""
    with pytest.raises(ValueError, match=r"all columns of the graph, got none of \['b'\]"):
        onnx_inputs(model, X[["a"]])
    for other in (to_onnx(clf, inputs="codes"), "model.onnx"):
        with pytest.raises(ValueError, match="written with inputs='columns', got "):
            onnx_inputs(other, X)

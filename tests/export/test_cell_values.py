"""Fields of several values in graphs and compiled predictors, with sets that are new to them."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_runs import check_predictions, run, run_feeds

from sparsectr import (
    DynIntClassifier,
    FieldEncoder,
    InteractionFeatures,
    OptFeatureClassifier,
    ProfitClassifier,
    ProfitRegressor,
    to_onnx,
)
from sparsectr.export.columns import type_of, write_columns
from sparsectr.export.graph import OnnxGraph
from sparsectr.export.onnx_inputs import to_input

onnx = pytest.importorskip("onnx")

N = 500


def make_frame(seed, tags):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "city": rng.choice(["Oslo", "Bergen", None], size=N),
            "tags": ["|".join(rng.choice(tags, rng.integers(4))) for _ in range(N)],
            "ids": [rng.integers(12, size=rng.integers(4)).tolist() for _ in range(N)],
            "price": rng.normal(size=N).round(1),
            "sizes": [rng.choice([0.5, -0.0, np.nan], rng.integers(3)) for _ in range(N)],
        }
    )


X = make_frame(0, list("abcdef"))
Y = np.where(X["tags"].str.contains("a") ^ (X["price"] > 0.5), "yes", "no")
# Sets and values that no training row has, empty cells, and repeated values.
OTHER = make_frame(1, list("abcdefg"))
OTHER.loc[:3, "tags"] = pd.Series(["g|g", "|a||b|", None, "a|a|a|b"])
for place, cell in enumerate([None, [99, 98], [5, 5, 99], []]):
    OTHER.at[place, "ids"] = cell
ENCODER = FieldEncoder(multi_valued={"tags": "|"}, numeric_columns="several", n_bins=8)
QUICK = {"max_epochs": 1, "embedding_dim": 4, "random_state": 0, "encoder": ENCODER}
SEARCHED = QUICK | {"search_epochs": 1}
METHODS = {
    "pin": DynIntClassifier(**QUICK),
    "dgp": DynIntClassifier(variant="dgp", n_subspaces=2, **QUICK),
    "mean": DynIntClassifier(n_members=2, **QUICK),
    "profit": ProfitClassifier(**SEARCHED),
    "profit mlp": ProfitClassifier(predictor="mlp", hidden_units=(8,), **SEARCHED),
    "optfeature": OptFeatureClassifier(granularity="hybrid", **SEARCHED),
    "triples": OptFeatureClassifier(granularity="value", orders=(2, 3), **SEARCHED),
}


@pytest.fixture(scope="module", params=METHODS)
def fitted(request):
    return METHODS[request.param].fit(X, Y)


@pytest.mark.parametrize("n_rows", [1, 7, N])
def test_probabilities_from_columns(fitted, n_rows):
    model = to_onnx(fitted)
    onnx.checker.check_model(model, full_check=True)
    for table in (X, OTHER):
        check_predictions(fitted, model, table, n_rows, 14)


def test_rows_of_a_compiled_predictor(fitted):
    predict = fitted.compile_predictor()
    unknown = 0
    for table in (X[:30], OTHER[:30]):
        found = [predict(tuple(row)) for row in table.itertuples(index=False)]
        np.testing.assert_allclose(found, fitted.predict_proba(table), atol=1e-6)
        # Of one row, the shares are 0 or 1.
        unknown += sum(fitted.encoder_.unknown_share(table[i : i + 1]) for i in range(30))
    assert predict.unknown_counts == unknown.to_dict()
    assert unknown[["tags", "ids"]].gt(0).all()


def test_cells_of_a_compiled_predictor():
    clf = METHODS["pin"].fit(X, Y)
    predict, row = clf.compile_predictor(), X.iloc[0].to_dict()
    same = [[3, 3, 5], [5, 3, 3], (3, 5, 3), np.array([3, 5, 3]), [None, 3, 5, 3], [3.0, 5, 3]]
    found = np.array([predict(row | {"ids": cell}) for cell in same])
    np.testing.assert_allclose(found, found[:1].repeat(len(same), 0), atol=1e-7)
    with pytest.raises(ValueError, match=r"Field 'ids': every cell .* must be a list or missing"):
        predict(row | {"ids": 3})
    with pytest.raises(
        ValueError, match=r"Field 'tags': every cell .* must be a string or missing"
    ):
        predict(row | {"tags": 3})


def test_inputs_and_metadata():
    model = to_onnx(METHODS["pin"].fit(X, Y))
    shapes = {
        given.name: [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim]
        for given in model.graph.input
    }
    assert shapes["tags"] == ["rows", 1]
    assert shapes["ids"] == ["rows", "ids_values"]
    (known,) = (prop.value for prop in model.metadata_props if prop.key == "fields")
    _, tags, ids, price, sizes = json.loads(known)
    assert (tags["type"], tags["separator"]) == ("string", "|")
    assert (ids["type"], ids["list"]) == ("int64", True)
    assert (sizes["type"], sizes["list"]) == ("float64", True)
    assert "list" not in tags
    assert "list" not in price


def test_numbers_from_columns():
    reg = ProfitRegressor(**SEARCHED).fit(X, 3.0 * X["tags"].str.len() + X["price"])
    predict = reg.compile_predictor()
    (found,) = run(to_onnx(reg), OTHER, "variable")
    expected = reg.predict(OTHER)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)
    rows = OTHER[:20].itertuples(index=False)
    np.testing.assert_allclose([predict(tuple(row)) for row in rows], expected[:20], atol=1e-5)


@pytest.mark.parametrize("encoder", ["codes", "target", "count"])
def test_statistics_take_a_set_for_a_category(encoder):
    features = InteractionFeatures(DynIntClassifier(**QUICK), encoder=encoder).fit(X, Y)
    model = to_onnx(features)
    for table in (X, OTHER, OTHER[2:3]):
        (found,) = run(model, table, "variable")
        np.testing.assert_allclose(found, features.transform(table), rtol=1e-12)


CELLS = {
    "words": st.lists(st.sampled_from(["a", "b", "ab", "é"]), max_size=4),
    "numbers": st.lists(st.sampled_from([-(2**62), -1, 0, 7, 2**62, None]), max_size=4),
    "text": st.lists(st.sampled_from(["a", "b", "", "ab"]), max_size=5).map("::".join),
}


def frames(min_rows):
    rows = st.lists(st.fixed_dictionaries(CELLS), min_size=min_rows, max_size=20)
    return rows.map(lambda cells: pd.DataFrame(cells, columns=list(CELLS)))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40, deadline=None)
@given(frames(4), frames(1))
def test_codes_of_any_sets(train, test):
    first = pd.DataFrame({"words": [["a"]], "numbers": [[0]], "text": "a"})
    encoder = FieldEncoder(multi_valued={"words": None, "numbers": None, "text": "::"})
    encoder.fit(pd.concat([first, train]))
    graph, names = OnnxGraph(), encoder._field_names()
    codes = write_columns(graph, names, encoder._fields, with_sets=True)
    graph.add_output("codes", codes, "int64", ["rows", 3])
    model = graph.make_model({}, "0")
    for frame in (train, test, test[:1]):
        feeds = {}
        for name, field in zip(names, encoder._fields, strict=True):
            known = type_of(name, field)
            feeds[name] = to_input(frame[name], {"type": known.kind, "list": known.is_list})
        np.testing.assert_array_equal(run_feeds(model, feeds)[0], encoder.transform(frame))

"""What fields do is what was planted, and what anybody finds with `predict_proba`."""

import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest

from sparsectr import (
    DynIntClassifier,
    DynIntRegressor,
    OptFeatureClassifier,
    ProfitClassifier,
)

NAMES = ["f0", "f1", "f2", "f3"]
COLUMNS = ["field", "total", "main", "crosses", "n_values", "strongest_cross"]
QUICK = {"random_state": 0, "early_stopping": False}
MODELS = {
    "dynint": DynIntClassifier(max_epochs=6, **QUICK),
    "profit": ProfitClassifier(max_epochs=4, search_epochs=2, max_order=2, **QUICK),
    "profit mlp": ProfitClassifier(max_epochs=2, search_epochs=1, predictor="mlp", **QUICK),
    "optfeature": OptFeatureClassifier(max_epochs=2, **QUICK),
    "dynint regressor": DynIntRegressor(max_epochs=6, **QUICK),
}


def planted(n_rows, seed=0):
    """A field by itself and in a cross, one by itself, one in the cross only, one of noise."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 6, (n_rows, 4))
    main, alone = (values - values.mean() for values in rng.normal(size=(2, 6)))
    cross = rng.normal(size=(6, 6))
    cross -= cross.mean(0)
    cross -= cross.mean(1, keepdims=True)
    parts = {
        "f0": main[codes[:, 0]] / main.std(),
        "f1": 0.5 * alone[codes[:, 1]] / alone.std(),
        "f0 x f2": 0.8 * cross[codes[:, 0], codes[:, 2]] / cross.std(),
    }
    X = pd.DataFrame(codes.astype(str), columns=NAMES)
    return X, parts, rng


@cache
def fit(name, n_rows=400):
    X, parts, rng = planted(n_rows)
    score = sum(parts.values())
    if "regressor" in name:
        y = 10 * (score + 0.3 * rng.normal(size=n_rows))
    else:
        y = (rng.random(n_rows) < 1 / (1 + np.exp(-score))).astype(int)
    return X, pickle.loads(pickle.dumps(MODELS[name].fit(X, y)))


def scores(model, rows):
    if not hasattr(model, "predict_proba"):
        return model.predict(rows)
    probabilities = model.predict_proba(rows)
    return np.log(probabilities[:, 1] / probabilities[:, 0])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore::sparsectr.exceptions.UnknownValuesWarning")  # on purpose
def test_anybody_finds_the_same_with_values_that_were_never_seen(name):
    X, model = fit(name)
    table = model.field_table().set_index("field").loc[NAMES]
    whole, none = scores(model, X), scores(model, X.assign(**dict.fromkeys(NAMES, "unseen")))
    largest = np.abs(whole).max()
    for field in NAMES:
        total = whole - scores(model, X.assign(**{field: "unseen"}))
        others = {other: "unseen" for other in NAMES if other != field}
        main = scores(model, X.assign(**others)) - none
        for measure, values in (("total", total), ("main", main), ("crosses", total - main)):
            assert table.at[field, measure] == pytest.approx(values.std(), abs=2e-6 * largest)
        found = model.value_effects([field])
        means = pd.Series(main).groupby(X[field]).agg(["size", "mean"]).loc[found[field]]
        np.testing.assert_array_equal(found["count"], means["size"])
        np.testing.assert_allclose(found["effect"], means["mean"], atol=2e-6 * largest)
        assert found["count"].is_monotonic_decreasing


@pytest.mark.parametrize("name", ["dynint", "profit", "dynint regressor"])
def test_planted_parts_are_found(name):
    _X, model = fit(name, 8000)
    _, parts, _ = planted(8000)
    table = model.field_table()
    assert table.columns.tolist() == COLUMNS
    unit = 10.0 if "regressor" in name else 1.0
    truth = pd.DataFrame(0.0, index=NAMES, columns=["total", "main", "crosses"])
    truth.loc["f0"] = [(parts["f0"] + parts["f0 x f2"]).std(), 1.0, 0.8]
    truth.loc["f1"] = [0.5, 0.5, 0.0]
    truth.loc["f2"] = [0.8, 0.0, 0.8]
    assert table["field"].tolist() == [*NAMES[:1], "f2", "f1", "f3"]
    found = table.set_index("field").loc[NAMES, list(truth.columns)] / unit
    np.testing.assert_allclose(found, truth, atol=0.2)
    np.testing.assert_array_equal(
        model.field_importances_, table.set_index("field").loc[NAMES, "total"]
    )
    assert table["n_values"].tolist() == [6] * 4
    assert set(table.set_index("field").at["f2", "strongest_cross"]) == {"f0", "f2"}


def test_fields_are_measured_without_a_list_of_crosses():
    X, _ = fit("dynint")
    y = (X["f0"].astype(int) > 2).astype(int)
    clf = DynIntClassifier(max_epochs=2, n_interactions=0, random_state=0).fit(X, y)
    table = clf.field_table()
    assert table["field"].iloc[0] == "f0"
    assert table["strongest_cross"].tolist() == [()] * 4
    assert len(clf.value_effects(["f0"])) == 6


def test_numbers_are_intervals_and_several_classes_have_a_strength_each():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"number": rng.normal(size=600), "letter": rng.choice(list("abc"), 600)})
    y = np.digitize(X["number"], [-0.5, 0.5])
    clf = ProfitClassifier(search_epochs=1, max_epochs=2, random_state=0).fit(X, y)
    assert clf.field_table()["field"].tolist() == ["number", "letter"]
    effects = clf.value_effects(["number"], class_label=2).dropna().sort_values("number")
    assert effects["number"].cat.ordered
    assert effects["effect"].iloc[0] < 0 < effects["effect"].iloc[-1]


def test_an_estimator_that_an_older_version_has_stored_knows_nothing_of_fields():
    _X, model = fit("dynint")
    old = pickle.loads(pickle.dumps(model))
    for name in ("field_strengths", "field_values", "field_effects"):
        del old._measures[name]
    assert old.field_table()["total"].isna().all()
    assert np.isnan(old.field_importances_).all()
    with pytest.raises(ValueError, match="older version"):
        old.value_effects(["f0"])


def test_what_is_no_field_is_refused():
    _, model = fit("dynint")
    with pytest.raises(ValueError, match="one field or more, each once"):
        model.value_effects([])
    with pytest.raises(ValueError, match="fields must name fields of X"):
        model.value_effects(["f9"])
    with pytest.raises(ValueError, match=r"got \['f00'\] \(did you mean 'f0'\?\)\.$"):
        model.value_effects(["f00"])
    with pytest.raises(AttributeError, match="has no attribute 'field_importances_'"):
        _ = DynIntClassifier().field_importances_

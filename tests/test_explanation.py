"""What a classifier tells about its crosses adds up."""

import copy
import math
import pickle
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import cache
from itertools import combinations

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sparsectr import (
    DynIntClassifier,
    FieldEncoder,
    InteractionDisplay,
    InteractionFeatures,
    OptFeatureClassifier,
    ProfitClassifier,
)
from sparsectr.datasets import make_clicks
from sparsectr.explanation.measuring import MEASURES, CrossMeter

# Of log-odds up to 1: predictions are sums in single precision.
TOLERANCE = 1e-6
SHARED = ["fields", "order", "strength", "evidence", "significant"]
SHARED += ["active_share", "strength_error", "shares_with"]
QUICK = {"max_epochs": 2, "embedding_dim": 4, "learning_rate": 0.03, "random_state": 0}
MODELS = {
    "dynint": DynIntClassifier(n_layers=1, **QUICK),
    "profit": ProfitClassifier(search_epochs=1, n_crosses=4, **QUICK),
    "profit mlp": ProfitClassifier(search_epochs=1, n_crosses=4, predictor="mlp", **QUICK),
    "optfeature": OptFeatureClassifier(**QUICK),
}
CLICKS = make_clicks(600, 4, 6, crosses=[(0, 1)], random_state=0)
# A numeric and a missing value, so that values as they stand in X differ from binned ones.
X = CLICKS.X.assign(f3=np.arange(600) / 7.0)
X.loc[3, "f0"] = None
LABELS = {2: CLICKS.y, 3: np.array(["a", "b", "c"])[X["f2"].str[-1].astype(int) % 3]}


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def fitted(name):
    return {n: fit(name, n) for n in LABELS}


@cache
def fit(name, n_classes):
    """Fit, and go through a file: reports need only what is stored."""
    return pickle.loads(pickle.dumps(clone(MODELS[name]).fit(X, LABELS[n_classes])))


def log_odds(clf, rows):
    """Log of the probability of every class, against the other or against the mean of all."""
    logs = np.log(clf.predict_proba(rows))
    if len(clf.classes_) == 2:
        return (logs[:, 1] - logs[:, 0])[:, None] * [-1, 1]
    return logs - logs.mean(axis=1, keepdims=True)


def contributions(parts, fields, n_rows):
    """Contributions of one cross to all rows; those left out are zero."""
    found = parts[parts["fields"] == fields].set_index("row")["contribution"]
    return found.reindex(range(n_rows), fill_value=0.0)


# The table -------------------------------------------------------------------------------


def test_every_table_has_the_shared_columns(fitted):
    for clf in fitted.values():
        table = clf.interaction_table()
        assert table.columns[: len(SHARED)].tolist() == SHARED
        measured = table.dropna(subset=["strength"])
        assert measured["strength"].is_monotonic_decreasing
        listed = measured[measured["strength"] > 0]
        records = [cross for cross in clf.selected_interactions_ if cross.strength > 0]
        assert listed["fields"].tolist() == [cross.fields for cross in records]
        assert listed["strength"].tolist() == [cross.strength for cross in records]
        assert (table["order"] == table["fields"].map(len)).all()
        assert measured["active_share"].between(0, 1).all()
        assert (listed["strength_error"] > 0).all()
        assert (listed["strength_error"] < listed["strength"]).all()


@pytest.mark.parametrize("n_classes", LABELS)
def test_a_cross_that_does_nothing_is_not_listed(name, n_classes):
    rows = X[["f0", "f1"]].assign(one="1", two=2)
    # All crosses are kept and measured; that of two constants moves all log-odds alike.
    settings = {"n_crosses": {2: 6}} if name.startswith("profit") else {}
    clf = clone(MODELS[name]).set_params(**settings).fit(rows, LABELS[n_classes])
    assert all(cross.strength > 1e-6 for cross in clf.selected_interactions_)
    assert ("one", "two") not in [cross.fields for cross in clf.selected_interactions_]
    table = clf.interaction_table().set_index("fields")
    if ("one", "two") in table.index:  # of methods that know crosses beside the listed ones
        measures = table.loc[[("one", "two")], MEASURES].to_numpy()
        np.testing.assert_array_equal(measures, [[0.0, 0.0, 0.0]])


def test_a_table_without_listed_crosses(name):
    clf = clone(MODELS[name]).set_params(n_interactions=0)
    table = clf.fit(X, LABELS[2]).interaction_table()
    assert table.columns[: len(SHARED)].tolist() == SHARED
    assert not (table["strength"] > 0).any()
    assert len(clf.explain(X)) == 0
    complete = clf.explain(X[:5], complete=True)
    sums = complete.groupby("row")["contribution"].sum()
    np.testing.assert_allclose(sums, log_odds(clf, X[:5])[:, 1], rtol=0, atol=1e-6)


def test_the_error_of_a_strength_is_a_share_of_what_other_rows_would_change(fitted, name):
    """Strengths of another half of the rows differ by about the standard error."""
    clf = fitted[2]
    codes, net = clf._encode_for_net(X)
    table = clf.interaction_table().query("strength > 0")
    crosses = [tuple(int(field[1]) for field in fields) for fields in table["fields"]]
    with torch.inference_mode():
        effects = net.effects(codes, crosses, clf._fields().columns)[:, :, 0].double().numpy()
    ratio = np.abs(effects.std(axis=1) - table["strength"]) / table["strength_error"]
    assert (ratio < 4).all()


# Single rows -----------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", LABELS)
def test_contributions_sum_to_the_log_odds(fitted, n_classes):
    clf, rows = fitted[n_classes], X[:50]
    for number, label in enumerate(clf.classes_):
        parts = clf.explain(rows, top=2, class_label=label, complete=True)
        sums = parts.groupby("row")["contribution"].sum()
        np.testing.assert_allclose(sums, log_odds(clf, rows)[:, number], rtol=0, atol=2e-5)


@pytest.mark.filterwarnings("ignore::sparsectr.exceptions.UnknownValuesWarning")  # on purpose
@pytest.mark.parametrize("n_classes", LABELS)
def test_an_explanation_says_what_a_row_without_any_value_predicts(fitted, n_classes):
    clf = fitted[n_classes]
    nothing = X[:1].assign(**dict.fromkeys(X, "never seen"))
    for number, label in enumerate(clf.classes_):
        told = clf.explain(X[:3], class_label=label).attrs
        start = log_odds(clf, nothing.assign(f3=math.nan))[0, number]
        assert told["start"] == pytest.approx(start, abs=1e-6)
        assert told.get("probability_of") == (str(label) if n_classes == 2 else None)
    assert ("start" in clf.explain(X[:3]).attrs) == (n_classes == 2)


@pytest.mark.filterwarnings("ignore::sparsectr.exceptions.UnknownValuesWarning")  # on purpose
@pytest.mark.parametrize("n_classes", LABELS)
def test_contributions_are_what_anybody_finds_with_values_that_were_never_seen(name, n_classes):
    """Unknown is code 0: with all fields but some unknown, predictions tell the effect of these."""
    clf, rows = fit(name, n_classes), X[:200].drop(columns="f3")
    label = clf.classes_[0]
    number = "f3"  # a field of numbers knows all numbers, and no texts
    parts = clf.explain(rows.assign(f3=X["f3"]), top=None, class_label=label, complete=True)

    @cache
    def known(fields):
        unknown = {f: "never seen" for f in rows if f not in fields}
        return log_odds(clf, rows.assign(**unknown, f3=math.nan))[:, 0]

    crosses = [cross.fields for cross in clf.selected_interactions_]
    checked = [(f,) for f in rows] + [fields for fields in crosses if number not in fields]
    assert len(checked) > 3
    largest = max(1, np.abs(log_odds(clf, rows.assign(f3=X["f3"]))).max())
    for fields in checked:
        sizes = range(len(fields) + 1)
        effect = sum(
            (-1) ** (len(fields) - size) * known(part)
            for size in sizes
            for part in combinations(fields, size)
        )
        found = contributions(parts, fields, 200)
        np.testing.assert_allclose(found, effect, rtol=0, atol=TOLERANCE * largest)


def test_the_largest_contributions_come_first(fitted):
    clf = fitted[2]
    every, some = clf.explain(X[:40], top=None), clf.explain(X[:40], top=2)
    assert some["row"].is_monotonic_increasing
    pd.testing.assert_frame_equal(some, every[every["rank"] <= 2].reset_index(drop=True))
    for _, part in every.groupby("row"):
        assert part["rank"].tolist() == list(range(1, len(part) + 1))
        assert part["contribution"].abs().is_monotonic_decreasing
        assert part["fields"].is_unique
    assert (every["contribution"].abs() > 1e-6).all()


def test_values_are_the_texts_of_those_in_x(fitted):
    parts = fitted[2].explain(X[:5], top=None, complete=True)
    assert list(parts.columns) == ["row", "rank", "fields", "values", "contribution"]
    for part in parts.itertuples():
        for field, value in zip(part.fields, part.values, strict=True):
            expected = X[field][part.row]
            assert value == (None if pd.isna(expected) else str(expected))


def test_two_classes_have_opposite_log_odds_and_the_second_is_explained(fitted):
    clf = fitted[2]
    plain, first = clf.explain(X[:9]), clf.explain(X[:9], class_label=0)
    pd.testing.assert_frame_equal(plain, clf.explain(X[:9], class_label=1))
    np.testing.assert_array_equal(plain["contribution"], -first["contribution"])


def test_of_several_classes_the_predicted_one_is_explained(fitted):
    clf = fitted[3]
    found = clf.explain(X[:60], top=None)
    predicted = clf.predict(X[:60])
    assert len(set(predicted)) > 1
    # Of the same rows: in float32 a product of matrices rounds by the shape of the batch.
    by_label = {label: clf.explain(X[:60], top=None, class_label=label) for label in set(predicted)}
    for row, label in enumerate(predicted):
        part, expected = (
            table[table["row"] == row].set_index("fields")["contribution"].sort_index()
            for table in (found, by_label[label])
        )
        pd.testing.assert_series_equal(part, expected)


def test_the_container_of_the_rows_does_not_matter(fitted):
    clf = fitted[2]
    rows = X[10:20]
    expected = clf.explain(rows)
    frame = pl.DataFrame({name: rows[name].tolist() for name in rows})
    pd.testing.assert_frame_equal(clf.explain(frame), expected)


# Values of a cross -----------------------------------------------------------------------


def test_the_effects_of_values_are_means_of_contributions():
    """All training rows are measured and no field is binned: nothing is hidden."""
    clf = ProfitClassifier(search_epochs=1, n_crosses=2, early_stopping=False, **QUICK)
    clf.fit(CLICKS.X, LABELS[3])
    for cross in clf.selected_interactions_:
        table = clf.value_effects(cross.fields[::-1], class_label="b")
        assert table.columns.tolist() == [*cross.fields[::-1], "count", "effect"]
        assert table["count"].sum() == 600
        parts = clf.explain(CLICKS.X, top=None, class_label="b")
        parts = parts[parts["fields"] == cross.fields]
        means = parts.groupby("values")["contribution"].agg(["size", "mean"])
        for row in table.itertuples():
            values = tuple(map(str, row[cross.order : 0 : -1]))  # back in the order of the fields
            count, effect = means.loc[[values]].iloc[0]
            assert row.count == count
            assert row.effect == pytest.approx(effect, abs=1e-6)


def test_of_two_classes_the_second_is_shown_by_default(fitted):
    clf = fitted[2]
    fields = clf.selected_interactions_[0].fields
    plain, second = clf.value_effects(fields), clf.value_effects(fields, class_label=1)
    pd.testing.assert_frame_equal(plain, second)
    first = clf.value_effects(fields, class_label=0)
    np.testing.assert_array_equal(first["effect"], -plain["effect"])


# Refusals --------------------------------------------------------------------------------


def test_what_cannot_be_told_is_refused(fitted):
    clf = fitted[2]
    with pytest.raises(ValueError, match="class_label must be one of classes_"):
        clf.explain(X, class_label="no class")
    for wrong in ("f0", 1, ("f0", 1), clf.selected_interactions_[0]):
        with pytest.raises(ValueError, match="fields must be the names of the fields of a cross"):
            clf.value_effects(wrong)
    with pytest.raises(ValueError, match=r"fields must name fields of X, .* got \['no field'\]"):
        clf.value_effects(("f0", "no field"))
    with pytest.raises(ValueError, match="fields must name one field or more, each once"):
        clf.value_effects(("f0", "f0"))
    with pytest.raises(ValueError, match=r"got .*; raise n_interactions to list more crosses"):
        clf.value_effects(("f0", "f1", "f2", "f3"))
    with pytest.raises(ValueError, match="top must be an int >= 1"):
        clf.explain(X, top=0)
    with pytest.raises(ValueError, match="feature names"):
        clf.explain(X[["f1", "f0", "f2", "f3"]])


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_an_unfitted_model_tells_nothing(model):
    unfitted = type(model)()
    for call in (
        unfitted.interaction_table,
        lambda: unfitted.explain(X),
        lambda: unfitted.value_effects(("f0", "f1")),
    ):
        with pytest.raises(NotFittedError):
            call()


# Measuring when somebody asks ------------------------------------------------------------

STREAM = make_clicks(1200, 4, 5, crosses=[(0, 2)], random_state=3)
SMALL = {"max_epochs": 1, "embedding_dim": 4, "random_state": 0}


def learn_stream(clf, *, look=lambda clf: None):
    for rows in np.arange(1200).reshape(4, 300):
        clf.partial_fit(STREAM.X.iloc[rows], STREAM.y[rows], classes=[0, 1])
        look(clf)
    return clf


def learn_at_once(clf, *, look=lambda clf: None):
    clf.fit(STREAM.X, STREAM.y)
    look(clf)
    return clf


def read_everything(clf):
    table = clf.interaction_table()
    fields = clf.selected_interactions_[0].fields
    frames = [table, clf.value_effects(fields), clf.explain(STREAM.X[:50], top=None)]
    if isinstance(clf, OptFeatureClassifier):
        frames.append(clf.selected_values(fields))
    return frames


@pytest.fixture
def counted(monkeypatch):
    """One entry per measurement of crosses."""
    calls = []
    original = CrossMeter.measure

    def measure(self, *args, **options):
        calls.append(self)
        return original(self, *args, **options)

    monkeypatch.setattr(CrossMeter, "measure", measure)
    return calls


@pytest.mark.parametrize(
    "ask",
    [
        lambda clf: clf.selected_interactions_,
        lambda clf: clf.interaction_table(),
        lambda clf: clf.explain(STREAM.X[:2]),
        lambda clf: InteractionFeatures(clf, prefit=True).fit(STREAM.X, STREAM.y),
        lambda clf: clf._repr_html_(),
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        joblib.hash,
    ],
    ids=["list", "table", "explain", "features", "html", "pickle", "copy", "deepcopy", "hash"],
)
@pytest.mark.parametrize("learn", [learn_stream, learn_at_once])
def test_a_fit_is_measured_once_somebody_asks(counted, learn, ask):
    clf = learn(DynIntClassifier(**SMALL))
    clf.predict_proba(STREAM.X)
    assert not counted
    ask(clf)
    read_everything(clf)
    assert len(counted) == 1


CLASSES = [DynIntClassifier, OptFeatureClassifier, ProfitClassifier]


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("learn", [learn_stream, learn_at_once])
def test_it_does_not_matter_when_somebody_asks(learn, cls):
    late = learn(cls(**SMALL))
    often = learn(cls(**SMALL), look=read_everything)
    stored = learn(cls(**SMALL), look=pickle.dumps)
    changed = learn(cls(**SMALL)).set_params(n_interactions=1)
    expected = read_everything(late)
    for other in (often, stored, changed, pickle.loads(pickle.dumps(late))):
        for first, second in zip(expected, read_everything(other), strict=True):
            pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("learn", [learn_stream, learn_at_once])
def test_crosses_alone_are_those_of_all_measures(counted, learn, cls):
    clf = learn(cls(**SMALL))
    alone = clf._crosses_alone()
    assert alone == learn(cls(**SMALL)).selected_interactions_ == clf.selected_interactions_
    assert clf._crosses_alone() is alone
    assert pickle.loads(pickle.dumps(clf))._crosses_alone() == alone
    assert len(counted) == 3


def test_a_stream_that_goes_on_after_a_fit_measures_its_own_rows():
    clf = learn_at_once(DynIntClassifier(**SMALL))
    clf.partial_fit(STREAM.X[:300], STREAM.y[:300])
    assert len(vars(clf)["_measures"].sample.rows()) == 300


def test_the_rows_of_all_calls_are_measured():
    clf = learn_stream(DynIntClassifier(**SMALL, n_interactions=3))
    contributions = clf.explain(STREAM.X, top=None).pivot_table("contribution", "row", "fields")
    for fields, _, strength in clf.selected_interactions_:
        values = contributions[fields].reindex(range(1200), fill_value=0.0)
        assert strength == pytest.approx(values.std(ddof=0), rel=1e-5)


def test_files_hold_no_rows():
    clf = learn_stream(OptFeatureClassifier(**SMALL))
    stored = pickle.dumps(clf)
    read_everything(clf)
    assert len(pickle.dumps(clf)) == len(stored)
    again = pickle.loads(stored)
    assert isinstance(vars(again)["_measures"], dict)
    again.partial_fit(STREAM.X[:300], STREAM.y[:300])  # begins a sample of its own
    assert len(vars(again)["_measures"].sample.rows()) == 300


def test_two_threads_that_ask_first(monkeypatch):
    clf = learn_stream(DynIntClassifier(**SMALL))
    expected = read_everything(pickle.loads(pickle.dumps(learn_stream(DynIntClassifier(**SMALL)))))
    together = threading.Barrier(2)
    original = CrossMeter.measure

    def measure(self, *args, **options):
        together.wait(60)  # passes only when both are here
        return original(self, *args, **options)

    monkeypatch.setattr(CrossMeter, "measure", measure)
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(read_everything, [clf, clf]):
            for first, second in zip(expected, found, strict=True):
                pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("name", ["selected_interactions_", "keep_rate_"])
def test_an_estimator_without_a_fit_has_no_crosses(cls, name):
    assert not hasattr(cls(), name)
    with pytest.raises(AttributeError, match=f"'{cls.__name__}' object has no attribute '{name}'"):
        getattr(cls(), name)


# Into other programs ---------------------------------------------------------------------

MIXED = pd.DataFrame(
    {
        "mixed": pd.Series([1, "a", None, b"b"] * 50, dtype=object),
        "day": pd.to_datetime(["2020-01-01", "2020-02-29", None, "2021-01-01"] * 50),
        "date": pd.Series([date(2020, 1, 1), None] * 100, dtype=object),
        "amount": np.arange(200) / 7,
        "flag": [True, False] * 100,
        "text": list("abcde") * 40,
    }
)


@pytest.mark.parametrize("cls", CLASSES)
def test_reports_become_parquet_files(cls, tmp_path):
    clf = cls(**SMALL).fit(MIXED, np.arange(200) % 3 % 2)
    tables = [clf.explain(MIXED, top=None, complete=True), clf.interaction_table()]
    for cross in clf.selected_interactions_:
        tables.append(clf.value_effects(cross.fields))
        if cls is OptFeatureClassifier:
            tables.append(clf.selected_values(cross.fields))
    for number, table in enumerate(tables):
        table.to_parquet(tmp_path / f"{number}.parquet")
        again = pd.read_parquet(tmp_path / f"{number}.parquet")
        assert again.columns.tolist() == table.columns.tolist()
        for name in ("fields", "values"):
            if name in table:
                assert again[name].map(tuple).tolist() == table[name].tolist()


def test_bins_are_shown_as_intervals():
    rng = np.random.default_rng(0)
    price = rng.integers(0, 300, 3000) / 100
    frame = pd.DataFrame({"price": price, "shop": rng.choice(list("ab"), 3000)})
    y = (price > 1.5) ^ (frame["shop"] == "a")
    clf = DynIntClassifier(max_epochs=3, embedding_dim=4, random_state=0)
    clf.set_params(encoder=FieldEncoder(n_bins=5), early_stopping=False).fit(frame, y)
    table = clf.value_effects(("shop", "price"))
    assert table["price"].dtype.ordered
    assert len(table["price"].cat.categories) == 5
    sizes = table.groupby("price", observed=True)["count"].sum()
    assert sizes.index.is_monotonic_increasing
    lefts = []
    for name, size in sizes.items():
        left, right = re.fullmatch(r"\((.+), (.+)[\])]", name).groups()
        inside = (float(left) < price) & (price <= float(right))
        assert inside.sum() == size  # all rows of the bin, and no others
        lefts.append(float(left))
    assert lefts == sorted(lefts)
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    display = InteractionDisplay.from_values(clf, ("shop", "price"))
    shown = [label.get_text() for label in display.ax_[0].get_xticklabels()]
    assert shown == list(sizes.index)
    plt.close("all")


# Planted truth ---------------------------------------------------------------------------

PURE_TRIPLE = {"n_samples": 20_000, "n_fields": 6, "cardinality": 6, "crosses": [(0, 1, 2)]}
TWO_TRIPLES = {
    "n_samples": 60_000,
    "n_fields": 8,
    "cardinality": 6,
    "crosses": [(0, 1, 2), (3, 4, 5), (6, 7)],
}


@pytest.mark.parametrize(
    ("clf", "table"),
    [
        (DynIntClassifier(random_state=0), PURE_TRIPLE),
        (DynIntClassifier(random_state=0), TWO_TRIPLES),
        (OptFeatureClassifier(search_epochs=2, random_state=0), PURE_TRIPLE),
        (ProfitClassifier(search_epochs=4, random_state=0), PURE_TRIPLE),
        (
            ProfitClassifier(search_epochs=2, max_epochs=8, predictor="mlp", random_state=0),
            PURE_TRIPLE,
        ),
    ],
    ids=["dynint", "dynint two", "optfeature", "profit", "profit mlp"],
)
def test_a_triple_is_listed_as_what_it_is_and_not_as_its_pairs(clf, table):
    clicks = make_clicks(**table, cross_effect=1.5, random_state=0)
    clf.fit(clicks.X, clicks.y)
    found = {cross.fields: cross.strength for cross in clf.selected_interactions_}
    planted = [found.pop(fields) for fields in clicks.crosses]
    # The net learns a part of the planted effect, of standard deviation 1.5.
    assert all(1.0 < strength < 1.6 for strength in planted)
    assert max(found.values()) < 0.4 * min(planted)

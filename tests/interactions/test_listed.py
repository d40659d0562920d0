"""Crosses without a search: which are listed, and how they become columns."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.preprocessing import TargetEncoder

from sparsectr import DynIntRegressor, Interaction, InteractionFeatures, ListedInteractions


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.integers(0, 3, (60, 4)).astype(str), columns=list("dacb"))


def fields_of(lister, X):
    return [cross.fields for cross in lister.fit(X).selected_interactions_]


def test_lists_all_pairs_in_column_order(table):
    expected = [("d", "a"), ("d", "c"), ("d", "b"), ("a", "c"), ("a", "b"), ("c", "b")]
    assert fields_of(ListedInteractions(), table) == expected


@pytest.mark.parametrize(("max_order", "n"), [(2, 6), (3, 10), (4, 11), (9, 11)])
def test_lists_every_set_of_fields_once(table, max_order, n):
    listed = fields_of(ListedInteractions(max_order=max_order), table)
    assert len(listed) == len(set(listed)) == n
    assert [len(fields) for fields in listed] == sorted(len(fields) for fields in listed)


def test_lists_what_it_is_given(table):
    lister = ListedInteractions([("b", "d"), {"c", "a", "b"}])
    assert fields_of(lister, table) == [("d", "b"), ("a", "c", "b")]
    assert all(math.isnan(cross.strength) for cross in lister.selected_interactions_)


def test_columns_without_names(table):
    assert fields_of(ListedInteractions(), table.to_numpy()[:, :2]) == [("x0", "x1")]


def test_one_column_has_no_cross(table):
    assert fields_of(ListedInteractions(), table[["a"]]) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("a",)], r"two or more different fields, got \('a',\)"),
        ([("a", "a")], "two or more different fields"),
        (["ab"], "every cross of interactions must be a list of names of fields, .* got 'ab'"),
        (("a", "b"), "every cross of interactions must be a list of names"),
        ([1], "every cross of interactions must be a list of names .* got 1"),
        ([("a", 1)], r"got \('a', 1\)"),
        ([["a", ["b"]]], r"got \['a', \['b'\]\]"),
        (1, "interactions must be None or a list of crosses, .* got 1"),
        ("ab", "interactions must be None or a list of crosses"),
        (iter([("a", "b")]), "interactions must be None or a list of crosses"),
        ([("a", "z")], r"columns \['z'\] of a cross"),
    ],
)
def test_what_is_no_cross(table, given, message):
    with pytest.raises(ValueError, match=message):
        ListedInteractions(given).fit(table)


def test_crosses_of_a_classifier_can_be_listed(table):
    crosses = [Interaction(("c", "a"), 2, 0.5), Interaction(("b", "c"), 2, 0.25)]
    listed = clone(ListedInteractions(crosses)).fit(table).selected_interactions_
    assert [cross.fields for cross in listed] == [("a", "c"), ("c", "b")]


def test_max_order_is_checked(table):
    with pytest.raises(ValueError, match="max_order must be an int >= 2, got 1"):
        ListedInteractions(max_order=1).fit(table)


def test_all_of_them_become_columns(table):
    y = np.arange(len(table)) % 2
    features = InteractionFeatures(
        ListedInteractions(max_order=3), n_interactions=None, encoder="codes", keep_original=False
    )
    codes = features.fit_transform(table, y)
    assert codes.shape == (60, 10)
    assert list(features.get_feature_names_out()[:2]) == ["d × a", "d × c"]
    # Two rows have the same code exactly if they have the same values.
    joined = table["d"] + "," + table["a"] + "," + table["c"]
    column = codes[:, list(features.get_feature_names_out()).index("d × a × c")]
    assert (pd.factorize(column)[0] == pd.factorize(joined)[0]).all()


@pytest.mark.parametrize("form", [np.asarray, list, lambda y: pd.Series(y, dtype=object)])
def test_numbers_with_fractions_are_numbers(table, form):
    y = np.random.default_rng(1).normal(size=len(table))
    features = InteractionFeatures(ListedInteractions([("d", "a")]), cv=3, random_state=0)
    columns = features.fit_transform(table, form(y))
    assert columns.shape == (60, 5)
    pair = (table["d"] + table["a"]).to_frame()
    encoder = TargetEncoder(target_type="continuous")
    for train, test in KFold(3, shuffle=True, random_state=0).split(pair):
        encoder.fit(pair.iloc[train], y[train])
        np.testing.assert_allclose(columns[test, 4], encoder.transform(pair.iloc[test])[:, 0])
    np.testing.assert_allclose(
        features.transform(table)[:, 4], encoder.fit(pair, y).transform(pair)[:, 0]
    )


@pytest.mark.parametrize("dtype", [int, float])
def test_counts_are_numbers_on_request(table, dtype):
    y = np.random.default_rng(1).poisson(2.0, len(table)).astype(dtype)
    lister = ListedInteractions([("d", "a")])
    classes = InteractionFeatures(lister, random_state=0).fit(table, y)
    assert classes.transform(table).shape == (60, 5 * len(np.unique(y)))
    numbers = InteractionFeatures(lister, target_type="numbers", random_state=0).fit(table, y)
    assert numbers.transform(table).shape == (60, 5)
    expected = InteractionFeatures(lister, random_state=0).fit(table, y + 1e-9).transform(table)
    np.testing.assert_allclose(numbers.transform(table), expected)


@pytest.mark.parametrize("target_type", ["classes", "continuous"])
def test_a_target_type_must_be_that_of_the_estimator(table, target_type):
    features = InteractionFeatures(DynIntRegressor(), target_type=target_type)
    with pytest.raises(ValueError, match="target_type must be"):
        features.fit(table, np.arange(60.0))


def test_fractions_are_no_classes(table):
    features = InteractionFeatures(ListedInteractions(), target_type="classes")
    with pytest.raises(ValueError, match=r"must hold class labels, got numbers such as 0\.5"):
        features.fit(table, np.arange(60) / 2)

"""What fitted classifiers tell of the evidence for their crosses."""

import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
from planted_tables import TablePlan, draw_table
from public import CLASSIFIERS
from scipy.stats import norm

from sparsectr import (
    DynIntClassifier,
    InteractionFeatures,
    ListedInteractions,
)

PLAN = TablePlan(
    n_rows=12_000, n_fields=5, crosses={(0, 1): 0.9, (2, 3): 0.5}, copies=(0,), n_numeric=1
)
TABLE = draw_table(PLAN, 0)
QUICK = {"max_epochs": 5, "embedding_dim": 8, "n_interactions": 8, "random_state": 0}


@cache
def fit(cls):
    return pickle.loads(pickle.dumps(cls(**QUICK).fit(TABLE.X, TABLE.y)))


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_planted_crosses_are_significant_and_no_others(cls):
    table = fit(cls).interaction_table()
    significant = table.loc[table["significant"], "fields"].tolist()
    assert set(TABLE.crosses) & set(significant)
    assert all(TABLE.is_true(fields) for fields in significant)
    assert (table.loc[table["significant"], "evidence"] > 5).all()
    assert table["significant"].dtype == bool
    assert table["evidence"].dtype == np.float64


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_a_significant_cross_is_listed_or_missed(cls):
    clf = fit(cls)
    missed = clf.missed_interactions()
    assert list(missed) == ["fields", "order", "evidence"]
    listed = {cross.fields for cross in clf.selected_interactions_}
    assert not listed & set(missed["fields"])
    table = clf.interaction_table()
    found = listed & set(table.loc[table["significant"], "fields"]) | set(missed["fields"])
    assert found >= set(TABLE.crosses)
    stored, names = clf._explanation().measures["evidence"], clf._fields().names
    assert found == {tuple(names[f] for f in fields) for fields in stored.significant(0.05)}


def test_a_net_that_lists_nothing_else_misses_the_rest():
    clf = DynIntClassifier(**QUICK | {"n_interactions": 1}).fit(TABLE.X, TABLE.y)
    missed = clf.missed_interactions()
    assert len(missed) == 2
    assert missed["order"].tolist() == [2, 2]
    assert missed["evidence"].is_monotonic_decreasing


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_a_copy_of_a_field_is_told(cls):
    table = fit(cls).interaction_table().set_index("fields")
    pairs = [
        tuple(name for name in TABLE.X.columns if name in {first, "f1"})
        for first in ("f0", "copy_f0")
    ]
    strengths = [table["strength"].get(pair, 0.0) for pair in pairs]
    assert max(strengths) > 0.3
    if min(strengths) > 0.1:
        assert pairs[1] in table.at[pairs[0], "shares_with"]
        assert pairs[0] in table.at[pairs[1], "shares_with"]
    alone = tuple(name for name in TABLE.X.columns if name in {"f2", "f3"})
    assert not {*pairs} & {*table.at[alone, "shares_with"]}


def test_any_rate_can_be_asked_for_without_another_fit():
    clf = fit(DynIntClassifier)
    table = clf.interaction_table()
    strict, loose = (clf.interaction_table(fdr=fdr) for fdr in (1e-12, 0.999))
    assert strict["significant"].sum() <= table["significant"].sum() <= loose["significant"].sum()
    surest = table["evidence"].max()
    least = norm.sf(surest) * 21 * sum(1 / k for k in range(1, 22))  # of 21 pairs
    assert clf.interaction_table(fdr=2 * least)["significant"].any()
    for wrong in (0, 1, -0.1, "0.05", None):
        with pytest.raises(ValueError, match="fdr must be a number > 0 and < 1"):
            clf.interaction_table(fdr=wrong)
        with pytest.raises(ValueError, match="fdr must be a number > 0 and < 1"):
            clf.missed_interactions(fdr=wrong)


def test_parts_of_a_stream_have_no_evidence():
    clf = DynIntClassifier(**QUICK).partial_fit(TABLE.X, TABLE.y, classes=[0, 1])
    table = clf.interaction_table()
    assert len(table)
    assert table["evidence"].isna().all()
    assert not table["significant"].any()
    assert not len(clf.missed_interactions())
    clf = DynIntClassifier(**QUICK).fit(TABLE.X, TABLE.y)
    assert clf.interaction_table()["evidence"].notna().any()
    clf.partial_fit(TABLE.X, TABLE.y)
    assert clf.interaction_table()["evidence"].isna().all()


def test_without_a_list_nothing_is_tested():
    clf = DynIntClassifier(**QUICK | {"n_interactions": 0}).fit(TABLE.X, TABLE.y)
    assert not len(clf.interaction_table())
    assert not len(clf.missed_interactions())


@pytest.mark.parametrize("fdr", [0.05, 1e-300])
def test_features_are_made_of_significant_crosses(fdr):
    clf = fit(DynIntClassifier)
    features = InteractionFeatures(clf, prefit=True, fdr=fdr, n_interactions=None)
    features.fit(TABLE.X, TABLE.y)
    table = clf.interaction_table(fdr=fdr)
    expected = table.loc[table["significant"], "fields"].tolist()
    assert [cross.fields for cross in features.interactions_] == expected
    assert len(expected) == 0 if fdr < 0.01 else len(expected) >= 2
    best = InteractionFeatures(clf, prefit=True, fdr=0.05, n_interactions=1).fit(TABLE.X, TABLE.y)
    assert [cross.fields for cross in best.interactions_] == clf.interaction_table().query(
        "significant"
    )["fields"].tolist()[:1]


def test_features_need_evidence_for_a_rate():
    with pytest.raises(ValueError, match="fdr needs an estimator that tells the evidence"):
        InteractionFeatures(ListedInteractions(), fdr=0.05).fit(TABLE.X, TABLE.y)
    clf = DynIntClassifier(**QUICK).partial_fit(TABLE.X, TABLE.y, classes=[0, 1])
    with pytest.raises(ValueError, match="fdr needs evidence, and partial_fit gives none"):
        InteractionFeatures(clf, prefit=True, fdr=0.05, n_interactions=8).fit(TABLE.X, TABLE.y)
    for wrong in (0, 2, "auto"):
        clf = fit(DynIntClassifier)
        features = InteractionFeatures(clf, prefit=True, fdr=wrong, n_interactions=8)
        with pytest.raises(ValueError, match="fdr must be None or a number > 0 and < 1"):
            features.fit(TABLE.X, TABLE.y)
    assert isinstance(fit(DynIntClassifier).missed_interactions(), pd.DataFrame)

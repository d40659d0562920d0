"""Classifiers that see a number in several columns of codes, and tell of fields all the same."""

import pickle

import numpy as np
import pandas as pd
import pytest
from public import CLASSIFIERS
from scipy.special import expit, logit

from sparsectr import FieldEncoder, InteractionFeatures, screen_interactions

N_ROWS = 3_000
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "city": RNG.choice(["Oslo", "Bergen", "Bodo"], N_ROWS),
        "age": RNG.integers(18, 98, N_ROWS),
        "amount": RNG.lognormal(size=N_ROWS).round(2),
        "shop": RNG.integers(1, 9, N_ROWS),
    }
)
LOG_ODDS = np.where(FRAME["city"] == "Oslo", 3.0, -3.0) * (FRAME["age"] / 40 - 1.4)
Y = RNG.random(N_ROWS) < expit(LOG_ODDS)


@pytest.fixture(scope="module", params=CLASSIFIERS)
def model(request):
    return request.param(max_epochs=4, random_state=0).fit(FRAME, Y)


def test_fields_are_what_the_user_has_passed(model):
    assert model.n_features_in_ == 4
    assert model.encoder_.code_fields_.tolist() == [0, 1, 1, 1, 2, 2, 2, 3]
    assert len(model.encoder_.unknown_share(FRAME)) == 4


def test_crosses_are_of_different_fields(model):
    fields = [cross.fields for cross in model.selected_interactions_]
    assert fields[0] == ("city", "age")
    assert len(set(fields)) == len(fields)
    assert all(1 < len(set(cross)) == len(cross) <= 4 for cross in fields)
    assert set(np.concatenate(fields)) <= set(FRAME)
    table = model.interaction_table()
    assert table["fields"].is_unique


def test_contributions_sum_to_the_log_odds(model):
    rows = FRAME.head(40)
    entries = model.explain(rows, top=None, complete=True)
    assert {field for fields in entries["fields"] for field in fields} <= set(FRAME)
    totals = entries.groupby("row")["contribution"].sum()
    np.testing.assert_allclose(totals, logit(model.predict_proba(rows)[:, 1]), atol=1e-6)


def test_values_of_numbers_are_intervals(model):
    effects = model.value_effects(("city", "age"))
    assert isinstance(effects["age"].dtype, pd.CategoricalDtype)
    assert effects["age"].iloc[0].startswith("(")
    assert effects["count"].sum() <= N_ROWS


def test_copies_predict_the_same(model):
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(FRAME), model.predict_proba(FRAME))


def test_other_models_get_one_column_per_field(model):
    features = InteractionFeatures(model, encoder="codes", n_interactions=1, prefit=True)
    columns = features.fit_transform(FRAME, Y)
    assert features.get_feature_names_out().tolist() == [*FRAME, "city × age"]
    # Integers are categories there.
    assert len(np.unique(columns[:, 1])) == 80
    assert len(screen_interactions(model, FRAME, Y)) == 6


def test_neighbouring_numbers_are_alike():
    """With the numbers as categories, a dozen rows per age tell little of each."""
    told = {"random_state": 0, "max_epochs": 10}
    held_out = slice(2_000, None)
    losses = []
    for encoder in ("auto", FieldEncoder(numeric_columns="one")):
        clf = CLASSIFIERS[0](encoder=encoder, **told).fit(FRAME[:1_000], Y[:1_000])
        p, true = clf.predict_proba(FRAME[held_out])[:, 1], expit(LOG_ODDS[held_out])
        losses.append(-np.mean(true * np.log(p) + (1 - true) * np.log(1 - p)))
    assert losses[0] < losses[1] - 0.01

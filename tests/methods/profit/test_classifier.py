"""The PROFIT classifier: planted crosses, options, and what it refuses."""

import pickle
from math import comb

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import log_loss

from sparsectr.datasets import make_clicks
from sparsectr.methods.profit.classifier import ProfitClassifier
from sparsectr.methods.profit.net import ProfitConfig, ProfitNet

# Quick fits: these tests are about more than accuracy.
QUICK = {"search_epochs": 2, "max_epochs": 2, "embedding_dim": 4, "random_state": 0}


@pytest.fixture(scope="module")
def small():
    return make_clicks(2_000, n_fields=5, cardinality=8, random_state=0)


def fields(cross):
    return tuple(f"f{f}" for f in cross)


class Oracle(ProfitClassifier):
    """The kept net with the planted crosses, without a search."""

    crosses = ((0, 1), (1, 2), (3, 4), (2, 5, 6), (7, 8, 9))

    def _train_net(self, task, net):
        length = self._embedding_length(task.train.n_lookups, sum(task.vocabulary_sizes))
        net = ProfitNet(task.vocabulary_sizes, length, 1, ProfitConfig(self.crosses))
        net.reset_parameters(task.new_generator(), task.prior_logits())
        return net, self._retrain(task, net, self.optimizer)


@pytest.fixture(scope="module")
def planted():
    """60,000 rows, 12 fields, three pairs and two triples without traces in lower orders."""
    crosses = [(0, 1), (1, 2), (3, 4), (2, 5, 6), (7, 8, 9)]
    clicks = make_clicks(70_000, 12, 30, crosses=crosses, random_state=0)
    train, test = slice(0, 60_000), slice(60_000, None)
    clf = ProfitClassifier(max_order=3, n_crosses={2: 3, 3: 5}, space="cp", random_state=0)
    clf.fit(clicks.X[train], clicks.y[train])
    return clicks, clf, train, test


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_training_alone_comes_near_the_share_of_a_rare_class(class_weight, monkeypatch):
    monkeypatch.setattr("sparsectr.training.shrinkage.fit_intercept", lambda *_: None)
    clicks = make_clicks(20_000, 4, 30, crosses=[(0, 1)], base_rate=1 / 400, random_state=0)
    clf = Oracle(class_weight=class_weight, random_state=0)
    clf.crosses = ((0, 1),)
    clf.fit(clicks.X, clicks.y)
    weights = np.ones(20_000)
    if class_weight:
        weights[clicks.y == 1] = 1 / clicks.y.mean() - 1
    mean = weights @ clf.predict_proba(clicks.X)[:, 1] / weights.sum()
    assert mean == pytest.approx(weights @ clicks.y / weights.sum(), rel=0.2)


def test_planted_crosses_without_traces_are_found(planted):
    clicks, clf, _, _ = planted
    table = clf.interaction_table()
    pairs = set(table[table["order"] == 2]["fields"])
    triples = set(table[table["order"] == 3]["fields"])
    assert pairs == {cross for cross in clicks.crosses if len(cross) == 2}
    assert {cross for cross in clicks.crosses if len(cross) == 3} <= triples
    strongest = {cross.fields for cross in clf.selected_interactions_[:5]}
    assert strongest == set(clicks.crosses)


def test_the_kept_net_is_nearly_as_good_as_one_that_is_told_the_crosses(planted):
    clicks, clf, train, test = planted
    oracle = Oracle(max_order=3, random_state=0).fit(clicks.X[train], clicks.y[train])
    found, best = (
        log_loss(clicks.y[test], model.predict_proba(clicks.X[test])) for model in (clf, oracle)
    )
    assert found < 1.03 * best


def test_strengths_are_those_of_the_planted_effects(planted):
    clicks, clf, _, _ = planted
    strength = {cross.fields: cross.strength for cross in clf.selected_interactions_}
    for cross, effect in zip(clicks.crosses, clicks.cross_log_odds.T, strict=True):
        assert strength[cross] == pytest.approx(effect.std(), rel=0.25)
    others = [s for cross, s in strength.items() if cross not in clicks.crosses]
    assert max(others) < 0.3


def test_the_table_agrees_with_the_net(planted):
    _, clf, _, _ = planted
    table = clf.interaction_table()
    assert list(table.columns) == [
        "fields", "order", "strength", "evidence", "significant", "active_share",
        "strength_error", "shares_with", "rank", "weight", "contribution", "phase",
    ]  # fmt: skip
    table = table.sort_values(["order", "rank"])
    assert table["order"].tolist() == [2] * 3 + [3] * 5
    assert table["rank"].tolist() == [1, 2, 3, 1, 2, 3, 4, 5]
    for _, group in table.groupby("order"):
        assert group["contribution"].is_monotonic_decreasing
    assert set(table["phase"]) <= {"screening", "search"}
    assert {cross.fields for cross in clf.selected_interactions_} == set(table["fields"])
    phases = [record["phase"] for record in clf.history_]
    assert phases == sorted(phases, key=["search", "retrain"].index)
    assert clf.search_history_ == [r for r in clf.history_ if r["phase"] == "search"]
    assert [beta.shape for beta in clf.architecture_] == [(4, 12)] * 3
    assert clf.n_parameters_["architecture"] == len(table)


@pytest.mark.parametrize("space", ["cp", "full"])
def test_the_architecture_tensor_holds_the_weights_of_the_kept_crosses(small, space):
    clf = ProfitClassifier(space=space, ranking="weight", **QUICK).fit(small.X, small.y)
    names = clf.encoder_.get_feature_names_out().tolist()
    for cross in clf.crosses_:
        tensor = clf.architecture_tensor(cross["order"])
        place = tuple(names.index(name) for name in cross["fields"])
        assert tensor[place] == pytest.approx(cross["weight"], rel=1e-6)
    with pytest.raises(ValueError, match="order must be an int >= 1 and <= 3"):
        clf.architecture_tensor(4)


def test_epochs_of_the_search_by_order(small):
    epochs = {1: 2, 2: 1, 3: 2}
    clf = ProfitClassifier(**QUICK | {"search_epochs": epochs, "search_patience": 5})
    clf.fit(small.X, small.y)
    searched = [record["order"] for record in clf.search_history_]
    assert {order: searched.count(order) for order in epochs} == epochs
    with pytest.raises(ValueError, match="search_epochs must name every order from 1 to 3"):
        clf.set_params(search_epochs={1: 2, 2: 1}).fit(small.X, small.y)
    with pytest.raises(ValueError, match=r"search_epochs\[1\] must be an int >= 1"):
        clf.set_params(search_epochs={1: 0}).fit(small.X, small.y)


def test_the_kept_net_starts_where_its_optimizer_wants(small):
    def probabilities(**changes):
        clf = ProfitClassifier(n_crosses=3, **QUICK, **changes)
        return clf.fit(small.X, small.y).predict_proba(small.X)

    # Fresh embeddings for Adagrad, searched ones for Adam, which takes over where they are given.
    fresh = probabilities(optimizer="adagrad")
    searched = probabilities(optimizer="adam")
    again = probabilities(optimizer="adagrad", retrain_from="scratch")
    np.testing.assert_array_equal(again, fresh)
    for name in ("adam", "adagrad"):
        again = probabilities(optimizer=name, retrain_from="search")
        np.testing.assert_array_equal(again, searched)
    others = fresh, probabilities(optimizer="adam", retrain_from="scratch")
    assert all(np.abs(other - searched).max() > 0.01 for other in others)


@pytest.mark.parametrize("space", ["cp", "full"])
@pytest.mark.parametrize("coupling", ["symmetric", "stacked"])
@pytest.mark.parametrize("search", ["progressive", "one_step", "random"])
def test_every_search_keeps_the_wanted_numbers(small, space, coupling, search):
    clf = ProfitClassifier(
        max_order=3,
        n_crosses={2: 4, 3: 2},
        space=space,
        coupling=coupling,
        search=search,
        **QUICK,
    )
    clf.fit(small.X, small.y)
    assert sorted(clf.interaction_table()["order"]) == [2, 2, 2, 2, 3, 3]


LENGTHS = [
    ({}, 1_200, 32),
    ({}, 900, 16),
    ({"predictor": "mlp"}, 1_200, 16),
    ({"embedding_dim": 8}, 1_200, 8),
]


@pytest.mark.parametrize(("parameters", "n_rows", "length"), LENGTHS)
def test_embeddings_are_long_where_values_are_frequent(parameters, n_rows, length):
    # 3 fields of 8 values, and 2 codes more for unknown and missing ones: 30 codes.
    clicks = make_clicks(n_rows, 3, 8, crosses=[(0, 1)], random_state=0)
    options = {"search_epochs": 1, "max_epochs": 1, "early_stopping": False, "random_state": 0}
    clf = ProfitClassifier(**options | parameters).fit(clicks.X, clicks.y)
    assert clf._fitted_net().embedding.weight.shape == (30, length)
    assert clf.embedding_dim_ == length


@pytest.mark.parametrize(
    ("n_fields", "n_crosses", "orders"),
    [
        (2, "auto", [2]),
        (3, "auto", [2, 3]),
        (5, {2: 3}, [2, 2, 2]),
        (5, {2: 0, 3: 1, 4: 2}, [3, 4, 4]),
        (4, 5, [2] * 5 + [3] * 4),  # all of the four triples
    ],
)
def test_the_largest_order_follows_the_table_and_the_wanted_numbers(n_fields, n_crosses, orders):
    clicks = make_clicks(600, n_fields, 4, crosses=[(0, 1)], random_state=0)
    clf = ProfitClassifier(n_crosses=n_crosses, **QUICK).fit(clicks.X, clicks.y)
    assert sorted(clf.interaction_table()["order"]) == orders


@pytest.mark.parametrize("predictor", ["linear", "mlp"])
@pytest.mark.parametrize("retrain_from", ["search", "scratch"])
@pytest.mark.parametrize("ranking", ["contribution", "weight"])
def test_all_pairs_are_kept_if_wanted(small, predictor, retrain_from, ranking):
    clf = ProfitClassifier(
        n_crosses={2: 10}, predictor=predictor, retrain_from=retrain_from, ranking=ranking, **QUICK
    )
    clf.fit(small.X, small.y)
    assert len(clf.selected_interactions_) == comb(5, 2)
    assert log_loss(small.y, clf.predict_proba(small.X)) < 0.69


@pytest.mark.parametrize("how", ["learn", "fixed", "ones"])
def test_weights_of_the_kept_crosses(small, how):
    clf = ProfitClassifier(n_crosses=3, retrain_weights=how, **QUICK).fit(small.X, small.y)
    weights = clf._fitted_net().architecture.weight.detach().numpy()
    searched = np.float32([cross["weight"] for cross in clf.crosses_])
    expected = np.ones_like(searched) if how == "ones" else searched
    # The factor of all effects multiplies them at the end.
    ratios = weights / expected
    assert np.allclose(ratios, ratios[0], rtol=1e-6, atol=0) == (how != "learn")


def test_repeats_are_for_the_distilled_space(small):
    clf = ProfitClassifier(space="cp", repeats=True, n_crosses=2, **QUICK).fit(small.X, small.y)
    assert [cross["order"] for cross in clf.crosses_] == [2, 2, 3, 3]


def test_screening_can_be_switched_off(small):
    clf = ProfitClassifier(space="cp", screening=None, **QUICK).fit(small.X, small.y)
    assert set(clf.interaction_table()["phase"]) == {"search"}


@pytest.mark.parametrize("predictor", ["linear", "mlp"])
def test_several_classes(predictor):
    clicks = make_clicks(3_000, 4, 6, crosses=[(0, 1)], main_effect=0.0, random_state=0)
    y = np.digitize(clicks.log_odds, np.quantile(clicks.log_odds, [1 / 3, 2 / 3]))
    clf = ProfitClassifier(n_crosses=1, predictor=predictor, random_state=0).fit(clicks.X, y)
    assert clf.selected_interactions_[0].fields == ("f0", "f1")
    assert log_loss(y, clf.predict_proba(clicks.X)) < 0.7


def test_a_stored_model_predicts_the_same(small):
    clf = ProfitClassifier(predictor="mlp", dropout=0.1, **QUICK).fit(small.X, small.y)
    copy = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(copy.predict_proba(small.X), clf.predict_proba(small.X))
    pd.testing.assert_frame_equal(copy.interaction_table(), clf.interaction_table())


def test_a_warm_start_trains_the_kept_crosses_further(small):
    clf = ProfitClassifier(warm_start=True, **QUICK).fit(small.X, small.y)
    kept = clf.crosses_
    clf.fit(small.X, small.y)
    assert clf.crosses_ == kept
    assert clf.history_[-1]["phase"] == "retrain"


def test_partial_fit_searches_once(small):
    clf = ProfitClassifier(**QUICK)
    clf.partial_fit(small.X, small.y, classes=[0, 1])
    kept = clf.crosses_
    clf.partial_fit(small.X, small.y)
    assert clf.crosses_ == kept


def test_prediction_cost_follows_the_kept_crosses(small):
    clf = ProfitClassifier(n_crosses={2: 2}, space="cp", **QUICK).fit(small.X, small.y)
    layer = clf._fitted_net().architecture.products
    rows = sum(len(layer.get_buffer(f"fields_{level}")) for level in (1, 2))
    assert rows <= 2 * 2


def test_embeddings_stay_far_from_denormal_numbers(small):
    clf = ProfitClassifier(max_order=3, **QUICK).fit(small.X, small.y)
    net = clf._fitted_net()
    codes = torch.from_numpy(clf.encoder_.transform(small.X))
    products = net.architecture(net.embedding(codes)).abs()
    assert not ((products > 0) & (products < torch.finfo(torch.float32).tiny)).any()


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"max_order": 6}, "max_order must be at most the number of fields, n_features = 5"),
        ({"max_order": 1}, "max_order must be 'auto' or an int >= 2"),
        ({"n_crosses": 11}, "n_crosses must be at most the number of sets of order 2, 10"),
        ({"n_crosses": {3: 1}}, "n_crosses must have the keys"),
        ({"n_crosses": {}}, "n_crosses must have the keys"),
        ({"n_crosses": {2: 1, 6: 1}}, "max_order must be at most the number of fields"),
        ({"rank": 0}, "rank must be an int >= 1"),
        ({"search_fraction": 1.0}, "search_fraction must be a number > 0 and < 1"),
        ({"screening": "residuals"}, "screening must be one of"),
        ({"space": "tucker"}, "space must be one of"),
    ],
)
def test_impossible_parameters_are_refused(small, parameters, match):
    with pytest.raises(ValueError, match=match):
        ProfitClassifier(**parameters).fit(small.X, small.y)


def test_a_search_part_of_one_class_is_refused(small):
    y = np.zeros(len(small.y), dtype=int)
    y[0] = 1
    with pytest.raises(ValueError, match="both parts of the search must hold at least two classes"):
        ProfitClassifier(early_stopping=False).fit(small.X, y)

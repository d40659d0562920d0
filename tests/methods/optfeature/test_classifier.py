import itertools
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import log_loss, roc_auc_score

from sparsectr.datasets import make_clicks
from sparsectr.methods.optfeature.classifier import OptFeatureClassifier
from sparsectr.methods.optfeature.search import GateStep, make_selection_optimizers
from sparsectr.rows.labelled import LabelledRows
from sparsectr.rows.memory import MemoryRows
from sparsectr.training.loop import Schedule
from sparsectr.training.task import TrainingTask

SMALL = {
    "embedding_dim": 4,
    "selection_dim": 4,
    "selection_rank": 8,
    "hidden_units": (8,),
    "max_epochs": 3,
    "random_state": 0,
}


def make_data(n=600, **options):
    return make_clicks(n, 4, 6, crosses=[(0, 1)], cross_effect=1.5, random_state=0, **options)


@pytest.fixture(scope="module")
def fitted():
    clicks = make_data()
    clf = OptFeatureClassifier(granularity="hybrid", search_epochs=3, **SMALL)
    return clf.set_params(selection_learning_rate=0.05).fit(clicks.X, clicks.y), clicks


class Silent:
    def watch(self, batches, n_rows):
        return batches

    def begin_epoch(self, net):
        pass

    def end_epoch(self, net, record):
        return False


def make_task(n=200, seed=0):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(6, (n, 4), generator=generator, dtype=torch.int32)
    targets = torch.randint(2, (n,), generator=generator).float()
    rows = LabelledRows(MemoryRows(codes), targets, torch.ones(n))
    seeds = np.random.SeedSequence(seed)
    return TrainingTask(rows, None, (6,) * 4, 1, Schedule(50, 2), None, Silent(), seeds)


def make_trainable(granularity="hybrid"):
    clf = OptFeatureClassifier(granularity=granularity, **SMALL)
    task = make_task()
    net = clf._make_net(task)
    net.reset_weights(task.new_generator())
    net.reset_selection(task.new_generator())
    return clf, task, net


def split_state(net):
    """Copy the state, as weights and as selection."""
    state = {name: value.clone() for name, value in net.state_dict().items()}
    table = state.pop("embedding.weight")
    weights = {name: value for name, value in state.items() if name.startswith("mlp")}
    selection = {name: value for name, value in state.items() if name.startswith("selections")}
    width = net.widths[0]
    return weights | {"table": table[:, :width]}, selection | {"table": table[:, width:]}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("granularity", ["field", "value", "hybrid"])
def test_a_gate_step_leaves_the_weights_and_a_weight_step_the_gates(granularity):
    clf, task, net = make_trainable(granularity)
    rates = clf.selection_learning_rate, clf.alpha_learning_rate
    train_gates = GateStep(task, net, task.train, make_selection_optimizers(net, *rates), None)
    one_epoch = replace(task, schedule=replace(task.schedule, max_epochs=1))
    # Twice: the second time, all optimizers have moments that could move what rests.
    for _ in range(2):
        weights, selection = split_state(net)
        for _ in range(3):
            train_gates(next(train_gates.batches))
        after = split_state(net)
        assert same(weights, after[0])
        assert not same(selection, after[1])
        clf._train_weights(one_epoch, net, "search")
        last = split_state(net)
        assert same(after[1], last[1])
        assert not same(after[0], last[0])


@pytest.mark.parametrize("granularity", ["field", "value", "hybrid"])
def test_retraining_leaves_the_selection_alone(granularity, monkeypatch):
    seen = []
    train_weights = OptFeatureClassifier._train_weights

    def spy(self, task, net, phase, *args, **options):
        if phase == "search":
            return train_weights(self, task, net, phase, *args, **options)
        codes = task.train.source.read(0, 40)
        seen.append((split_state(net)[1], net.chosen_gates(net.look_up(codes)[1])))
        history = train_weights(self, task, net, phase, *args, **options)
        seen.append((split_state(net)[1], net.chosen_gates(net.look_up(codes)[1])))
        return history

    monkeypatch.setattr(OptFeatureClassifier, "_train_weights", spy)
    clicks = make_data()
    OptFeatureClassifier(granularity=granularity, **SMALL).fit(clicks.X, clicks.y)
    (before, gates), (after, same_gates) = seen
    assert same(before, after)
    assert torch.equal(gates, same_gates)


@pytest.mark.parametrize(
    ("retrain_init", "is_start"), [("init", True), ("random", False), ("search", False)]
)
def test_where_the_retraining_starts(retrain_init, is_start, monkeypatch):
    tables = {}
    train_weights = OptFeatureClassifier._train_weights

    def spy(self, task, net, phase, *args, **options):
        tables[phase, "start"] = net.embedding.weight[:, :4].detach().clone()
        history = train_weights(self, task, net, phase, *args, **options)
        tables[phase, "end"] = net.embedding.weight[:, :4].detach().clone()
        return history

    monkeypatch.setattr(OptFeatureClassifier, "_train_weights", spy)
    clicks = make_data()
    clf = OptFeatureClassifier(retrain_init=retrain_init, **SMALL).fit(clicks.X, clicks.y)
    assert clf.n_iter_ == 6
    start = tables["retrain", "start"]
    assert torch.equal(start, tables["search", "start"]) == is_start
    # Codes 2 and up have training rows; codes without one were filled after the search.
    rows = [offset + code for offset in range(0, 32, 8) for code in range(2, 8)]
    assert torch.equal(start[rows], tables["search", "end"][rows]) == (retrain_init == "search")


@pytest.mark.parametrize("search", ["bilevel", "joint", "paper"])
@pytest.mark.parametrize("combine", ["paper", "raw"])
def test_every_way_of_searching_runs(search, combine):
    clicks = make_data()
    clf = OptFeatureClassifier(granularity="hybrid", search=search, combine=combine, **SMALL)
    clf.fit(clicks.X, clicks.y)
    assert {record["phase"] for record in clf.history_} == {"search", "retrain"}


@pytest.mark.parametrize(
    "options",
    [{"orders": (3,)}, {"orders": (2, 3)}, {"orders": (2, 3, 4)}, {"operator": "outer"}],
)
def test_every_kind_of_cross_runs(options):
    clicks = make_data()
    clf = OptFeatureClassifier(**options, **SMALL).fit(clicks.X, clicks.y)
    expected = {order: {2: 6, 3: 4, 4: 1}[order] for order in options.get("orders", (2,))}
    assert clf.gate(clicks.X).shape == (600, sum(expected.values()))
    table = clf.interaction_table()
    gated = table[table["keep_rate"].notna()]  # others are crosses of hidden units
    assert gated["order"].value_counts().to_dict() == expected


def test_the_search_of_the_paper_scales_crosses_by_their_gates_alone():
    """No levels, no price, no waiting: the gradient is that of the printed objective."""
    _, task, net = make_trainable()
    optimizers = make_selection_optimizers(net, 1e-3, 1e-3, as_in_paper=True)
    gates = GateStep(task, net, task.train, optimizers, None, as_in_paper=True)
    assert len(next(gates.beside(100))) == 1
    rows = torch.arange(50)
    batch = task.train.take(rows)
    trained = [net.selections[0].alpha, net.selections[0].field_vectors]
    expected = torch.autograd.grad(batch.mean_loss(net(batch.codes)), trained)
    gates(rows)
    found = [parameter.grad for parameter in trained]
    torch.testing.assert_close(found, list(expected))
    assert {group["lr"] for group in optimizers[0].param_groups} == {1e-3}


@pytest.mark.parametrize(("share", "granularity"), [(0.2, "value"), (0.7, "field")])
def test_a_fixed_share_of_the_field_gate(share, granularity):
    clicks = make_data()
    clf = OptFeatureClassifier(granularity="hybrid", field_share=share, **SMALL)
    clf.fit(clicks.X, clicks.y)
    np.testing.assert_allclose(clf.alpha_, np.log(share / (1 - share)), rtol=1e-6)
    gated = clf.interaction_table().dropna(subset="keep_rate")
    assert set(gated["granularity"]) == {granularity}


@pytest.mark.parametrize("granularity", ["field", "value", "hybrid"])
def test_the_history_of_the_search_follows_the_gates(granularity):
    clicks = make_data()
    clf = OptFeatureClassifier(granularity=granularity, selection_learning_rate=0.05, **SMALL)
    clf.fit(clicks.X, clicks.y)
    search = [record for record in clf.history_ if record["phase"] == "search"]
    assert len(search) == 3
    assert all(len(record["keep_rate"]) == 6 for record in search)
    assert [key for key in clf.history_[-1] if key in ("keep_rate", "alpha")] == []
    if granularity == "hybrid":
        np.testing.assert_array_equal(search[-1]["alpha"], clf.alpha_)
        assert search[0]["alpha"] != search[-1]["alpha"]
    else:
        assert "alpha" not in search[0]
    if granularity == "field":
        # The last gates of the search are those that are kept.
        np.testing.assert_array_equal(search[-1]["keep_rate"], clf.keep_rate_)
    assert pickle.loads(pickle.dumps(clf)).history_ == clf.history_


def test_sets_of_four_of_too_many_fields_are_refused():
    clicks = make_clicks(100, 28, 3, random_state=0)
    clf = OptFeatureClassifier(orders=(2, 4), **SMALL)
    with pytest.raises(ValueError, match="order 4 of 28 columns are 20,475 sets"):
        clf.fit(clicks.X, clicks.y)


def test_a_planted_set_of_four_is_listed():
    clicks = make_clicks(20_000, 5, 3, crosses=[(0, 1, 2, 3)], cross_effect=2.0, random_state=0)
    clf = OptFeatureClassifier(orders=(2, 3, 4), max_epochs=10, random_state=0)
    clf.fit(clicks.X, clicks.y)
    assert clf.selected_interactions_[0].fields == ("f0", "f1", "f2", "f3")


def test_three_classes_and_their_probabilities():
    clicks = make_data()
    y = np.where(clicks.y == 1, 2, np.arange(600) % 2)
    clf = OptFeatureClassifier(**SMALL).fit(clicks.X, y)
    assert clf.predict_proba(clicks.X).shape == (600, 3)
    assert all(cross.strength >= 0 for cross in clf.selected_interactions_)


def test_the_interaction_table(fitted):
    clf, clicks = fitted
    table = clf.interaction_table()
    assert table.columns.tolist() == [
        "fields", "order", "strength", "evidence", "significant", "active_share",
        "strength_error", "shares_with", "keep_rate", "granularity", "alpha",
    ]  # fmt: skip
    pairs = set(itertools.combinations(clicks.X.columns, 2))
    strengths = {cross.fields: cross.strength for cross in clf.selected_interactions_}
    assert set(table["fields"]) == pairs | set(strengths)
    triples = table[table["order"] == 3]
    assert len(triples) > 0  # of hidden units: they have no gates
    assert triples[["keep_rate", "granularity", "alpha"]].isna().all(axis=None)
    assert triples["fields"].isin(strengths).all()
    table = table[table["order"] == 2]
    for row in table.itertuples():
        assert row.granularity == ("field" if row.alpha > 0 else "value")
        assert row.strength == strengths.get(row.fields, 0.0)
        # Hidden units may know a cross whose gate is closed.
        assert 0 <= row.active_share <= 1
        assert (row.strength_error > 0) == (row.strength > 0)
        if row.granularity == "field":
            assert row.keep_rate in (0, 1)


def test_without_hidden_units_closed_crosses_do_nothing():
    clicks = make_data()
    settings = SMALL | {"hidden_units": (), "gate_price": 0.02, "selection_learning_rate": 0.05}
    clf = OptFeatureClassifier(granularity="field", **settings).fit(clicks.X, clicks.y)
    table = clf.interaction_table().set_index("fields")
    assert (table["keep_rate"] == 0).any()
    for fields, row in table.iterrows():
        assert (row["strength"] > 0) == (row["keep_rate"] > 0)
        assert (row["strength"] > 0) == (fields in [c.fields for c in clf.selected_interactions_])


@pytest.mark.parametrize("table", range(3))
def test_a_cross_is_listed_whoever_in_the_net_has_learnt_it(table):
    """Hidden units learn the planted cross, and its gate is closed or its product small."""
    clicks = make_clicks(10_000, 4, 10, crosses=[(0, 2)], cross_effect=1.5, random_state=table)
    clf = OptFeatureClassifier(search_epochs=3, max_epochs=8, random_state=0)
    first, second, *_ = clf.fit(clicks.X, clicks.y).selected_interactions_
    assert first.fields == ("f0", "f2")
    # The effect of a planted cross has standard deviation 1.5.
    assert 1.2 < first.strength < 1.8
    assert second.strength < 0.4


def test_gates_of_new_rows(fitted):
    clf, clicks = fitted
    gates = clf.gate(clicks.X)
    assert gates.dtypes.unique().tolist() == [bool]
    assert gates.columns.tolist() == list(itertools.combinations(clicks.X.columns, 2))
    pd.testing.assert_frame_equal(clf.gate(clicks.X[::-1])[::-1].reset_index(drop=True), gates)
    # Fields that are not in a cross do not matter to it.
    other = clicks.X.assign(f3="f3_0")
    assert clf.gate(other)["f0", "f1"].equals(gates["f0", "f1"])


def test_selected_values_agree_with_gates_and_counts(fitted):
    clf, clicks = fitted
    gates = clf.gate(clicks.X)
    for cross in clf.selected_interactions_:
        table = clf.selected_values(cross.fields)
        if cross.order == 3:  # no gate closes it
            assert table["open"].all()
            assert table["score"].isna().all()
            continue
        first, second = cross.fields
        assert table.columns.tolist() == [first, second, "count", "open", "score"]
        assert (table["open"] == (table["score"] > 0)).all()
        assert table["count"].sum() <= 540  # the training rows
        for row in table.itertuples(index=False):
            rows = (clicks.X[first] == row[0]) & (clicks.X[second] == row[1])
            assert row.count <= rows.sum()
            assert (gates[cross.fields][rows] == row.open).all()


def test_selected_values_in_any_order_of_the_fields(fitted):
    clf, _ = fitted
    fields = clf.selected_interactions_[0].fields
    pd.testing.assert_frame_equal(
        clf.selected_values(fields[::-1], 3), clf.selected_values(fields, 3)
    )
    assert len(clf.selected_values(fields, 1)) <= 2
    with pytest.raises(ValueError, match="fields must name fields of X"):
        clf.selected_values(("f0", "no field"))
    with pytest.raises(ValueError, match="top must be an int >= 1"):
        clf.selected_values(fields, 0)


def test_fields_may_be_named_like_what_is_said_of_them(fitted):
    clf, clicks = fitted
    cross = clf.selected_interactions_[0].fields
    names = dict(zip(cross, ("count", "open"), strict=True))
    other = clone(clf).fit(clicks.X.rename(columns=names), clicks.y)
    table = other.selected_values(("count", "open"))
    assert table.columns.tolist() == ["count", "open", "count_", "open_", "score"]
    np.testing.assert_array_equal(table.to_numpy(), clf.selected_values(cross).to_numpy())
    table = other.value_effects(("open", "count"))
    assert table.columns.tolist() == ["open", "count", "count_", "effect"]
    np.testing.assert_array_equal(table.to_numpy(), clf.value_effects(cross[::-1]).to_numpy())


def test_a_stored_model_says_the_same(fitted):
    clf, clicks = fitted
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(clicks.X), clf.predict_proba(clicks.X))
    pd.testing.assert_frame_equal(again.interaction_table(), clf.interaction_table())
    pd.testing.assert_frame_equal(again.gate(clicks.X), clf.gate(clicks.X))
    fields = clf.selected_interactions_[0].fields
    pd.testing.assert_frame_equal(again.selected_values(fields), clf.selected_values(fields))


def test_the_same_seed_gives_the_same_bits():
    clicks = make_data()
    clf = OptFeatureClassifier(granularity="hybrid", dropout=0.3, **SMALL)
    first, again = clone(clf).fit(clicks.X, clicks.y), clone(clf).fit(clicks.X, clicks.y)
    np.testing.assert_array_equal(first.predict_proba(clicks.X), again.predict_proba(clicks.X))
    assert first.selected_interactions_ == again.selected_interactions_


@pytest.mark.parametrize("way", ["warm_start", "partial_fit"])
def test_later_calls_train_weights_and_keep_the_gates(way):
    clicks = make_data()
    clf = OptFeatureClassifier(granularity="hybrid", warm_start=True, dropout=0.2, **SMALL)
    call = clf.fit if way == "warm_start" else clf.partial_fit
    call(clicks.X, clicks.y, **({} if way == "warm_start" else {"classes": [0, 1]}))
    phases = [record["phase"] for record in clf.history_]
    assert sorted(set(phases)) == ["retrain", "search"]
    gates, probabilities = clf.gate(clicks.X), clf.predict_proba(clicks.X)
    call(clicks.X, clicks.y)
    assert clf.history_[-1]["phase"] == "train"
    pd.testing.assert_frame_equal(clf.gate(clicks.X), gates)
    assert not np.array_equal(clf.predict_proba(clicks.X), probabilities)


def test_a_gate_by_fields_is_the_same_for_all_rows():
    clicks = make_data()
    field = OptFeatureClassifier(granularity="field", **SMALL).fit(clicks.X, clicks.y)
    assert set(field.keep_rate_) <= {0.0, 1.0}
    assert (field.gate(clicks.X).nunique() == 1).all()
    assert np.isnan(field.alpha_).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"granularity": "rows"}, "granularity must be one of"),
        ({"combine": "both"}, "combine must be one of"),
        ({"search": "random"}, "search must be one of"),
        ({"search_fraction": 1.0}, "search_fraction must be a number > 0 and < 1"),
        ({"search_epochs": 0}, "search_epochs must be an int >= 1"),
        ({"gate_price": -1.0}, "gate_price must be 'auto' or a number >= 0"),
        ({"retrain_init": "best"}, "retrain_init must be one of"),
        ({"orders": (5,)}, "orders must be one of"),
        ({"field_share": 1.0}, "field_share must be 'auto' or a number > 0 and < 1"),
        ({"operator": "sum"}, "operator must be one of"),
        ({"operator": "outer", "orders": (3,)}, "operator='outer' needs orders="),
        ({"selection_dim": 0}, "selection_dim must be an int >= 1"),
        ({"selection_dim": 8, "selection_rank": 8}, "selection_rank must be an int >= 9"),
        ({"selection_learning_rate": 0}, "selection_learning_rate must be a number > 0"),
        ({"alpha_learning_rate": 0}, "alpha_learning_rate must be a number > 0"),
        ({"hidden_units": (0,)}, "every entry of hidden_units must be an int >= 1"),
        ({"dropout": 1.0}, "dropout must be a number >= 0 and < 1"),
    ],
)
def test_bad_parameters(options, message):
    clicks = make_data()
    clf = OptFeatureClassifier(**SMALL | options)
    with pytest.raises(ValueError, match=message):
        clf.fit(clicks.X, clicks.y)
    assert not clf.__sklearn_is_fitted__()
    assert not [name for name in vars(clf) if name.endswith("_")]


@pytest.mark.parametrize(("columns", "orders"), [(1, (2,)), (2, (3,)), (2, (2, 3))])
def test_too_few_fields(columns, orders):
    clicks = make_data()
    clf = OptFeatureClassifier(orders=orders, **SMALL)
    with pytest.raises(ValueError, match=f"X must have at least {max(orders)} columns"):
        clf.fit(clicks.X.iloc[:, :columns], clicks.y)
    assert not [name for name in vars(clf) if name.endswith("_")]


def test_a_search_without_two_classes():
    clicks = make_data()
    y = np.zeros(600, dtype=int)
    y[0] = 1
    clf = OptFeatureClassifier(early_stopping=False, **SMALL)
    with pytest.raises(ValueError, match="rows set apart for the search must hold at least two"):
        clf.fit(clicks.X, y)
    assert not [name for name in vars(clf) if name.endswith("_")]


def test_the_automatic_prior_is_weak_without_hidden_units():
    clicks, options = make_data(), SMALL | {"hidden_units": ()}
    fits = [
        OptFeatureClassifier(**options | extra).fit(clicks.X, clicks.y)
        for extra in ({}, {"embedding_l2": 1e-4}, {"embedding_l2": 1e-2})
    ]
    assert [clf.embedding_l2_ for clf in fits] == [1e-4, 1e-4, 1e-2]
    automatic, weak, strong = (clf.predict_proba(clicks.X) for clf in fits)
    assert np.array_equal(automatic, weak)
    assert not np.allclose(automatic, strong, atol=1e-3)


def test_hidden_units_may_be_an_array():
    clicks = make_data()
    of_list, of_array = (
        OptFeatureClassifier(**SMALL | {"hidden_units": units}).fit(clicks.X, clicks.y)
        for units in ([8, 4], np.array([8, 4]))
    )
    assert np.array_equal(of_list.predict_proba(clicks.X), of_array.predict_proba(clicks.X))


# Planted truth ------------------------------------------------------------------------

PLANTED = [(0, 1), (2, 3), (4, 5)]


def test_field_gates_drop_irrelevant_crosses_and_keep_planted_ones():
    # A linear predictor: what an MLP learns differs more from fit to fit than the gates change.
    losses = {"gated": [], "ungated": []}
    for seed in range(5):
        clicks = make_clicks(
            30_000, 6, 10, crosses=PLANTED, base_rate=0.4, cross_effect=1.0, random_state=seed
        )
        train, test = slice(0, 15_000), slice(15_000, None)
        clf = OptFeatureClassifier(
            granularity="field",
            hidden_units=(),
            batch_size=128,
            max_epochs=15,
            random_state=seed + 10,
        ).fit(clicks.X[train], clicks.y[train])
        table = clf.interaction_table()
        planted = table["fields"].isin(clicks.crosses)
        assert (table.loc[planted, "keep_rate"] == 1).all()
        assert (table.loc[~planted, "keep_rate"] == 0).mean() >= 0.25
        # The ungated twin: a joint search that cannot move the gates.
        twin = clone(clf).set_params(search="joint", search_epochs=1, selection_learning_rate=1e-12)
        twin.fit(clicks.X[train], clicks.y[train])
        assert (twin.keep_rate_ == 1).all()
        for name, model in (("gated", clf), ("ungated", twin)):
            probabilities = model.predict_proba(clicks.X[test])
            losses[name].append(log_loss(clicks.y[test], probabilities))
    assert np.mean(losses["gated"]) <= np.mean(losses["ungated"])


@pytest.mark.parametrize("granularity", ["value", "hybrid"])
def test_value_gates_open_for_the_values_for_which_the_cross_is_active(granularity):
    clicks = make_clicks(
        40_000, 4, 12, crosses=[(0, 1)], base_rate=0.4, cross_effect=1.5, active_share=0.5,
        random_state=0,
    )  # fmt: skip
    X, y = clicks.X[:20_000], clicks.y[:20_000]
    # A linear predictor: an MLP could learn the cross from the embeddings, past its gate.
    clf = OptFeatureClassifier(
        granularity=granularity,
        hidden_units=(),
        batch_size=256,
        learning_rate=3e-3,
        max_epochs=8,
        n_iter_no_change=1,
        random_state=10,
    ).fit(X, y)
    table = clf.selected_values(("f0", "f1"), top=100)
    table["weighted"] = table["score"] * table["count"]
    values = table.groupby("f0")[["weighted", "count"]].sum()
    values = values[values["count"] >= 200]  # frequent: 1 % of the rows
    active = values.index.isin(clicks.active_values[0])
    assert roc_auc_score(active, values["weighted"] / values["count"]) >= 0.9
    rate = clf.interaction_table().set_index("fields").loc[[("f0", "f1")], "keep_rate"].item()
    assert 0 < rate < 1


def test_field_gates_cannot_tell_values_apart():
    clicks = make_data(active_share=0.5)
    clf = OptFeatureClassifier(granularity="field", search_epochs=1, **SMALL)
    clf.fit(clicks.X, clicks.y)
    assert clf.selected_values(("f0", "f1"), top=100)["score"].nunique() == 1

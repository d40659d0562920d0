"""Several fits in one estimator: the mean of their logits, and everything that follows from it."""

import pickle

import numpy as np
import pandas as pd
import pytest
from public import CLASSIFIERS
from scipy.special import logit

from sparsectr.nn.mean import MeanNet, members_of
from sparsectr.training.prediction import predict_logits

RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 5, size=(600, 4))
FRAME = pd.DataFrame(CODES, columns=list("abcd")).astype(str)
Y = (CODES[:, 0] == CODES[:, 1]) ^ (RNG.random(600) < 0.1)
SMALL = {"max_epochs": 3, "random_state": 0, "n_interactions": 5}


def weights_of(net):
    return {name: value.numpy().copy() for name, value in net.state_dict().items()}


@pytest.fixture(scope="module", params=CLASSIFIERS)
def pair(request):
    """Return a fit with three members, and one with a single one."""
    return [request.param(n_members=n, **SMALL).fit(FRAME, Y) for n in (3, 1)]


def test_predictions_are_those_of_the_mean_logits(pair):
    model, _ = pair
    net = model._fitted_net()
    assert isinstance(net, MeanNet)
    codes, _ = model._encode_for_net(FRAME)
    each = [predict_logits(member, codes) for member in net.members]
    assert len(each) == 3
    assert len({array.tobytes() for array in each}) == 3
    found = logit(model.predict_proba(FRAME)[:, 1])
    np.testing.assert_allclose(found, np.mean(each, 0)[:, 0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(net(codes).detach().numpy()[:, 0], found, rtol=1e-4, atol=1e-5)


def test_the_first_member_is_the_only_one_of_a_single_fit(pair):
    model, single = pair
    first = weights_of(members_of(model._fitted_net())[0])
    for name, value in weights_of(single._fitted_net()).items():
        np.testing.assert_array_equal(first[name], value)


def test_history_names_the_members(pair):
    model, single = pair
    members = [record["member"] for record in model.history_]
    assert set(members) == {0, 1, 2}
    assert members == sorted(members)
    assert [r for r in single.history_ if "member" in r] == []
    first = [
        {k: v for k, v in r.items() if k != "member"} for r in model.history_ if not r["member"]
    ]
    assert first == single.history_
    assert len(model.epoch_seconds_) == model.n_iter_ == len(model.history_)
    # Other rows are set apart: the losses on them differ.
    firsts = [model.history_[members.index(m)]["validation_log_loss"] for m in range(3)]
    assert len(set(firsts)) == 3


def test_parameters_of_all_members_are_counted(pair):
    n_parameters = sum(p.numel() for p in pair[0]._fitted_net().parameters())
    assert sum(pair[0].n_parameters_.values()) == n_parameters


def test_copies_predict_the_same(pair):
    model, _ = pair
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(FRAME), model.predict_proba(FRAME))
    assert copy.selected_interactions_ == model.selected_interactions_


def test_crosses_are_those_of_the_mean(pair):
    model, _ = pair
    assert model.selected_interactions_[0].fields == ("a", "b")
    table = model.interaction_table()
    assert table["strength"].iloc[0] == model.selected_interactions_[0].strength
    assert len(model.value_effects(("a", "b"))) == 25
    entries = model.explain(FRAME.head(20), top=1)
    assert (entries["rank"] == 1).all()


def test_every_member_is_trained_on(pair):
    model = pickle.loads(pickle.dumps(pair[0]))
    before = [weights_of(member) for member in members_of(model._fitted_net())]
    model.partial_fit(FRAME, Y)
    after = [weights_of(member) for member in members_of(model._fitted_net())]
    for old, new in zip(before, after, strict=True):
        name = "embedding.weight"
        assert not np.array_equal(old[name], new[name])
    assert [record["member"] for record in model.history_[-3:]] == [0, 1, 2]


def test_training_goes_on_with_as_many_members(pair):
    model = pickle.loads(pickle.dumps(pair[0])).set_params(warm_start=True, n_members=2)
    with pytest.raises(ValueError, match="n_members must stay 3"):
        model.fit(FRAME, Y)


def test_verbose_names_the_member(capsys):
    CLASSIFIERS[0](n_members=2, verbose=1, **SMALL).fit(FRAME, Y)
    lines = [line for line in capsys.readouterr().out.splitlines() if "member 1, " in line]
    assert lines
    assert "epoch 1" in lines[0]

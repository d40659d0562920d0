"""Identities of the DynInt net (float64), and the classifier on planted truth."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from torch.utils._python_dispatch import TorchDispatchMode

from sparsectr import DynIntClassifier
from sparsectr.datasets import make_clicks
from sparsectr.methods.dynint.net import VARIANTS, DynIntConfig, DynIntNet

SIZES, D, B = (4, 3, 5), 4, 6
F = len(SIZES)


def make_net(variant="pin", n_layers=2, n_subspaces=1, rank=2, n_outputs=1, sizes=SIZES, dim=D):
    config = DynIntConfig(variant, n_layers, n_subspaces, rank, hidden_units=6)
    net = DynIntNet(sizes, dim, n_outputs, config).double()
    net.embedding.sparse = False
    generator = torch.Generator().manual_seed(0)
    net.reset_parameters(generator)
    for parameter in net.parameters():  # no neutral starts: an identity must hold anywhere
        parameter.data.normal_(0, 0.5, generator=generator)
    return net


@pytest.fixture
def codes():
    generator = torch.Generator().manual_seed(1)
    columns = [torch.randint(size, (B,), generator=generator) for size in SIZES]
    return torch.stack(columns, 1).int()


def numpy_logits(net, codes):
    """Compute the logits row by row from the published equations, with dense matrices."""
    state = {name: value.numpy() for name, value in net.state_dict().items()}
    config = net.arguments["config"]
    h, dim, rank = config.n_subspaces, net.arguments["embedding_dim"], config.rank
    logits = []
    for row in codes.numpy() + net.embedding.offsets.numpy():
        e = state["embedding.weight"][row]  # (F, D)
        x0 = np.concatenate(np.split(e, h, axis=1), axis=0)  # row s * F + f
        x = x0
        for layer in range(config.n_layers):
            names = ("hidden.weight", "hidden.bias", "output.weight", "output.bias")
            if config.variant != "pin":
                w1, b1, w2, b2 = (state[f"gates.{layer}.{name}"] for name in names)
                gate = w2 @ np.maximum(w1 @ e.ravel() + b1, 0) + b2
            if config.variant == "dgp":
                left, right = (state[f"layers.{layer}.{side}"] for side in ("left", "right"))
                weight = left @ np.diag(1 + gate) @ right.T
            else:
                weight = state[f"layers.{layer}.weight"]
            if config.variant == "dwp":
                u, v = gate.reshape(2, rank, -1) + rank**-0.5
                weight = (u.T @ v) * weight
            if config.variant == "da":
                weight = (2 / (1 + np.exp(-gate)))[:, None] * weight
            x = x * (weight @ x0) + x
        merged = np.concatenate(np.split(x, h, axis=0), axis=1)
        assert merged.shape == (F, dim)
        logits.append(state["output.weight"] @ merged.sum(1) + state["output.bias"])
    return np.array(logits)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("n_subspaces", [1, 2, 4])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_forward_equals_the_published_equations(variant, n_subspaces, n_outputs, codes):
    net = make_net(variant, n_subspaces=n_subspaces, n_outputs=n_outputs)
    with torch.no_grad():
        found = net(codes).numpy()
    np.testing.assert_allclose(found, numpy_logits(net, codes), rtol=0, atol=1e-12)


@pytest.mark.parametrize("variant", ["pin", "dgp"])
def test_without_interaction_weights_the_net_is_a_logistic_regression(variant, codes):
    net = make_net(variant)
    for layer in net.layers:
        (layer.left if variant == "dgp" else layer.weight).data.zero_()
    sums = net.embedding(codes).sum(-1)
    torch.testing.assert_close(net(codes), net.output(sums), rtol=0, atol=0)


def test_closed_activation_gates_leave_the_embeddings(codes):
    net = make_net("da")
    embeddings = net.embedding(codes)
    closed = [torch.full((B, F), -1e4, dtype=torch.float64)] * 2
    torch.testing.assert_close(
        net.combine(embeddings, closed), net.output(embeddings.sum(-1)), rtol=0, atol=0
    )


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_pin_is_a_product_and_a_polynomial_of_its_degree(n_layers, codes):
    net = make_net(n_layers=n_layers)
    embeddings = net.embedding(codes).detach()
    x0 = embeddings.mT
    product = x0 * torch.stack([1 + layer(x0, None) for layer in net.layers]).prod(0)
    gates = [None] * n_layers
    expected = net.output(product.sum(1))
    torch.testing.assert_close(net.combine(embeddings, gates), expected, rtol=0, atol=1e-13)

    t = np.linspace(-1, 1, 15)
    with torch.no_grad():
        scaled = [net.combine(s * embeddings, gates) - net.output.bias for s in t]
    values = torch.stack(scaled)[:, :, 0].numpy()
    powers = t[:, None] ** np.arange(1, n_layers + 2)  # degree L + 1, no constant term
    coefficients, *_ = np.linalg.lstsq(powers, values, rcond=None)
    np.testing.assert_allclose(powers @ coefficients, values, rtol=0, atol=1e-13)
    lower = powers[:, :-1]
    misfit = lower @ np.linalg.lstsq(lower, values, rcond=None)[0] - values
    assert np.abs(misfit).max() > 1e-6  # and of no lower degree


def test_one_subspace_equals_block_diagonal_subspaces(codes):
    whole, parts = make_net(n_subspaces=1), make_net(n_subspaces=2)
    parts.load_state_dict(
        {
            name: torch.block_diag(value, value) if name.startswith("layers") else value
            for name, value in whole.state_dict().items()
        }
    )
    torch.testing.assert_close(parts(codes), whole(codes), rtol=0, atol=1e-14)


@pytest.mark.parametrize("variant", ["da", "dgp", "dwp"])
def test_gates_do_not_train_the_embeddings(variant, codes):
    net = make_net(variant)
    embeddings = net.embedding(codes)
    # With the main path cut, the embeddings are out of reach and the gates are not.
    net.combine(embeddings.detach(), net.compute_gates(embeddings)).sum().backward()
    assert net.embedding.weight.grad is None
    assert all(p.grad.abs().sum() > 0 for p in net.gates.parameters() if p.dim() == 2)

    net.zero_grad()
    net(codes).sum().backward()
    whole = net.embedding.weight.grad.clone()
    net.zero_grad()
    embeddings = net.embedding(codes)
    constant = [gate.detach() for gate in net.compute_gates(embeddings)]
    net.combine(embeddings, constant).sum().backward()
    torch.testing.assert_close(net.embedding.weight.grad, whole, rtol=0, atol=0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_fields_may_be_permuted(variant, codes):
    net = make_net(variant, n_subspaces=2)
    order = torch.tensor([2, 0, 1])
    rows = torch.cat([order, order + F])  # of the interaction rows, for both subspaces
    permuted = make_net(variant, n_subspaces=2, sizes=[SIZES[f] for f in order])
    state = {}
    for name, value in net.state_dict().items():
        if name == "embedding.weight":
            value = torch.cat([value.split(SIZES)[f] for f in order])
        elif name.endswith("hidden.weight"):
            value = value.unflatten(1, (F, D))[:, order].flatten(1)
        elif name.startswith("gates") and "output" in name and variant != "dgp":
            value = value.unflatten(0, (-1, 2 * F))[:, rows].flatten(0, 1)
        elif name.startswith("layers"):
            value = value[rows] if variant == "dgp" else value[rows][:, rows]
        elif name == "output.weight":
            value = value[:, order]
        state[name] = value
    permuted.load_state_dict(state)
    torch.testing.assert_close(permuted(codes[:, order]), net(codes), rtol=0, atol=1e-13)


class LargestTensor(TorchDispatchMode):
    """Remember the largest number of elements that any operation returns."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numel = max(self.numel, result.numel())
        return result


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_matrix_per_row_is_made(variant):
    n_fields, batch = 60, 50
    net = make_net(variant, sizes=[3] * n_fields, dim=2)
    codes = torch.ones(batch, n_fields, dtype=torch.int32)
    with LargestTensor() as largest:
        net(codes).sum().backward()
    # A (B, n, n) tensor would have 180,000 elements; (B, 2 K n) gates have 12,000.
    assert largest.numel < batch * n_fields**2 / 10


@pytest.fixture(scope="module")
def clicks():
    return make_clicks(20_000, 6, 20, crosses=[(0, 1), (2, 4)], cross_effect=1.5, random_state=0)


def test_planted_pairs_are_the_strongest(clicks):
    net = DynIntClassifier(random_state=0).fit(clicks.X, clicks.y)
    found = {frozenset(cross.fields) for cross in net.selected_interactions_[:2]}
    assert found == {frozenset(cross) for cross in clicks.crosses}


@pytest.mark.parametrize("variant", VARIANTS)
def test_learns_crosses_that_a_linear_model_cannot(variant, clicks):
    train, test = slice(0, 16_000), slice(16_000, None)
    onehot = pd.get_dummies(clicks.X)
    linear = LogisticRegression(C=0.1, max_iter=200).fit(onehot[train], clicks.y[train])
    net = DynIntClassifier(variant=variant, random_state=0).fit(clicks.X[train], clicks.y[train])
    y, truth = clicks.y[test], 1 / (1 + np.exp(-clicks.log_odds[test]))
    best = roc_auc_score(y, truth)
    base = roc_auc_score(y, linear.predict_proba(onehot[test])[:, 1])
    found = net.predict_proba(clicks.X[test])
    assert roc_auc_score(y, found[:, 1]) > base + 0.75 * (best - base)
    assert log_loss(y, found) < log_loss(y, linear.predict_proba(onehot[test]))


def test_lists_no_more_than_asked_and_no_order_that_is_not_there(clicks):
    few = DynIntClassifier(n_layers=1, n_interactions=3, max_epochs=1, random_state=0)
    few.fit(clicks.X[:2000], clicks.y[:2000])
    assert [cross.order for cross in few.selected_interactions_] == [2, 2, 2]
    deep = clone(few).set_params(n_layers=2, n_interactions=100).fit(clicks.X, clicks.y)
    orders = [cross.order for cross in deep.selected_interactions_]
    assert sorted(orders) == [2] * 15 + [3] * 20


class TestFtrl:
    def test_reports_the_share_of_zero_rows(self, clicks):
        net = DynIntClassifier(optimizer="ftrl", random_state=0)
        net.fit(clicks.X, clicks.y)
        assert 0 <= net.zero_row_share_ < 1
        assert roc_auc_score(clicks.y, net.predict_proba(clicks.X)[:, 1]) > 0.7

    def test_the_group_lasso_drops_a_field_of_noise_and_nothing_that_counts(self):
        clicks = make_clicks(12_000, 3, 12, crosses=[(0, 1)], main_effect=0.6, random_state=33)
        noise = np.random.default_rng(33).integers(0, 2000, len(clicks.y)).astype(str)
        X = pd.DataFrame(clicks.X).assign(noise=noise)
        losses = []
        for l1 in (0.0, 2.0):
            clf = DynIntClassifier(optimizer="ftrl", ftrl_l1=l1, max_epochs=8, random_state=0)
            clf.fit(X, clicks.y)
            losses.append(min(record["validation_log_loss"] for record in clf.history_))
            table = clf._fitted_net().embedding
            # Without the codes of unknown and missing values, which have no training row.
            *informative, noisy = (
                (rows == 0).all(1)[2:] for rows in table.weight.split(table.vocabulary_sizes)
            )
            assert not torch.cat(informative).any()
            assert noisy.double().mean() > 0.9 if l1 else not noisy.any()
            assert clf.selected_interactions_[0].fields == ("f0", "f1")
        assert losses[1] < losses[0] + 0.003

    def test_training_that_goes_on_does_not_pay_for_the_lasso_again(self, clicks):
        clf = DynIntClassifier(optimizer="ftrl", max_epochs=2, random_state=0)
        clf.fit(clicks.X[:2000], clicks.y[:2000])
        # Far above the pull towards the first values: it would zero fresh rows at their first step.
        clf.set_params(ftrl_l1=50.0).partial_fit(clicks.X[:1], clicks.y[:1])
        table = clf._fitted_net().embedding
        assert table(torch.from_numpy(clf.encoder_.transform(clicks.X[:1]))).any(2).all()

    def test_is_not_reported_for_adam(self, clicks):
        net = DynIntClassifier(max_epochs=1, random_state=0).fit(clicks.X[:500], clicks.y[:500])
        assert not hasattr(net, "zero_row_share_")


@pytest.mark.parametrize("rank", ["auto", 3, 1000])
@pytest.mark.parametrize("variant", ["dgp", "dwp"])
def test_rank_is_bounded_by_the_number_of_rows(variant, rank, clicks):
    net = DynIntClassifier(variant=variant, rank=rank, max_epochs=1, random_state=0)
    net.fit(clicks.X[:500], clicks.y[:500])
    expected = {"auto": {"dgp": 3, "dwp": 1}[variant], 3: 3, 1000: 6}[rank]
    assert net.rank_ == expected


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"variant": "cin"}, "variant must be one of 'pin', 'da', 'dgp', 'dwp', got 'cin'"),
        ({"n_layers": -1}, "n_layers must be an int >= 0 and <= 100, got -1"),
        ({"n_subspaces": 3}, "n_subspaces must divide embedding_dim = 16, got 3"),
        ({"rank": 0}, "rank must be 'auto' or an int >= 1, got 0"),
        ({"reduction_ratio": 0.5}, "reduction_ratio must be an int >= 1, got 0.5"),
        ({"orthogonal_penalty": -1}, "orthogonal_penalty must be a number >= 0, got -1"),
        ({"optimizer": "sgd"}, "optimizer must be one of 'adam', 'adagrad', 'ftrl', got 'sgd'"),
        ({"ftrl_l1": -1}, "ftrl_l1 must be a number >= 0, got -1"),
        ({"ftrl_l2": "auto"}, "ftrl_l2 must be a number >= 0, got 'auto'"),
        ({"ftrl_beta": 0}, "ftrl_beta must be a number > 0, got 0"),
    ],
)
def test_wrong_parameters_are_named_in_fit(parameters, message, clicks):
    with pytest.raises(ValueError, match=message):
        DynIntClassifier(**parameters).fit(clicks.X, clicks.y)

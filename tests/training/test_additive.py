"""The additive model: single groups leave nothing, and rows are not known by heart."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from sklearn.preprocessing import OneHotEncoder

from sparsectr.training.additive import additive_residuals

N_ROWS = 8000


def draw(n_rows=N_ROWS, sizes=(4, 6, 3), seed=0):
    """Groups, and the probabilities of a model that adds up an effect of each."""
    rng = np.random.default_rng(seed)
    groups = [rng.integers(0, size, n_rows) for size in sizes]
    log_odds = sum(rng.normal(0, 1, size)[group] for size, group in zip(sizes, groups, strict=True))
    probability = 1 / (1 + np.exp(-log_odds))
    return groups, probability, (rng.random(n_rows) < probability).astype(float)


def fit(groups, y, weights=None, link="logit"):
    targets = torch.from_numpy(np.asarray(y, dtype=float).reshape(len(y), -1))
    weights = np.ones(len(y)) if weights is None else weights
    found = additive_residuals(
        [torch.from_numpy(group) for group in groups], targets, torch.from_numpy(weights), link
    )
    return found.numpy()


def test_it_is_a_logistic_regression_on_values():
    groups, probability, y = draw()
    onehot = OneHotEncoder().fit_transform(np.stack(groups, 1))
    exact = LogisticRegression(C=1.0, max_iter=1000).fit(onehot, y).predict_proba(onehot)[:, 1]
    found = y - fit(groups, y)[:, 0]
    np.testing.assert_allclose(found, exact, atol=0.01)
    assert np.abs(found - probability).mean() < 0.02


def test_values_and_all_rows_leave_nothing():
    groups, _, y = draw()
    rest = fit(groups, y)[:, 0]
    assert abs(rest.sum()) < 1e-3 * N_ROWS**0.5
    for group in groups:
        counts = np.bincount(group)
        # Shrinkage leaves a little.
        assert (np.abs(np.bincount(group, rest)) < 0.1 * counts**0.5).all()


def test_rows_of_a_unique_group_are_not_known_by_heart():
    groups, _, y = draw()
    alone = fit(groups, y)
    with_ids = fit([*groups, np.random.default_rng(1).permutation(N_ROWS)], y)
    assert np.square(with_ids).sum() > 0.6 * np.square(alone).sum()
    pairs = np.random.default_rng(1).integers(0, N_ROWS // 3, N_ROWS)
    assert np.square(fit([*groups, pairs], y)).sum() > 0.6 * np.square(alone).sum()


def test_a_group_of_many_values_is_learnt_where_it_tells():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 400, N_ROWS)
    log_odds = rng.normal(0, 1.5, 400)[group]
    y = (rng.random(N_ROWS) < 1 / (1 + np.exp(-log_odds))).astype(float)
    found = y - fit([group], y)[:, 0]
    assert np.corrcoef(np.log(found / (1 - found)), log_odds)[0, 1] > 0.9


def test_a_row_of_weight_two_is_two_rows():
    groups, _, y = draw(n_rows=500)
    weights = np.where(np.arange(500) < 250, 2.0, 1.0)
    twice = np.r_[np.arange(250), np.arange(500)]
    weighted = fit(groups, y, weights)[:, 0] / weights
    doubled = fit([group[twice] for group in groups], y[twice])[:, 0]
    np.testing.assert_allclose(weighted, doubled[250:], atol=1e-9)


def test_every_output_has_a_model_of_its_own():
    groups, _, y = draw(n_rows=1000)
    other = draw(n_rows=1000, seed=1)[2]
    both = fit(groups, np.stack([y, other], 1))
    np.testing.assert_array_equal(both[:, :1], fit(groups, y))
    np.testing.assert_array_equal(both[:, 1:], fit(groups, other))
    assert not fit(groups, np.zeros(1000)).any()


def test_separated_values_have_finite_residuals():
    groups, _, y = draw(n_rows=1000)
    y[groups[0] == 0] = 1.0
    rest = fit(groups, y)
    assert np.isfinite(rest).all()
    assert (np.abs(rest[groups[0] == 0]) < 0.2).all()


def test_numbers_are_fitted_as_they_are():
    groups, _, _ = draw()
    rng = np.random.default_rng(2)
    effects = [rng.normal(0, size, 6) for size in (1, 3, 0)]
    sums = sum(effect[group] for effect, group in zip(effects, groups, strict=True))
    y = 50 + sums + 0.5 * rng.normal(size=N_ROWS)
    rest = fit(groups, y, link="identity")[:, 0] * y.std()
    far = np.abs(y - rest - 50 - sums) > 0.08
    assert 0 < far.sum() <= 0.001 * N_ROWS  # the largest residuals are cut
    np.testing.assert_allclose(np.abs(rest[far]), np.abs(rest).max())
    assert abs(rest.std() - 0.5) < 0.02
    assert not fit(groups, np.full(N_ROWS, 7.3), link="identity").any()


def test_counts_are_fitted_on_the_scale_of_logarithms():
    groups, _, _ = draw(n_rows=40_000)
    rng = np.random.default_rng(2)
    sums = sum(rng.normal(0, 0.7, 6)[group] for group in groups)
    y = rng.poisson(np.exp(sums)).astype(float)
    onehot = OneHotEncoder().fit_transform(np.stack(groups, 1))
    exact = PoissonRegressor(alpha=1e-6, max_iter=1000).fit(onehot, y).predict(onehot)
    found = y - fit(groups, y, link="log")[:, 0]
    np.testing.assert_allclose(found, exact, rtol=0.1, atol=0.02)
    assert not fit(groups, np.zeros(40_000), link="log").any()


def test_large_and_scattered_counts_weigh_no_more_than_small_ones():
    group = np.arange(8_000) % 4
    means = np.array([0.1, 1.0, 30.0, 1e3])[group]
    rng = np.random.default_rng(0)
    for shape in (0.5, 2.0):
        y = rng.poisson(means * rng.gamma(shape, 1 / shape, 8_000)).astype(float)
        rest = fit([group], y, link="log")[:, 0]
        expected = (y - means) / (1 + means / shape)
        for k in range(4):  # up to a factor, and to the error of the mean
            assert np.corrcoef(rest[group == k], expected[group == k])[0, 1] > 0.999
            assert abs(rest[group == k].mean()) < 0.02 * rest[group == k].std()
        spreads = [rest[group == k].std() / expected[group == k].std() for k in range(4)]
        np.testing.assert_allclose(spreads, spreads[2], rtol=0.6)

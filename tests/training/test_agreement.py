"""Agreement: an independent sum over pairs of rows, and planted crosses without traces."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import chi2, norm

from sparsectr.datasets import make_clicks
from sparsectr.training import joint_cells, projection
from sparsectr.training.agreement import (
    _deviate,
    _make_units,
    _prepare,
    affordable_rows,
    agreement_scores,
    outstanding_sets,
    rough_scores,
)
from sparsectr.training.joint_cells import joint_codes
from sparsectr.training.projection import count_part, project, variance_shares


def draw(n_rows=60, n_fields=4, n_outputs=1, size=3):
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(size, (n_rows, n_fields), generator=generator, dtype=torch.int32)
    return codes, torch.randn(n_rows, n_outputs, generator=generator, dtype=torch.float64)


def dependent(n_rows, size=4):
    """Codes of four fields: the second is often the first, the third is a half of it."""
    codes, residuals = draw(n_rows=n_rows, size=size)
    codes[::2, 1] = codes[::2, 0]
    codes[:, 2] = codes[:, 0] // 2
    return codes, residuals


def product(sizes, n_rows):
    """Codes of which every joint value has the product of the shares of its values."""
    values = [np.repeat(np.arange(size), np.arange(1, size + 1)) for size in sizes]
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*values, indexing="ij")], 1)
    return torch.from_numpy(np.tile(grid, (n_rows // len(grid), 1))).int()


def hat_matrix(codes, fields):
    """Projection onto all functions of fewer fields of a set."""
    parts = combinations(fields, len(fields) - 1)
    columns = []
    for part in parts:
        _, numbers = np.unique(codes[:, list(part)].numpy(), axis=0, return_inverse=True)
        columns.append(np.eye(numbers.max() + 1)[numbers.ravel()])
    design = np.concatenate(columns, 1)
    return design @ np.linalg.pinv(design)


def joint_values(codes, fields):
    """Indicators of the joint values of a set, (n_rows, number of them)."""
    _, numbers = np.unique(codes[:, list(fields)].numpy(), axis=0, return_inverse=True)
    return np.eye(numbers.max() + 1)[numbers.ravel()]


def count_parts(codes, residuals, fields):
    rows = _prepare(codes, residuals, [int(column.max()) + 1 for column in codes.T])
    units, order = _make_units(rows, fields), len(fields)
    others = [[k for k in range(order) if k != without] for without in range(order)]
    return units, [count_part(units, members, rows.scratch) for members in others], rows


def sweep_to_the_end(monkeypatch):
    for name, value in {"LEAST_MOVE": 0.0, "CELL_SWEEPS": 500, "ROW_SWEEPS": 500}.items():
        monkeypatch.setattr(projection, name, value)


@pytest.mark.parametrize("fields", [(0, 1), (1, 3), (0, 1, 3)])
def test_what_fewer_fields_explain_is_taken_out_by_least_squares(fields, monkeypatch):
    sweep_to_the_end(monkeypatch)
    codes, residuals = dependent(120, size=3)
    rest = residuals[:, 0].numpy() - hat_matrix(codes, fields) @ residuals[:, 0].numpy()
    units, parts, rows = count_parts(codes, residuals, fields)
    (found,), left = project(units, parts, rows.mean, rows.scratch)
    joint = joint_values(codes, fields)
    np.testing.assert_allclose(found, joint.T @ rest, atol=1e-8)
    np.testing.assert_allclose(left, joint.T @ rest**2, atol=1e-8)


@pytest.mark.parametrize("fields", [(0, 1), (0, 1, 3)])
def test_hashed_rows_are_projected_in_the_same_way(fields, monkeypatch):
    sweep_to_the_end(monkeypatch)
    codes, residuals = dependent(120, size=3)
    rest = residuals[:, 0].numpy() - hat_matrix(codes, fields) @ residuals[:, 0].numpy()
    monkeypatch.setattr(joint_cells, "MOST_CELLS", 3 ** len(fields) - 1)  # the parts have fewer
    units, parts, rows = count_parts(codes, residuals, fields)
    assert units.cells is not None
    (found,), left = project(units, parts, rows.mean, rows.scratch)
    np.testing.assert_allclose(found, rest, atol=1e-8)
    np.testing.assert_allclose(left, rest**2, atol=1e-8)


def covariance(codes, fields):
    """Of the sums of cells of residuals of variance 1, without their parts."""
    joint = joint_values(codes, fields)
    return joint.T @ (joint - hat_matrix(codes, fields) @ joint)


@pytest.mark.parametrize(("sizes", "fields"), [((2, 3, 4), (0, 2)), ((2, 3, 3), (0, 1, 2))])
def test_shares_of_variance_are_exact_for_independent_fields(sizes, fields):
    codes = product(sizes, 180)
    units, parts, rows = count_parts(codes, torch.ones(len(codes), 1).double(), fields)
    variances = units.counts * variance_shares(units, parts, rows.scratch)
    np.testing.assert_allclose(variances, covariance(codes, fields).diagonal(), rtol=1e-6)


@pytest.mark.parametrize("fields", [(0, 1), (0, 3), (1, 2), (0, 1, 3)])
def test_shares_of_variance_are_never_too_small(fields):
    """Too large a variance under noise is no false alarm."""
    codes, residuals = dependent(150)
    units, parts, rows = count_parts(codes, residuals, fields)
    variances = (units.counts * variance_shares(units, parts, rows.scratch)).numpy()
    exact = covariance(codes, fields).diagonal()
    assert (variances >= exact - 1e-9).all()
    assert exact.sum() <= variances.sum() < 2 * exact.sum()


def test_cells_of_a_field_that_follows_from_another_keep_nothing():
    units, parts, rows = count_parts(*dependent(150), (0, 2))
    assert variance_shares(units, parts, rows.scratch).max() < 1e-5


@pytest.mark.parametrize("power", [2, 3])
def test_covariances_between_cells_are_counted(power):
    codes = product((2, 4), 300)
    units, parts, rows = count_parts(codes, torch.ones(len(codes), 1).double(), (0, 1))
    own = (units.counts * variance_shares(units, parts, rows.scratch)).pow(power).sum()
    spread = rows.spreads[0][power - 2] * rows.spreads[1][power - 2]
    exact = np.trace(np.linalg.matrix_power(covariance(codes, (0, 1)), power))
    np.testing.assert_allclose(float(own) * spread, exact, rtol=1e-6)


@pytest.mark.parametrize("order", [2, 3])
def test_a_score_does_not_depend_on_what_fewer_fields_have_left(order, monkeypatch):
    sweep_to_the_end(monkeypatch)
    codes, residuals = draw(n_rows=4000, n_fields=order, size=5)
    fields = tuple(range(order))
    numbers = joint_values(codes, fields[1:]).argmax(1)
    learnt_too_much = torch.from_numpy(hat_matrix(codes, fields) @ residuals.numpy())
    too_little = torch.randn(25, generator=torch.Generator().manual_seed(3)).double()[numbers]
    scores = [
        agreement_scores(codes, r, [5] * order, order)[fields]
        for r in (residuals, residuals - learnt_too_much, residuals + 0.01 * too_little[:, None])
    ]
    # The squares of a cell's rows, by which a score is scaled, are others.
    np.testing.assert_allclose(scores, scores[0], atol=0.15)
    assert abs(scores[0]) > 0.2


def deviates(totals, variance, third):
    return np.array([_deviate(float(total), variance, third) for total in totals])


@pytest.mark.parametrize("freedom", [2, 5, 30, 1000])
def test_skewed_sums_become_normal_deviates(freedom):
    chances = np.array([0.2, 0.1, 0.01, 1e-3, 1e-4, 1e-6, 1e-10])
    totals = chi2.isf(chances, freedom) - freedom
    found = deviates(totals, 2.0 * freedom, 8.0 * freedom)
    exact = norm.isf(chances)
    # The cube root is good to .05 as far as 1 in 1000, and too low beyond: no false alarms.
    np.testing.assert_allclose(found[:4], exact[:4], rtol=0, atol=0.05)
    assert (found[4:] < exact[4:] + 0.01).all()
    assert (found[4:] > 0.9 * exact[4:]).all()


def test_a_deviate_rises_with_the_sum():
    sums = np.linspace(-10, 10, 1001)
    assert (np.diff(deviates(sums, 2.0, 3.0)) > 0).all()
    np.testing.assert_allclose(deviates(sums, 1.0, 0.0), sums, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("correlated", [False, True])
def test_without_effect_a_set_seldom_stands_out(correlated):
    """As often as it says, 5 %, where few cells hold many rows each."""
    codes, _ = draw(n_rows=2000, n_fields=8, size=4)
    if correlated:
        for k in range(1, 4):
            codes[: 400 * k, k] = codes[: 400 * k, 0]
    generator = torch.Generator().manual_seed(2)
    draws = torch.randn(100, 2000, 1, generator=generator)
    alarms = [bool(outstanding_sets(agreement_scores(codes, r, [4] * 8, 2))) for r in draws]
    assert np.mean(alarms) < 0.12  # three standard errors


@pytest.mark.parametrize("order", [5, 6])
def test_a_large_set_stands_out_alone(order):
    codes, _ = draw(n_rows=20_000, n_fields=order + 1, size=2)
    generator = torch.Generator().manual_seed(1)
    signs = 1 - 2 * codes.double()
    noise = torch.randn(20_000, generator=generator, dtype=torch.float64)
    residuals = noise + 0.3 * signs[:, :2].prod(1) + 0.2 * signs[:, :order].prod(1)
    scores = agreement_scores(codes, residuals[:, None], [2] * (order + 1), order)
    planted = tuple(range(order))
    assert scores.pop(planted) > 10
    assert max(scores.values()) < 3


@pytest.mark.parametrize("order", [2, 3])
def test_what_fewer_fields_explain_is_not_counted_for_more(order):
    codes, _ = draw(n_rows=20_000, n_fields=5, size=6)
    generator = torch.Generator().manual_seed(1)
    tables = torch.randn(6, 6, 6, generator=generator, dtype=torch.float64)
    noise = torch.randn(20_000, generator=generator, dtype=torch.float64)
    a, b, c = codes[:, :3].long().unbind(1)
    residuals = noise + 0.5 + 0.3 * tables[0, 0][a] + (0.3 * tables[0][a, b] if order == 3 else 0)
    scores = agreement_scores(codes, residuals[:, None], [6] * 5, order)
    assert max(scores.values()) < 4
    residuals += 0.1 * (tables[0][b, c] if order == 2 else tables[a, b, c])
    scores = agreement_scores(codes, residuals[:, None], [6] * 5, order)
    fields = (1, 2) if order == 2 else (0, 1, 2)
    assert outstanding_sets(scores) == [fields]


def test_a_field_that_follows_from_another_adds_nothing():
    codes, residuals = draw(n_rows=500)
    codes[:, 1] = codes[:, 0] // 2
    scores = agreement_scores(codes, residuals, [3] * 4, 2)
    assert scores[0, 1] == 0
    assert all(score != 0 for fields, score in scores.items() if fields != (0, 1))


def test_where_every_row_is_alone_hashing_finds_nothing(monkeypatch):
    """As a user and a movie, and the year of the movie: pairs of rows agree by their hash alone."""
    monkeypatch.setattr(joint_cells, "MOST_CELLS", 2**10)
    generator = torch.Generator().manual_seed(0)
    users, movies = (torch.randint(n, (5000,), generator=generator) for n in (400, 300))
    columns = [users, movies, movies // 4, users // 8]
    codes, sizes = torch.stack(columns, 1).int(), [400, 300, 75, 50]
    effects = torch.randn(400, generator=generator), torch.randn(300, generator=generator)
    residuals = torch.randn(5000, generator=generator) + effects[0][users] + effects[1][movies]
    scores = agreement_scores(codes, 0.2 + residuals[:, None], sizes, 3)
    assert max(map(abs, scores.values())) < 4


def test_hashed_cells_hardly_change_the_scores(monkeypatch):
    codes, residuals = draw(n_rows=2000, size=8)
    exact = agreement_scores(codes, residuals, [8] * 4, 3)
    monkeypatch.setattr(joint_cells, "MOST_CELLS", 2**8)  # 512 joint values
    hashed = agreement_scores(codes, residuals, [8] * 4, 3)
    assert exact != hashed
    assert max(abs(exact[s] - hashed[s]) for s in exact) < 4  # noise of the added pairs


def test_some_sets_are_scored_as_among_all():
    codes, residuals = draw(n_rows=500)
    whole = agreement_scores(codes, residuals, [3] * 4, 2)
    some = agreement_scores(codes, residuals, [3] * 4, 2, [(1, 3), (0, 2)])
    assert some == {fields: whole[fields] for fields in [(1, 3), (0, 2)]}


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_rough_scores_are_sums_over_pairs_of_rows(n_outputs):
    codes, residuals = draw(n_outputs=n_outputs)
    sets = [(0, 1), (1, 2, 3)]
    mean = residuals.square().sum(1).mean()
    for fields, score in zip(sets, rough_scores(codes, residuals, [3] * 4, sets), strict=True):
        alike = torch.from_numpy(joint_values(codes, fields) @ joint_values(codes, fields).T)
        alike.fill_diagonal_(0)
        total = (alike * (residuals @ residuals.T)).sum()
        np.testing.assert_allclose(score, total / (mean * (2 * alike.sum()).sqrt()))
    unique = torch.arange(60)[:, None].expand(-1, 2).int()
    assert rough_scores(unique, residuals, [60, 60], [(0, 1)]).tolist() == [0.0]


@pytest.mark.parametrize("size", [3, 2**20])
def test_joint_codes_tell_combinations_apart(size):
    codes = draw()[0].long() * (size // 3)
    found = joint_codes([codes[:, 0], codes[:, 2], codes[:, 3]], [size] * 3)
    assert int(found.max()) < len(codes)
    alike = (codes[:, None, [0, 2, 3]] == codes[None, :, [0, 2, 3]]).all(2)
    assert torch.equal(found[:, None] == found[None, :], alike)


def nearly_constant(n_others, n_rows=5000, seed=0):
    column = torch.zeros(n_rows, dtype=torch.int32)
    column[torch.randperm(n_rows, generator=torch.Generator().manual_seed(seed))[:n_others]] = 1
    return column


def test_sets_of_a_nearly_constant_field_are_not_tested():
    codes, residuals = draw(n_rows=5000, n_fields=2, size=4)
    few, enough = nearly_constant(19), nearly_constant(20, seed=1)
    codes = torch.column_stack([codes, few, enough, torch.ones_like(few)])
    residuals = residuals.sign()
    scores = agreement_scores(codes, residuals, [4, 4, 2, 2, 2], 2)
    tested = {fields for fields, score in scores.items() if score != 0}
    assert tested == {(0, 1), (0, 3), (1, 3)}  # the constant one has no other value at all


def test_of_rare_positives_only_these_count_as_rows():
    codes, _ = draw(n_rows=5000, n_fields=3, size=4)
    codes[:, 2] = nearly_constant(1000)
    generator = torch.Generator().manual_seed(0)
    y = (torch.rand(5000, generator=generator) < 0.01).double()
    scores = agreement_scores(codes, (y - 0.01)[:, None], [4, 4, 2], 2)
    assert scores[0, 1] != 0
    assert scores[0, 2] == scores[1, 2] == 0  # 10 positives among its 1,000 rows


def test_rows_without_weight_do_not_count():
    codes, residuals = draw(n_rows=3000, size=4)
    residuals[::3] = 0
    kept = residuals[:, 0] != 0
    weighted = agreement_scores(codes, residuals, [4] * 4, 2)
    assert weighted == agreement_scores(codes[kept], residuals[kept], [4] * 4, 2)
    assert set(agreement_scores(codes, 0 * residuals, [4] * 4, 2).values()) == {0.0}


def noise_table(kind, rng, n_rows=4000):
    """Columns on which statistics of cells fail: rare values, cells of one row, copies."""

    def zipf(size):
        p = 1 / np.arange(1.0, size + 1)
        return rng.choice(size, n_rows, p=p / p.sum())

    columns = [rng.integers(0, size, n_rows) for size in (2, 5, 30)]
    if kind == "near constant":
        shares = (0.02, 0.01, 0.005, 0.003, 0.001, 0.0002)
        columns += [(rng.random(n_rows) < share).astype(int) for share in shares]
        columns += [np.zeros(n_rows, dtype=int)]
    if kind == "zipf":
        columns += [zipf(size) for size in (3, 10, 50, 300, 2000)]
    if kind == "ids":
        columns += [np.arange(n_rows), rng.integers(0, 3000, n_rows), rng.integers(0, 500, n_rows)]
        columns += [columns[4] // 5, rng.integers(0, 20_000, n_rows)]
    if kind == "dependent":
        for share in (0.95, 0.8, 0.5):
            columns.append(
                np.where(rng.random(n_rows) < share, columns[2], rng.permutation(columns[2]))
            )
        columns += [columns[2] // 4, columns[1] * 30 + columns[2]]
    codes = [np.unique(column, return_inverse=True)[1] for column in columns]
    return torch.from_numpy(np.stack(codes, 1)).int(), [int(c.max()) + 1 for c in codes]


@pytest.mark.parametrize("kind", ["near constant", "zipf", "ids", "dependent"])
@pytest.mark.parametrize("positive", [0.46, 0.02])
def test_tables_of_noise_seldom_have_a_significant_set(kind, positive):
    """At most 6 of 40: more come by chance once in 300 times, if 5 % is true."""
    n_alarms = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        codes, sizes = noise_table(kind, rng)
        y = rng.random(len(codes)) < positive
        residuals = torch.from_numpy(y - y.mean())[:, None]
        n_alarms += bool(outstanding_sets(agreement_scores(codes, residuals, sizes, 2)))
    assert n_alarms <= 6


def test_scores_of_noise_are_normal_deviates():
    """In cells of 30 rows, and of one or two; also where the residuals are a model's own rows'."""
    rng = np.random.default_rng(0)
    for size, heart in [(10, 0.0), (60, 0.0), (60, 0.5)]:
        scores = []
        for _ in range(15):
            columns = rng.integers(0, size, (3000, 6))
            rest = (rng.random(3000) < 0.46) - 0.46
            for column in columns.T if heart else ():
                means = np.bincount(column, rest) / np.bincount(column)
                rest = rest - heart * means[column]
            codes, residuals = torch.from_numpy(columns).int(), torch.from_numpy(rest)[:, None]
            scores += list(agreement_scores(codes, residuals, [size] * 6, 2).values())
        # 225 nearly independent scores.
        assert abs(np.mean(scores)) < 0.3
        assert 0.8 < np.std(scores) < 1.2


@pytest.mark.parametrize("n_classes", [2, 3])
def test_more_outputs_have_the_variance_that_is_said(n_classes):
    """Residuals of classes depend on each other: those of two classes are one and its negative."""
    rng = np.random.default_rng(1)
    scores = []
    for _ in range(40):
        codes = torch.from_numpy(rng.integers(0, 12, (2000, 4))).int()
        y = rng.integers(0, n_classes, 2000)
        residuals = torch.from_numpy(np.eye(n_classes)[y] - 1 / n_classes)
        scores += list(agreement_scores(codes, residuals, [12] * 4, 2).values())
        if n_classes == 2:
            one = agreement_scores(codes, residuals[:, :1], [12] * 4, 2)
            np.testing.assert_allclose(scores[-6:], list(one.values()), atol=1e-6)
    assert abs(np.std(scores) - 1) < 0.15  # 240 scores: three standard errors


def test_one_outlier_stands_out_and_shared_inflation_does_not():
    quantiles = torch.special.ndtri((torch.arange(190) + 0.5) / 190)
    values = (8 + 3 * quantiles).tolist()
    scores = dict(zip(combinations(range(20), 2), values, strict=True))
    assert not outstanding_sets(scores)
    scores[3, 7] = 60.0
    assert outstanding_sets(scores) == [(3, 7)]


def test_what_lowers_all_scores_does_not_lower_the_limit():
    quantiles = torch.special.ndtri((torch.arange(190) + 0.5) / 190)
    values = (quantiles / 2 - 6).tolist()
    scores = dict(zip(combinations(range(20), 2), values, strict=True))
    scores[3, 7] = 3.0
    assert not outstanding_sets(scores)
    assert not outstanding_sets(dict.fromkeys(scores, 0.0))  # nothing could be tested


@pytest.fixture(scope="module")
def planted():
    clicks = make_clicks(
        40_000, 8, 20, crosses=[(0, 1), (2, 3, 4)], main_effect=0.0, random_state=0
    )
    columns = [clicks.X[name].str.split("_").str[1].astype(int) for name in clicks.X]
    codes = torch.from_numpy(np.column_stack(columns)).int()
    residuals = torch.from_numpy(clicks.y - clicks.y.mean())[:, None]
    return clicks, codes, residuals


@pytest.mark.parametrize("fields", [(0, 1), (2, 3, 4)])
def test_a_planted_cross_without_traces_has_the_highest_score(planted, fields):
    _, codes, residuals = planted
    found = outstanding_sets(agreement_scores(codes, residuals, [20] * 8, len(fields)))
    assert found[0] == fields


def test_rows_follow_the_budget():
    assert affordable_rows(5_000, 20, 3) == 5_000
    assert affordable_rows(10**7, 20, 3) == 200_000
    assert affordable_rows(10**7, 39, 4) == 10**9 // 82_251
    assert affordable_rows(10**7, 100, 4) == 0  # 3.9 million sets

"""Crosses as constraints of other models."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from sparsectr.interactions.constraints import to_interaction_constraints
from sparsectr.interactions.interaction import Interaction

NAMES = ["a", "b", "c", "d", "e"]
CROSSES = [
    Interaction(("a", "b"), 2, 0.9),
    Interaction(("b", "c", "e"), 3, 0.5),
    Interaction(("b", "a"), 2, 0.4),
]


@pytest.mark.parametrize(
    ("library", "expected"),
    [
        ("sklearn", [[0, 1], [1, 2, 4], [3]]),
        ("lightgbm", [[0, 1], [1, 2, 4], [3]]),
        ("xgboost", [["a", "b"], ["b", "c", "e"], ["d"]]),
        ("interpret", [(0, 1), (1, 2, 4)]),
    ],
)
def test_forms(library, expected):
    assert to_interaction_constraints(CROSSES, NAMES, library=library) == expected


def test_without_crosses_every_column_stands_alone():
    assert to_interaction_constraints([], ["a", "b"]) == [[0], [1]]
    assert to_interaction_constraints([], ["a", "b"], library="interpret") == []


@pytest.fixture(scope="module")
def rows():
    """Log-odds of which (0, 1) and (2, 3) are crosses and 4 is not."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, size=(4_000, 5)).astype(float)
    log_odds = 3 * X[:, 0] * X[:, 1] + 3 * X[:, 2] * X[:, 3] + X[:, 4] - 2
    return X, (rng.uniform(size=4_000) < 1 / (1 + np.exp(-log_odds))).astype(int)


def second_difference(score, X, j, k):
    """How much the effect of column j depends on column k, at most over the rows."""
    corner = {}
    for a in (0.0, 1.0):
        for b in (0.0, 1.0):
            moved = X.copy()
            moved[:, [j, k]] = a, b
            corner[a, b] = score(moved)
    return np.abs(corner[1, 1] - corner[1, 0] - corner[0, 1] + corner[0, 0]).max()


def test_hist_gradient_boosting_crosses_only_what_it_may(rows):
    X, y = rows
    crosses = [Interaction(("a", "b"), 2, 1.0)]
    clf = HistGradientBoostingClassifier(
        interaction_cst=to_interaction_constraints(crosses, NAMES), max_iter=30, random_state=0
    ).fit(X, y)
    effects = {
        (j, k): second_difference(clf.decision_function, X[:200], j, k)
        for j in range(5)
        for k in range(j)
    }
    assert effects.pop((1, 0)) > 1
    assert max(effects.values()) < 1e-9
    # Columns of no cross are still used.
    assert np.ptp(clf.decision_function(X[:1] * 0 + np.eye(5)[[3, 4]])) > 0.1


@pytest.mark.parametrize(
    ("names", "library", "message"),
    [
        (["a", "b", "c", "d"], "sklearn", "feature_names must contain .*'e'"),
        ([*NAMES, "a"], "sklearn", "must all be different"),
        (NAMES, "catboost", "library must be one of .* got 'catboost'"),
    ],
)
def test_what_is_refused(names, library, message):
    with pytest.raises(ValueError, match=message):
        to_interaction_constraints(CROSSES, names, library=library)


def test_what_is_no_interaction():
    for wrong in (1, ("a", "b"), "ab"):
        with pytest.raises(TypeError, match=r"interactions must be a list of Interaction, .* got"):
            to_interaction_constraints([wrong], ["a", "b"])

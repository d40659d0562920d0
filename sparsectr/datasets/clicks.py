"""Synthetic click logs whose crosses are known."""

from collections.abc import Iterable, Sequence
from math import prod
from numbers import Integral

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.utils import Bunch, check_random_state

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def make_clicks(
    n_samples: int = 10_000,
    n_fields: int = 10,
    cardinality: int | Sequence[int] = 50,
    *,
    crosses: Sequence[tuple[int, ...]] = ((0, 1), (2, 3, 4)),
    base_rate: float = 0.2,
    main_effect: float = 0.3,
    cross_effect: float = 0.8,
    shadow: float = 0.0,
    active_share: float = 1.0,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Generate a table of categorical fields and clicks with planted crosses.

    The fields are independent and their values follow Zipf's law. The log-odds of a click are

        intercept + main_effect * sum_f m_f(x_f) + cross_effect * sum_C prod_{f in C} u_{C,f}(x_f)

    where every score ``m_f`` and ``u_{C,f}`` has mean 0 and variance 1 under the frequencies of
    its field. The table of a cross therefore has mean 0 along each of its axes: in the population,
    neither a single field nor a smaller cross tells anything about it. Being a product of scores,
    it can still be learnt from far fewer rows than the table has cells.

    Parameters
    ----------
    n_samples : int, default=10_000
        Number of rows.
    n_fields : int, default=10
        Number of fields, named ``"f0"``, ``"f1"``, ...
    cardinality : int or sequence of int, default=50
        Number of values of every field, or of each field. At least 2.
    crosses : sequence of tuples of int, default=((0, 1), (2, 3, 4))
        The planted crosses, each as the positions of two or more fields.
    base_rate : float, default=0.2
        Mean probability of a click in the rows returned; the intercept is solved for it.
    main_effect : float, default=0.3
        Standard deviation, in log-odds, of what each single field adds.
    cross_effect : float, default=0.8
        Standard deviation, in log-odds, of what each cross adds (with ``shadow=0``).
    shadow : float, default=0.0
        How much of the lower orders a cross casts, in [0, 1]: its scores are raised by this mean.
        Each subset of m of the k fields of a cross then adds an effect of its own with standard
        deviation ``cross_effect * shadow ** (k - m)``.
    active_share : float, default=1.0
        Share of the rows, in (0, 1], in which each cross is active. Below 1, a cross adds nothing
        for some values of its first field. Frequent and rare values are found on both sides, and
        their mass comes as near to the share as the frequencies allow. The standard deviation over
        all rows remains ``cross_effect``.
    random_state : int, RandomState instance or None, default=None
        Seed. The planted truth is drawn before the rows and does not depend on ``n_samples``
        (apart from the intercept).

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        X : DataFrame of shape (n_samples, n_fields)
            Strings; value 17 of field ``f3`` is ``"f3_17"``. Value 0 is the most frequent.
        y : ndarray of shape (n_samples,), int64
            1 for a click, 0 for none.
        log_odds : ndarray of shape (n_samples,), float64
            True log-odds of a click.
        intercept : float
            The constant among them.
        crosses : list of tuples of str
            Names of the fields of each planted cross.
        cross_log_odds : ndarray of shape (n_samples, n_crosses), float64
            What each cross adds to the log-odds of each row.
        cross_scores : list of lists of ndarray
            For each cross and each of its fields, the score of every value, float64. The table of
            a cross is ``cross_effect`` times their outer product.
        active : ndarray of shape (n_samples, n_crosses), bool
            Whether a cross is active in a row.
        active_values : list of lists of str
            For each cross, the values of its first field for which it is active.
        frequencies : list of ndarray
            For each field, the probability of every value, float64.

    Raises
    ------
    ValueError
        If a parameter lies outside its range, a cross names a field twice or one that does not
        exist, or ``active_share`` leaves fewer than two values of a field on the active side.

    Examples
    --------
    >>> from sparsectr.datasets import make_clicks
    >>> clicks = make_clicks(1_000, crosses=[(0, 1), (2, 3, 4)], random_state=0)
    >>> clicks.X.shape
    (1000, 10)
    >>> clicks.crosses
    [('f0', 'f1'), ('f2', 'f3', 'f4')]
    """
    sizes = _check_sizes(n_samples, n_fields, cardinality)
    _check_crosses(crosses, n_fields)
    _check_effects(base_rate, main_effect, cross_effect, shadow, active_share)
    rng = check_random_state(random_state)

    frequencies = [_zipf(size) for size in sizes]
    main_scores = [_draw_score(p, np.ones(len(p), dtype=bool), rng) for p in frequencies]
    gates = [_draw_gate(frequencies[cross[0]], active_share, rng) for cross in crosses]
    scores = [
        _draw_cross_scores([frequencies[f] for f in cross], gate, shadow, rng)
        for cross, gate in zip(crosses, gates, strict=True)
    ]

    codes = np.column_stack([rng.choice(len(p), size=n_samples, p=p) for p in frequencies])
    cross_log_odds = np.empty((n_samples, len(crosses)))
    for i, cross in enumerate(crosses):
        cross_log_odds[:, i] = cross_effect * prod(
            score[codes[:, f]] for f, score in zip(cross, scores[i], strict=True)
        )
    log_odds = cross_log_odds.sum(axis=1)
    for f, score in enumerate(main_scores):
        log_odds += main_effect * score[codes[:, f]]
    intercept = _solve_intercept(log_odds, base_rate)
    log_odds += intercept
    y = (rng.uniform(size=n_samples) < expit(log_odds)).astype(np.int64)

    names = [f"f{f}" for f in range(n_fields)]
    values = [pd.Index([f"{names[f]}_{v}" for v in range(size)]) for f, size in enumerate(sizes)]
    return Bunch(
        X=pd.DataFrame({names[f]: values[f].take(codes[:, f]) for f in range(n_fields)}),
        y=y,
        log_odds=log_odds,
        intercept=intercept,
        crosses=[tuple(names[f] for f in cross) for cross in crosses],
        cross_log_odds=cross_log_odds,
        cross_scores=scores,
        active=_rows_where_active(codes, crosses, gates),
        active_values=[
            values[cross[0]][gate].tolist() for cross, gate in zip(crosses, gates, strict=True)
        ],
        frequencies=frequencies,
    )


def _zipf(size: int) -> FloatArray:
    mass: FloatArray = 1.0 / np.arange(1, size + 1, dtype=np.float64)
    mass /= mass.sum()
    return mass


def _draw_score(p: FloatArray, gate: BoolArray, rng: np.random.RandomState) -> FloatArray:
    """Draw a score per value: 0 where the gate is closed, weighted mean 0, weighted variance 1."""
    # Uniform rather than normal: products of three normals are so heavy-tailed that most rows
    # would hardly feel the cross.
    score: FloatArray = rng.uniform(-1.0, 1.0, size=len(p))
    score = np.where(gate, score - np.average(score, weights=p * gate), 0.0)
    score /= np.sqrt(p @ score**2)
    return score


def _draw_cross_scores(
    frequencies: list[FloatArray], gate: BoolArray, shadow: float, rng: np.random.RandomState
) -> list[FloatArray]:
    """Draw the scores of the fields of a cross; the gate holds for its first field."""
    gates = [gate] + [np.ones(len(p), dtype=bool) for p in frequencies[1:]]
    return [
        _draw_score(p, open_, rng) + shadow * open_
        for p, open_ in zip(frequencies, gates, strict=True)
    ]


def _draw_gate(p: FloatArray, share: float, rng: np.random.RandomState) -> BoolArray:
    """Choose the active values so that their mass stays near its share at every frequency."""
    gate = np.empty(len(p), dtype=bool)
    gate[0] = rng.uniform() < share
    # Each further value, by falling frequency, goes where it leaves the smaller error. Of
    # |active + p - share * seen| and |active - share * seen|, the first is the smaller one when:
    active, seen = p[0] * gate[0], p[0]
    for v in range(1, len(p)):
        seen += p[v]
        gate[v] = active + p[v] / 2 <= share * seen
        active += p[v] * gate[v]
    if gate.sum() < 2:
        raise ValueError(
            "active_share must leave at least two active values in the first field of every "
            f"cross, got {gate.sum()} of {len(p)} values with active_share={share!r}; raise "
            "active_share or cardinality."
        )
    return gate


def _rows_where_active(
    codes: npt.NDArray[np.intp], crosses: Sequence[tuple[int, ...]], gates: list[BoolArray]
) -> BoolArray:
    active = np.empty((len(codes), len(crosses)), dtype=bool)
    for i, (cross, gate) in enumerate(zip(crosses, gates, strict=True)):
        active[:, i] = gate[codes[:, cross[0]]]
    return active


def _solve_intercept(log_odds: FloatArray, base_rate: float) -> float:
    """Find the constant with which the mean probability equals the base rate."""
    logit = np.log(base_rate) - np.log1p(-base_rate)
    # At these ends every row lies on one side of the base rate.
    low, high = logit - log_odds.max() - 1.0, logit - log_odds.min() + 1.0
    return float(brentq(lambda b: expit(log_odds + b).mean() - base_rate, low, high, xtol=1e-13))


def _check_sizes(n_samples: int, n_fields: int, cardinality: int | Sequence[int]) -> list[int]:
    for name, count in [("n_samples", n_samples), ("n_fields", n_fields)]:
        if not isinstance(count, Integral) or count < 1:
            raise ValueError(f"{name} must be an int >= 1, got {count!r}.")
    sizes = list(cardinality) if isinstance(cardinality, Iterable) else [cardinality] * n_fields
    if len(sizes) != n_fields:
        raise ValueError(
            f"cardinality must be an int or hold one int for each of the {n_fields} fields, "
            f"got {len(sizes)} of them."
        )
    for size in sizes:
        if not isinstance(size, Integral) or size < 2:
            raise ValueError(f"cardinality must be an int >= 2 for every field, got {size!r}.")
    return [int(size) for size in sizes]


def _check_crosses(crosses: Sequence[tuple[int, ...]], n_fields: int) -> None:
    for cross in crosses:
        if len(cross) < 2 or len(set(cross)) < len(cross):
            raise ValueError(f"A cross must consist of two or more different fields, got {cross}.")
        if not all(isinstance(f, Integral) and 0 <= f < n_fields for f in cross):
            raise ValueError(
                f"A cross must consist of positions from 0 to n_fields - 1 = {n_fields - 1}, "
                f"got {cross}."
            )


def _check_effects(
    base_rate: float, main_effect: float, cross_effect: float, shadow: float, active_share: float
) -> None:
    if not 0 < base_rate < 1:
        raise ValueError(f"base_rate must be a float in (0, 1), got {base_rate!r}.")
    for name, effect in [("main_effect", main_effect), ("cross_effect", cross_effect)]:
        if not 0 <= effect < np.inf:
            raise ValueError(f"{name} must be a finite float >= 0, got {effect!r}.")
    if not 0 <= shadow <= 1:
        raise ValueError(f"shadow must be a float in [0, 1], got {shadow!r}.")
    if not 0 < active_share <= 1:
        raise ValueError(f"active_share must be a float in (0, 1], got {active_share!r}.")

"""Tables with planted crosses, drawn in another way than those of `make_clicks`.

A cross is a table of independent normal numbers for the joint values of its fields, centred along
every axis as the rows weigh it, so that no smaller set holds a part of it. Beside it there are main
effects of all fields, fields of noise, numbers, copies and coarse versions of a field, fields that
often follow another, nearly constant ones and one that is nearly unique. The target is a class, a
number with noise of one of several kinds, or a count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class PlantedTable:
    """Rows, and what is true of them.

    Attributes
    ----------
    X : DataFrame of shape (n_rows, n_fields)
        Columns of strings, and of floats for numeric fields.
    y : ndarray of shape (n_rows,)
        Classes 0 and 1, numbers or counts.
    crosses : list of tuples of str
        Names of the fields of the planted crosses, in column order.
    stand_ins : dict of str to str
        Name of a field that stands for another to the name of that field.
    log_odds : ndarray of shape (n_rows,)
        Sum of all effects: of numbers their mean, of counts the logarithm of it.
    target : str
        As in the plan.
    """

    X: pd.DataFrame
    y: np.ndarray
    crosses: list[tuple[str, ...]]
    stand_ins: dict[str, str]
    log_odds: np.ndarray
    target: str = "classes"

    def is_true(self, fields: Sequence[str]) -> bool:
        """Tell whether a set of fields is a planted cross, or stands for one."""
        return self.original(fields) in self.crosses

    def original(self, fields: Sequence[str]) -> tuple[str, ...]:
        """Put the fields that others stand for in their place, in column order."""
        names = {self.stand_ins.get(name, name) for name in fields}
        return tuple(name for name in self.X.columns if name in names)


@dataclass
class TablePlan:
    """Say what a table holds.

    Attributes
    ----------
    n_rows, n_fields, n_values : int
        Rows, categorical fields of their own, and values of each.
    crosses : dict of tuple of int to float
        Fields of a cross to the standard deviation of its effect on the log-odds.
    main : float
        Standard deviation of the main effect of every field.
    base : float
        Log-odds of a row without effects.
    zipf : float
        Frequencies of values fall with this power of their rank; 0 for uniform ones.
    n_noise : int
        Further fields without any effect.
    n_numeric : int
        Further numeric fields, with a smooth main effect.
    copies, coarse : tuple of int
        Fields of which there is a relabelled copy, and a version with a third of the values.
    followers : dict of int to float
        Field to the share of rows in which a further field, with a main effect of its own, follows
        it.
    n_nearly_constant : int
        Further fields of which 99 to 99.98 % are one value.
    nearly_unique : bool
        Whether there is a field whose values have one or two rows.
    target : str
        What y is: "classes", "counts", or numbers with the noise that is named; see `TARGETS`.
    """

    n_rows: int = 50_000
    n_fields: int = 14
    n_values: int = 10
    crosses: dict[tuple[int, ...], float] = field(default_factory=dict)
    main: float = 0.4
    base: float = -0.5
    zipf: float = 0.0
    n_noise: int = 0
    n_numeric: int = 0
    copies: tuple[int, ...] = ()
    coarse: tuple[int, ...] = ()
    followers: dict[int, float] = field(default_factory=dict)
    n_nearly_constant: int = 0
    nearly_unique: bool = False
    target: str = "classes"


def draw_table(plan: TablePlan, seed: int) -> PlantedTable:
    """Draw the rows of a plan.

    Parameters
    ----------
    plan : TablePlan
        What the table holds.
    seed : int
        Seed of everything that is drawn.
    """
    rng = np.random.default_rng(seed)
    n = plan.n_rows
    columns: dict[str, np.ndarray] = {}
    for k in range(plan.n_fields):
        columns[f"f{k}"] = _draw_values(rng, n, plan.n_values, plan.zipf)
    for k, share in plan.followers.items():
        own = _draw_values(rng, n, plan.n_values, plan.zipf)
        columns[f"follows_f{k}"] = np.where(rng.random(n) < share, columns[f"f{k}"], own)
    log_odds = np.full(n, float(plan.base))
    for values in columns.values():
        log_odds += plan.main * _standard(rng.normal(size=values.max() + 1)[values])
    crosses = []
    for fields, sd in plan.crosses.items():
        crosses.append(tuple(f"f{k}" for k in fields))
        log_odds += sd * _standard(draw_effect(rng, [columns[f"f{k}"] for k in fields]))
    stand_ins = {f"follows_f{k}": f"f{k}" for k in plan.followers}
    for k in plan.copies:
        columns[f"copy_f{k}"] = rng.permutation(plan.n_values)[columns[f"f{k}"]]
        stand_ins[f"copy_f{k}"] = f"f{k}"
    for k in plan.coarse:
        columns[f"coarse_f{k}"] = columns[f"f{k}"] // 3
        stand_ins[f"coarse_f{k}"] = f"f{k}"
    for k in range(plan.n_noise):
        columns[f"noise{k}"] = _draw_values(rng, n, plan.n_values, plan.zipf)
    for k, share in enumerate(np.geomspace(0.01, 0.0002, plan.n_nearly_constant)):
        columns[f"rare{k}"] = (rng.random(n) < share).astype(int)
    if plan.nearly_unique:
        columns["id"] = rng.integers(0, 2 * n, n)
    X = pd.DataFrame({name: _as_text(name, values) for name, values in columns.items()})
    for k in range(plan.n_numeric):
        numbers = rng.normal(size=n)
        log_odds += plan.main * np.sin(numbers + rng.uniform(0, 6))
        X[f"number{k}"] = numbers
    y = TARGETS[plan.target](rng, log_odds, columns)
    X = X[rng.permutation(X.columns)]
    crosses = [tuple(name for name in X.columns if name in cross) for cross in crosses]
    return PlantedTable(X, y, crosses, stand_ins, log_odds, plan.target)


def draw_effect(rng: np.random.Generator, columns: Sequence[np.ndarray]) -> np.ndarray:
    """Draw the effect of a cross on every row, with mean zero along every axis, (n_rows,)."""
    cells = tuple(columns)
    table = rng.normal(size=[column.max() + 1 for column in columns])
    counts = np.zeros_like(table)
    np.add.at(counts, cells, 1)
    for _ in range(30):
        for axis in range(len(columns)):
            means = (table * counts).sum(axis, keepdims=True)
            table -= means / np.maximum(counts.sum(axis, keepdims=True), 1)
    return table[cells]


def _draw_classes(rng, log_odds, columns):
    return (rng.random(len(log_odds)) < 1 / (1 + np.exp(-log_odds))).astype(int)


def _draw_unequal(rng, mean, columns):
    """Noise whose standard deviation is .1 to 4, by the joint values of two fields."""
    return mean + _draw_spreads(rng, columns) * rng.normal(size=len(mean))


def _draw_skewed_unequal(rng, mean, columns):
    """Noise of mean zero that is skewed, and more spread in some pairs of values than in others."""
    noise = rng.lognormal(0.0, 1.5, len(mean)) - np.exp(1.5**2 / 2)
    return mean + _draw_spreads(rng, columns) * noise


def _draw_spreads(rng, columns):
    first, second = columns["f0"], columns["f1"]
    spreads = np.geomspace(0.1, 4.0, 50)[rng.integers(0, 50, (first.max() + 1, second.max() + 1))]
    return spreads[first, second]


def _draw_heavy(rng, mean, columns):
    """Student's noise of two degrees of freedom, whose variance is infinite."""
    return mean + rng.standard_t(2, len(mean))


def _draw_skewed(rng, mean, columns):
    """Noise of a lognormal distribution, of which one row in a thousand is 100 times the median."""
    return mean + rng.lognormal(0.0, 1.5, len(mean))


def _draw_overdispersed(rng, log_mean, columns):
    """Counts whose means are multiplied by a number of mean 1 and variance 2."""
    return rng.poisson(np.exp(log_mean) * rng.gamma(0.5, 2.0, len(log_mean)))


# Way of drawing targets -> function of a generator, the sums of all effects (n_rows,) and the
# columns of the fields.
TARGETS = {
    "classes": _draw_classes,
    "normal": lambda rng, mean, columns: mean + rng.normal(size=len(mean)),
    "unequal": _draw_unequal,
    "heavy": _draw_heavy,
    "skewed": _draw_skewed,
    "skewed and unequal": _draw_skewed_unequal,
    "counts": lambda rng, log_mean, columns: rng.poisson(np.exp(log_mean)),
    "overdispersed": _draw_overdispersed,
}


def _draw_values(rng: np.random.Generator, n: int, size: int, zipf: float) -> np.ndarray:
    shares = np.arange(1.0, size + 1) ** -zipf
    return rng.choice(size, n, p=shares / shares.sum())


def _standard(effect: np.ndarray) -> np.ndarray:
    return (effect - effect.mean()) / max(effect.std(), 1e-12)


def _as_text(name: str, values: np.ndarray) -> np.ndarray:
    numbers, places = np.unique(values, return_inverse=True)
    return np.array([f"{name}_{number}" for number in numbers], dtype=object)[places]

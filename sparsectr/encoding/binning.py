"""Numbers -> bins: quantiles and two logarithmic rules."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsectr.encoding.vocabulary import N_RESERVED, UNKNOWN, as_number, most_frequent
from sparsectr.stored_state import check_array, damaged, reading

RULES = ("quantile", "log_squared", "log_square")


class Bins:
    """Map the numbers of one field to codes of bins.

    A rule turns a number into a level; cuts between the levels seen in training separate the
    bins, so that a number never seen falls into the bin of the nearest level.

    Parameters
    ----------
    rule : {"quantile", "log_squared", "log_square"}
        The level of a number v: v itself, `log_squared` or `log_square` of v.
    cuts : ndarray of float64, shape (n_bins - 1,)
        A level belongs to the bin whose index is the number of cuts below it.
    codes_of_bins : ndarray of int32, shape (n_bins,)
        Code of each bin; 0 for bins rarer than the limit.
    values : ndarray of float64, shape (n_kept_bins,)
        A training number of each bin that has a code, in the order of the codes.

    Attributes
    ----------
    size : int
        Number of codes, those of unknown and missing included.
    """

    def __init__(
        self,
        rule: str,
        cuts: NDArray[np.float64],
        codes_of_bins: NDArray[np.int32],
        values: NDArray[np.float64],
    ) -> None:
        self.rule = rule
        self.cuts = cuts
        self.codes_of_bins = codes_of_bins
        self.values = values

    @property
    def size(self) -> int:
        return N_RESERVED + len(self.values)

    def codes(self, values: NDArray[Any]) -> NDArray[np.int32]:
        """Find the bins of numbers, shapes (m,) -> (m,); infinities fall into the outer bins."""
        levels = _levels(as_numbers(values), self.rule)
        return self.codes_of_bins[np.searchsorted(self.cuts, levels)]

    def code(self, value: int | float) -> int:
        """Find the bin of one number."""
        return int(self.codes(np.array([value]))[0])

    def __setstate__(self, state: dict[str, Any]) -> None:
        with reading("Bins"):
            cuts = check_array("Bins.cuts", state["cuts"], "f", (None,), finite=False)
            values = check_array("Bins.values", state["values"], "f", (None,), finite=False)
            codes = check_array("Bins.codes_of_bins", state["codes_of_bins"], "i", (len(cuts) + 1,))
            known = state["rule"] in RULES and codes.min() >= 0 and (cuts[1:] > cuts[:-1]).all()
            if not known or codes.max() >= N_RESERVED + len(values):
                raise damaged("Bins", "its cuts, codes or its rule are none that a fit makes")
            self.__init__(state["rule"], cuts, codes, values)  # type: ignore[misc]


def learn_bins(
    values: NDArray[Any],
    counts: NDArray[np.int64],
    min_count: float,
    max_categories: int | None,
    *,
    rule: str,
    n_bins: int,
) -> Bins:
    """Learn the bins of one field from its distinct values and their counts.

    Parameters
    ----------
    values : ndarray, shape (n_values,)
        Distinct numbers, none missing.
    counts : ndarray of int64, shape (n_values,)
        Number of rows of each.
    min_count, max_categories
        As in `most_frequent`: a bin is a category like any other.
    rule : {"quantile", "log_squared", "log_square"}
        See `Bins`.
    n_bins : int
        Largest number of quantile bins; fewer where `max_categories` is smaller or the rows do
        not suffice for `min_count` in each. No number counts for more than one bin.

    Returns
    -------
    Bins
    """
    seen = counts > 0
    numbers, inverse = np.unique(as_numbers(values[seen]), return_inverse=True)
    rows = np.bincount(inverse, weights=counts[seen], minlength=len(numbers)).astype(np.int64)
    if len(numbers) == 0:
        return Bins(rule, numbers, np.array([UNKNOWN], dtype=np.int32), numbers)
    if rule == "quantile":
        limit = min(n_bins, max_categories or n_bins, int(rows.sum() / max(min_count, 1)))
        last = _quantile_positions(rows, max(limit, 1), min_count)
        cuts = _between(numbers[last[:-1]], numbers[last[:-1] + 1])
        bins = np.searchsorted(cuts, numbers)
    else:
        levels, bins = np.unique(_levels(numbers, rule), return_inverse=True)
        cuts = _between(levels[:-1], levels[1:])
    sizes = np.bincount(bins, weights=rows).astype(np.int64)
    kept = most_frequent(np.arange(len(sizes)), sizes, min_count, max_categories)
    codes_of_bins = np.full(len(sizes), UNKNOWN, dtype=np.int32)
    codes_of_bins[kept] = np.arange(N_RESERVED, N_RESERVED + len(kept))
    return Bins(rule, cuts, codes_of_bins, _medians(numbers, rows, bins, sizes)[kept])


def are_many_integers(values: NDArray[Any], n_bins: int) -> bool:
    """Tell whether numbers are whole and more than there are bins, as ids are, shape (m,)."""
    if len(values) <= n_bins:
        return False
    numbers = as_numbers(values)
    return bool(np.all(numbers == np.trunc(numbers)))


def log_squared(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute floor((ln v)^2) for v > 2 and v cut to an integer otherwise, shapes (m,) -> (m,).

    Notes
    -----
    The numeric columns of OptFeature's data (Lyu et al., "Optimizing feature set for click-through
    rate prediction", 2023) were made this way. Levels coincide: 0.5, 0 and 2.5 all give 0.
    """
    logs = np.log(np.maximum(numbers, 2.0))
    return np.where(numbers > 2.0, np.floor(logs * logs), np.trunc(numbers))


def log_square(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute floor(ln(v^2 + 1)), blind to the sign, shapes (m,) -> (m,).

    Notes
    -----
    The rule of xDeepInt and DynInt, whose papers print floor(log v^2), undefined at 0.
    """
    with np.errstate(divide="ignore"):  # ln 0 = -inf is meant; v^2 itself might overflow
        return np.floor(np.logaddexp(0.0, 2.0 * np.log(np.abs(numbers))))


def as_numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    """Convert distinct values (m,) to float64.

    Raises
    ------
    ValueError
        If a value is not a number; strings are not parsed.
    """
    if values.dtype.kind not in "biufO":
        raise ValueError(f"a numeric field must hold numbers, got {values.dtype} values.")
    if values.dtype == object:
        others = [value for value in values if as_number(value) is None]
        if others:
            raise ValueError(
                f"a numeric field must hold numbers, got {others[0]!r}; convert the column, or "
                "leave it out of numeric_features."
            )
    try:
        return values.astype(np.float64)
    except OverflowError:  # integers of hundreds of digits
        return np.array([_as_float(value) for value in values], dtype=np.float64)


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def _levels(numbers: NDArray[np.float64], rule: str) -> NDArray[np.float64]:
    if rule == "quantile":
        return numbers
    return log_squared(numbers) if rule == "log_squared" else log_square(numbers)


def _quantile_positions(rows: NDArray[np.int64], n_bins: int, min_count: float) -> NDArray[np.intp]:
    """Find the last distinct number of each bin; quantiles that coincide make one bin."""
    if len(rows) <= n_bins:
        return np.arange(len(rows))
    while n_bins > 1 and _fair_share(rows, n_bins) < min_count:
        n_bins -= 1
    # A number that nine rows in ten have needs one bin, and leaves the others to the tenth row:
    # no number counts for more than a bin.
    rows = np.minimum(rows, _fair_share(rows, n_bins))
    # The k-th quantile is the smallest number with at least k / n_bins of the rows up to it;
    # in integers, so that the same counts always give the same bins.
    targets = np.arange(1, n_bins + 1) * rows.sum()
    return np.unique(np.searchsorted(np.cumsum(rows) * n_bins, targets))


def _fair_share(rows: NDArray[np.int64], n_bins: int) -> int:
    """Find how many rows a bin holds if the most frequent numbers have bins of their own.

    Each such number takes its bin away; the share is what the other rows give every other bin,
    and those numbers are the ones with more rows than that.
    """
    descending = np.sort(rows)[::-1][: n_bins - 1]
    others = rows.sum() - np.concatenate([[0], np.cumsum(descending)])
    shares = others // np.arange(n_bins, n_bins - len(others), -1)
    # Taking out a number larger than the share lowers the share, a smaller one raises it.
    return max(int(shares.min()), 1)


def _between(lower: NDArray[np.float64], upper: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the midpoints; a finite number is never cut off together with an infinite one."""
    with np.errstate(invalid="ignore"):  # -inf + inf
        middle = lower / 2 + upper / 2
    middle = np.where(upper == np.inf, np.finfo(np.float64).max, middle)
    # Between adjacent numbers there is no other one.
    return np.where((lower <= middle) & (middle < upper), middle, lower)


def _medians(
    numbers: NDArray[np.float64],
    rows: NDArray[np.int64],
    bins: NDArray[np.intp],
    sizes: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Find the (lower) median number of each bin, shape (n_bins,)."""
    order = np.argsort(bins, kind="stable")
    middles = np.cumsum(sizes) - sizes + (sizes + 1) // 2
    return numbers[order][np.searchsorted(np.cumsum(rows[order]), middles)]

"""The bins of a numeric field as people see them: intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sparsectr.encoding.binning import Bins
from sparsectr.encoding.vocabulary import N_RESERVED

# Significant digits of the bounds, more where rounding would put them beyond a number of the bins.
FEWEST_DIGITS, MOST_DIGITS = 4, 17


class Interval(NamedTuple):
    """Record the numbers between two bounds, each of which belongs to them or not."""

    left: float
    right: float
    left_closed: bool
    right_closed: bool

    def __contains__(self, number: object) -> bool:
        above = self.left <= number if self.left_closed else self.left < number  # type: ignore[operator]
        below = number <= self.right if self.right_closed else number < self.right  # type: ignore[operator]
        return above and below


def intervals_of(bins: Bins) -> list[list[Interval]]:
    """Find the numbers of each bin that has a code.

    Parameters
    ----------
    bins : Bins
        The bins of a field.

    Returns
    -------
    list of lists of Interval
        In the order of the codes from 2 on; a bin holds the numbers in any of its intervals. Those
        of rule "log_square" are of absolute values.
    """
    ends = [-np.inf, *bins.cuts.tolist(), np.inf]
    bins_of_codes = np.argsort(bins.codes_of_bins, kind="stable")
    known = bins_of_codes[np.sort(bins.codes_of_bins) >= N_RESERVED]
    find = {"quantile": _of_numbers, "log_squared": _of_log_squared, "log_square": _of_log_square}
    return [find[bins.rule](ends[b], ends[b + 1]) for b in known.tolist()]


def name_intervals(bins: Bins) -> list[str]:
    """Write the bins that have a code as text, such as ``"(1.355, 1.525]"``.

    Parameters
    ----------
    bins : Bins
        The bins of a field.

    Returns
    -------
    list of str
        Distinct names, in the order of the codes from 2 on. In a field of whole numbers, a bin of
        one number is named by it. Outer bins are open, and stay intervals.
    """
    intervals = intervals_of(bins)
    values = np.abs(bins.values) if bins.rule == "log_square" else bins.values
    for digits in range(FEWEST_DIGITS, MOST_DIGITS + 1):
        names = [[_name(part, digits) for part in parts] for parts in intervals]
        rounded = [[_rounded(part, digits) for part in parts] for parts in intervals]
        distinct = len(set(map(tuple, names))) == len(names)
        if distinct and all(map(_hold, rounded, values.tolist())):
            break
    prefix = "|x| in " if bins.rule == "log_square" else ""
    written = [prefix + " or ".join(parts) for parts in names]
    if _are_whole(bins):
        for code, (parts, value) in enumerate(zip(intervals, values.tolist(), strict=True)):
            if parts[0].right - parts[0].left == 1 and parts[0].left + 0.5 == value:
                written[code] = str(int(value))
    return written


def _are_whole(bins: Bins) -> bool:
    """Tell whether the bins look like those of whole numbers, whose midpoints are halves."""
    cuts = bins.cuts[np.isfinite(bins.cuts)]
    halves = np.all(np.mod(cuts, 0.5) == 0)
    return bins.rule == "quantile" and bool(halves and np.all(bins.values == np.trunc(bins.values)))


def _hold(parts: list[Interval], value: float) -> bool:
    return any(value in part for part in parts)


def _rounded(interval: Interval, digits: int) -> Interval:
    left, right = (float(f"{bound:.{digits}g}") for bound in interval[:2])
    return interval._replace(left=left, right=right)


def _name(interval: Interval, digits: int) -> str:
    left = "[" if interval.left_closed else "("
    right = "]" if interval.right_closed else ")"
    return f"{left}{interval.left:.{digits}g}, {interval.right:.{digits}g}{right}"


def _of_numbers(low: float, high: float) -> list[Interval]:
    """Return the numbers in (low, high]."""
    return [Interval(low, high, False, high < np.inf)]


def _of_log_square(low: float, high: float) -> list[Interval]:
    """Return the absolute values v with floor(ln(v^2 + 1)) in (low, high]."""
    first, last = max(np.floor(low) + 1, 0), np.floor(high)
    with np.errstate(over="ignore"):
        left, right = (float(np.sqrt(np.expm1(level))) for level in (first, last + 1))
    return [Interval(left, right, True, False)]


def _of_log_squared(low: float, high: float) -> list[Interval]:
    """Return the numbers whose `log_squared` is in (low, high]."""
    first, last = np.floor(low) + 1, np.floor(high)
    parts = []
    if first <= 2:  # numbers up to 2, without their fractions
        left = first if first > 0 else first - 1
        right = last + 1 if last >= 0 else last
        parts.append(Interval(left, min(right, 2.0), first > 0, last >= 2))
    if last >= 0:  # numbers above 2
        with np.errstate(over="ignore"):
            left, right = np.exp(np.sqrt(max(first, 0))), np.exp(np.sqrt(last + 1))
        parts.append(Interval(float(max(left, 2.0)), float(right), first > 0, False))
    # Of 2 itself the level is 2, of numbers just above it 0.
    if len(parts) == 2 and parts[0].right_closed and parts[0].right == parts[1].left:
        return [Interval(parts[0].left, parts[1].right, parts[0].left_closed, False)]
    return parts

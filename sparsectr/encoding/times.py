"""Dates, times and durations: one value whatever carries it."""

import datetime as dt
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.generic]

# The unit of an array is the first of these in which all its values are exact. Python's dates and
# times are, in microseconds; seconds reach furthest.
UNITS = ("us", "ns", "ms", "s")

_TIMES = (dt.date, dt.timedelta, np.datetime64, np.timedelta64)  # a datetime is a date, too
_MICROSECOND = dt.timedelta(microseconds=1)
_SECOND = dt.timedelta(seconds=1)


def in_one_unit(*arrays: Array) -> list[Array] | None:
    """Convert arrays of times to one unit, the same for equal sets of values.

    Parameters
    ----------
    *arrays : ndarray of datetime64 or timedelta64, each of shape (n_values,)
        All of datetime64 or all of timedelta64, in any units; without NaT.

    Returns
    -------
    list of ndarray or None
        The same times in the first of `UNITS` in which all of them are exact. None if there is
        no such unit: nanoseconds reach from 1677 to 2262 only.
    """
    for unit in UNITS:
        converted = [_convert(values, unit) for values in arrays]
        if all(exact.all() for _, exact in converted):
            return [values for values, _ in converted]
    return None


def plain_times(values: Array) -> Array:
    """Convert distinct times to the unit of `in_one_unit`.

    Parameters
    ----------
    values : ndarray of datetime64 or timedelta64, shape (n_values,)
        Times in any unit of NumPy, without NaT.

    Returns
    -------
    ndarray of the same kind, shape (n_values,)

    Raises
    ------
    ValueError
        If a time is finer than nanoseconds, too far away, or a duration in months or years, which
        have no fixed length.
    """
    unit = np.datetime_data(cast(np.dtype[np.datetime64], values.dtype))[0]
    fixed = values.dtype.kind == "M" or unit not in ("Y", "M", "generic")
    plain = in_one_unit(values) if fixed or len(values) == 0 else None
    if plain is None:
        raise ValueError(
            f"times must be exact in s, ms, us or ns, got {values.dtype}; convert them to one of "
            "these units."
        )
    return plain[0]


def time_objects(values: Array, zone: str | None = None) -> NDArray[np.object_]:
    """Turn times into Timestamps or Timedeltas, equal ones into the same.

    Parameters
    ----------
    values : ndarray of datetime64 or timedelta64, shape (n_values,)
        Times in one of `UNITS`, without NaT.
    zone : str, optional
        "UTC" if the times are instants in UTC, None if they have no zone.

    Returns
    -------
    ndarray of object, shape (n_values,)
        Each in the first of `UNITS` in which it is exact. The hash of a Timestamp beyond the
        years 1 to 9999 depends on its unit.
    """
    objects = np.empty(len(values), dtype=object)
    left = np.arange(len(values))
    for unit in UNITS:
        converted, exact = _convert(values[left], unit)
        found: Any = pd.Series(converted[exact])
        if zone is not None:
            found = found.dt.tz_localize(zone)
        objects[left[exact]] = found.astype(object).to_numpy()
        left = left[~exact]
        if len(left) == 0:
            break
    return objects


def unify_times(values: NDArray[np.object_]) -> Array:
    """Give each date, time and duration among objects one form.

    A date is its midnight. Times with a zone are instants: they become Timestamps in UTC, and are
    never equal to those without one.

    Parameters
    ----------
    values : ndarray of object, shape (n_values,)
        Distinct values, none missing.

    Returns
    -------
    ndarray, shape (n_values,)
        datetime64 or timedelta64 where all values are times without a zone, or all durations, and
        one unit holds them. Otherwise objects, the times among them Timestamps and Timedeltas.
        Values that differed may now be equal.
    """
    cells = values.tolist()
    is_time = {kind: issubclass(kind, _TIMES) for kind in set(map(type, cells))}
    if not any(is_time.values()):
        return values
    groups: dict[tuple[str, np.dtype[Any]], tuple[list[int], list[Any]]] = {}
    for place, cell in enumerate(cells):
        if is_time[type(cell)] and (read := _read_time(cell)) is not None:
            zone, scalar = read
            places, scalars = groups.setdefault((zone, scalar.dtype), ([], []))
            places.append(place)
            scalars.append(scalar)
    arrays = {key: np.array(scalars, dtype=key[1]) for key, (_, scalars) in groups.items()}
    objects = values.copy()
    for key, array in arrays.items():
        objects[groups[key][0]] = time_objects(plain_times(array), key[0] or None)
    if {(zone, dtype.kind) for zone, dtype in groups} not in ({("", "M")}, {("", "m")}):
        return objects
    alike = in_one_unit(*arrays.values())
    if alike is None or sum(map(len, alike)) < len(values):
        return objects
    times = np.empty(len(values), dtype=alike[0].dtype)
    for (places, _), array in zip(groups.values(), alike, strict=True):
        times[places] = array
    return times


def _convert(values: Array, unit: str) -> tuple[Array, NDArray[np.bool_]]:
    """Convert times to a unit, and say which of them are exact in it."""
    converted = values.astype(f"{values.dtype.kind}8[{unit}]")
    # NumPy wraps around in silence, but what has wrapped does not come back.
    return converted, converted.astype(values.dtype) == values


def _read_time(cell: Any) -> tuple[str, Any] | None:
    """Return the zone ("" or "UTC") and the NumPy scalar of a time, None if there is none."""
    if isinstance(cell, np.datetime64 | np.timedelta64):
        return "", cell
    if isinstance(cell, pd.Timedelta):
        return "", cell.to_numpy()
    if isinstance(cell, dt.timedelta):
        return _read_duration(cell)
    if not isinstance(cell, pd.Timestamp) and getattr(cell, "tzinfo", None) is None:
        return "", np.datetime64(cell, "us")
    stamp = pd.Timestamp(cell)
    if stamp.tzinfo is None:
        return "", stamp.to_numpy()
    return "UTC", stamp.tz_convert("UTC").tz_localize(None).to_numpy()


def _read_duration(cell: dt.timedelta) -> tuple[str, Any] | None:
    """Return a timedelta of Python, which reaches beyond 64 bits of microseconds."""
    if abs(cell // _MICROSECOND) < 2**63:
        return "", np.timedelta64(cell // _MICROSECOND, "us")
    return None if cell % _SECOND else ("", np.timedelta64(cell // _SECOND, "s"))

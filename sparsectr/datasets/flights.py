"""Flights from New York City in 2013: a real table of high-cardinality columns."""

from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

_FOLDER = Path(__file__).parent / "data"
_STRING_FIELDS = ["day_of_week", "carrier", "flight", "tailnum", "origin", "dest"]


@overload
def load_flights(*, return_X_y: Literal[False] = False, as_frame: bool = True) -> Bunch: ...
@overload
def load_flights(*, return_X_y: Literal[True], as_frame: bool = True) -> tuple[Any, Any]: ...
def load_flights(*, return_X_y: bool = False, as_frame: bool = True) -> Bunch | tuple[Any, Any]:
    """Load flights from New York City in 2013, labelled as late or not.

    The 327,346 flights that arrived, in the order of the timetable, described by ten fields that
    are known before departure: month, day, day of the week, scheduled hour, carrier, flight number,
    tail number, origin, destination and distance. A flight is late when it arrived more than 15
    minutes after its schedule; 23.7 % are. Cancelled and diverted flights are left out.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=True
        Return pandas objects. If False, `data` is an object array that holds the same Python ints
        and strings, and `target` an int64 array.

    Returns
    -------
    flights : :class:`~sklearn.utils.Bunch`
        data : DataFrame or ndarray of shape (327346, 10)
            Month, day, hour and distance as ints, the other fields as strings.
        target : Series or ndarray of shape (327346,), int64
            1 if the flight arrived late.
        frame : DataFrame of shape (327346, 11) or None
            `data` and `target` (column ``late``), if `as_frame`.
        feature_names : list of str
            Names of the ten fields.
        target_names : list of str
            Names of the two classes.
        DESCR : str
            Description, provenance and licence (CC0).
        filename : str
            Path of the file that was read.
    (data, target) : tuple
        Just these two, if `return_X_y`.

    Notes
    -----
    Flights of one day share weather and congestion. A random split has rows of the same day on
    both sides; split by date to measure a forecast.

    Examples
    --------
    >>> from sparsectr.datasets import load_flights
    >>> X, y = load_flights(return_X_y=True)
    >>> X.shape
    (327346, 10)
    >>> print(f"{y.mean():.3f}")
    0.237
    """
    path = _FOLDER / "flights.csv.xz"
    frame = pd.read_csv(path, dtype=dict.fromkeys(_STRING_FIELDS, str), keep_default_na=False)
    data: Any = frame.drop(columns="late")
    target: Any = frame["late"]
    feature_names = data.columns.tolist()
    if not as_frame:
        data, target = data.to_numpy(dtype=object), target.to_numpy(dtype=np.int64)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frame=frame if as_frame else None,
        feature_names=feature_names,
        target_names=["on time", "late"],
        DESCR=(_FOLDER / "flights.md").read_text(encoding="utf-8"),
        filename=str(path),
    )

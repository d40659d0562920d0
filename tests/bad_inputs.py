"""Every kind of bad, or merely strange, input: what test_bad_input.py gives to all public names."""

import datetime as dt
import uuid
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
import torch

N_ROWS = 60
_RNG = np.random.default_rng(0)
LETTERS = np.array(list("abcd"))[_RNG.integers(0, 4, N_ROWS)]
NUMBERS = _RNG.integers(0, 5, N_ROWS)
Y = ((LETTERS == "a") ^ (NUMBERS > 2)).astype(int)
ONES = np.ones(N_ROWS)


def table(**columns: Any) -> pd.DataFrame:
    """Two good columns, and those to try."""
    return pd.DataFrame({"a": LETTERS.astype(object), "b": NUMBERS} | columns)


def repeated(*cells: Any) -> "pd.Series[Any]":
    """Repeat some cells over all rows, as they are."""
    column = np.empty(len(cells), dtype=object)
    column[:] = cells
    return pd.Series(np.resize(column, N_ROWS), dtype=object)


class Case(NamedTuple):
    """One input.

    Attributes
    ----------
    words : str
        What the page calls it.
    make : callable
        Returns the input, anew for every class that gets it.
    """

    words: str
    make: Callable[[], Any]


def constant(words: str, value: Any) -> Case:
    return Case(words, lambda: value)


# Tables ----------------------------------------------------------------------------------

CONTAINERS = [
    constant("None", None),
    constant("a number", 5),
    constant("a string", "abc"),
    Case("a list of strings", lambda: list(LETTERS)),
    Case("a one-dimensional array", lambda: NUMBERS),
    Case("a Series", lambda: table()["a"]),
    Case("a three-dimensional array", lambda: np.zeros((N_ROWS, 2, 2))),
    constant("an empty list", []),
    Case("a frame without rows", lambda: table().iloc[:0]),
    Case("a frame without columns", lambda: table()[[]]),
    Case("an array without rows", lambda: np.zeros((0, 2))),
    Case("a sparse array", lambda: sp.csr_array(np.eye(N_ROWS))),
    Case("a list of rows", lambda: table().to_numpy().tolist()),
    Case("a list of tuples", lambda: list(map(tuple, table().to_numpy().tolist()))),
    Case("an array of objects", lambda: table().to_numpy()),
    Case("a read-only array", lambda: np.broadcast_to(NUMBERS[:, None], (N_ROWS, 3))),
    Case("an array in reverse order of memory", lambda: np.c_[NUMBERS, NUMBERS][::-1, ::-1]),
    Case("a torch tensor", lambda: torch.from_numpy(np.c_[NUMBERS, NUMBERS])),
    Case("a polars frame", lambda: pl.DataFrame({"a": LETTERS.tolist(), "b": NUMBERS.tolist()})),
    Case("an Arrow table", lambda: pa.table({"a": LETTERS.tolist(), "b": NUMBERS.tolist()})),
]

COLUMNS = [
    constant("float16", NUMBERS.astype("f2")),
    constant("long double", NUMBERS.astype(np.longdouble)),
    constant("bool", NUMBERS > 2),
    constant("integers above 2**63", NUMBERS.astype("u8") + np.uint64(2**63)),
    constant("integers above 2**70", repeated(*(2**70 + i for i in range(5)))),
    constant("negative integers", -NUMBERS - 2**62),
    constant("infinite numbers", np.where(NUMBERS > 2, np.inf, -np.inf)),
    constant("only NaN", np.nan),
    constant("only None", None),
    constant("None, NaN, NaT and NA beside values", repeated(pd.NA, None, np.nan, pd.NaT, "x")),
    constant("1, '1', 1.0, True and bytes", repeated(1, "1", 1.0, True, b"1")),
    constant("letters that look alike", repeated("é", "e\u0301", "\u0430", "a")),
    constant("halves of surrogate pairs", repeated("\ud800", "\udfff", "a")),
    constant("strings with NUL", repeated("a\0", "a", "\0")),
    constant("empty strings", ""),
    constant("bytes", repeated(b"x", b"\xff")),
    constant("complex numbers", NUMBERS + 1j),
    constant("lists", repeated([1], [2])),
    constant("dicts", repeated({"q": 1}, {})),
    constant("sets", repeated({1}, {2})),
    constant("arrays", repeated(np.ones(2), np.zeros(3))),
    constant("tuples", repeated((1, 2), (3,))),
    constant("frozensets", repeated(frozenset({1}), frozenset())),
    constant("Fractions", repeated(Fraction(1, 3), Fraction(1, 2))),
    constant("dates and times of day", repeated(dt.date(2020, 1, 1), dt.time(1))),
    constant("timestamps with NaT", repeated(pd.Timestamp("2020"), pd.NaT).astype("M8[ns]")),
    constant("time spans", pd.to_timedelta(NUMBERS, "D")),
    constant("periods", pd.period_range("2020", periods=N_ROWS, freq="D")),
    constant("intervals", pd.cut(NUMBERS, 3)),
    constant("UUIDs", repeated(*(uuid.UUID(int=i) for i in range(5)))),
    constant("nullable Int64", pd.array(np.resize([1, None], N_ROWS), dtype="Int64")),
    constant("nullable boolean", pd.array(np.resize([True, None], N_ROWS), dtype="boolean")),
    constant("nullable string", pd.array(np.resize(["x", None], N_ROWS), dtype="string")),
    constant("category of integers", pd.Categorical(NUMBERS)),
    constant("category of 1 and 'x'", pd.Categorical.from_codes(NUMBERS % 2, [1, "x"])),
]

NAMES = [
    Case("the same name twice", lambda: table().set_axis(["a", "a"], axis=1)),
    Case("a string and a number", lambda: table().set_axis(["a", 1], axis=1)),
    Case("numbers", lambda: table().set_axis([5, 6], axis=1)),
    Case("an empty string", lambda: table().set_axis(["", "b"], axis=1)),
    Case("a name with ×", lambda: table().set_axis(["a × b", "b"], axis=1)),
    Case("a name with $", lambda: table().set_axis(["$a", "b"], axis=1)),
    Case("an index that repeats itself", lambda: table().set_axis([0] * N_ROWS, axis=0)),
]

# Fitted on `table()`.
LATER = [
    Case("columns in another order", lambda: table()[["b", "a"]]),
    Case("a column less", lambda: table()[["a"]]),
    Case("a column more", lambda: table(z=1)),
    Case("another name", lambda: table().rename(columns={"a": "q"})),
    Case("no rows", lambda: table().iloc[:0]),
    Case("one row, one-dimensional", lambda: table().iloc[0]),
    Case("a sparse matrix", lambda: sp.csr_matrix(np.eye(2))),
    Case("lists in the cells", lambda: table(a=repeated([1]))),
    Case("complex numbers", lambda: table(b=NUMBERS + 1j)),
    Case("the same name twice", lambda: table().set_axis(["a", "a"], axis=1)),
    Case("a polars frame", lambda: pl.DataFrame({"a": LETTERS.tolist(), "b": NUMBERS.tolist()})),
    Case(
        "a polars frame, other order",
        lambda: pl.DataFrame({"b": NUMBERS.tolist(), "a": LETTERS.tolist()}),
    ),
]

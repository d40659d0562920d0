"""Every kind of bad, or merely strange, input: what test_bad_input.py gives to all public names."""

import datetime as dt
import uuid
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as compute
import scipy.sparse as sp
import torch
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression

from sparsectr import (
    DynIntClassifier,
    Interaction,
    InteractionDisplay,
    ListedInteractions,
    interaction_stability,
    screen_interactions,
    to_interaction_constraints,
)

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


def arrow() -> pa.Table:
    return pa.table({"a": LETTERS.tolist(), "b": NUMBERS.tolist()})


def arrow_column(array: Any) -> Any:
    return pd.array(array, dtype=pd.ArrowDtype(array.type))


class Evil:
    """A cell whose hash raises."""

    def __hash__(self) -> int:
        raise RuntimeError("no hash today")


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
    Case("an Arrow table", lambda: arrow()),
    Case("an Arrow record batch", lambda: arrow().to_batches()[0]),
    Case("a narwhals frame", lambda: nw.from_native(arrow())),
    Case("a deque of rows", lambda: deque(table().to_numpy().tolist())),
    Case("a masked array", lambda: np.ma.masked_equal(np.c_[NUMBERS, NUMBERS % 2], 1)),
    Case("a dict of columns", lambda: {"a": LETTERS, "b": NUMBERS}),
    Case("a list of dicts", lambda: table().to_dict("records")),
    Case("a set", lambda: set(NUMBERS.tolist())),
    Case("a generator of rows", lambda: (row for row in table().to_numpy().tolist())),
    Case("a list of rows of different lengths", lambda: [[1, 2]] * (N_ROWS - 1) + [[1]]),
    Case("a list of rows with lists in their cells", lambda: [[[1], [2]]] * N_ROWS),
    Case("an array of no dimension", lambda: np.array(5)),
    Case("a polars LazyFrame", lambda: pl.LazyFrame({"a": LETTERS.tolist()})),
    Case("a polars Series", lambda: pl.Series(LETTERS.tolist())),
    Case("an Arrow reader of batches", lambda: arrow().to_reader()),
    Case("a column of Arrow", lambda: arrow()["a"]),
    Case("an Arrow table that has a name twice", lambda: arrow().rename_columns(["a", "a"])),
    Case("an array with named fields", lambda: table().to_records(index=False)),
    Case("a torch tensor with gradients", lambda: torch.ones(N_ROWS, 2, requires_grad=True)),
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
    constant("lists beside strings", repeated([1], "a")),
    constant("lists of lists", repeated([[1]], [[2]])),
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
    constant("category of dates", pd.Categorical(repeated(dt.date(2020, 1, 1), dt.date.max))),
    constant("dates of every year", repeated(dt.date.min, dt.date(2020, 1, 1), dt.date.max)),
    constant("times with and without a zone", repeated(pd.Timestamp(0), pd.Timestamp(0, tz="UTC"))),
    constant("time spans of Python", repeated(dt.timedelta.min, dt.timedelta(1), None)),
    constant("objects that cannot be hashed", repeated(Evil(), Evil())),
    constant("Arrow strings", arrow_column(pa.array(LETTERS.tolist(), pa.string_view()))),
    constant("Arrow dates", arrow_column(pa.array([dt.date.max, None] * (N_ROWS // 2)))),
    constant(
        "an Arrow dictionary that holds null",
        arrow_column(pa.array(["x", None] * (N_ROWS // 2)).dictionary_encode("encode")),
    ),
    constant("Arrow runs", arrow_column(compute.run_end_encode(pa.array(np.sort(NUMBERS))))),
    constant("Arrow lists", arrow_column(pa.array([[1], [2]] * (N_ROWS // 2)))),
    constant("Arrow structs", arrow_column(pa.array([{"q": 1}, {"q": 2}] * (N_ROWS // 2)))),
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


# Labels ----------------------------------------------------------------------------------

LABELS = [
    constant("None", None),
    constant("a number", 3),
    constant("a string", "yes"),
    constant("a dict", {"a": 1}),
    constant("a set", {0, 1}),
    Case("a generator", lambda: (int(label) for label in Y)),
    Case("a sparse array", lambda: sp.csr_array(Y[None])),
    Case("shorter than X", lambda: Y[:-1]),
    Case("of shape (n, 1)", lambda: Y[:, None]),
    Case("a frame of one column", lambda: pd.DataFrame({"y": Y})),
    Case("one-hot", lambda: np.eye(2, dtype=int)[Y]),
    Case("ragged lists", lambda: [[1], [1, 2]] * (N_ROWS // 2)),
    Case("tuples", lambda: repeated((1, 2), (3, 4))),
    Case("lists", lambda: repeated([1], [2])),
    Case("with NaN", lambda: np.where(NUMBERS > 2, np.nan, 1.0)),
    Case("with None", lambda: np.where(NUMBERS > 2, None, 1)),
    Case("strings with None", lambda: repeated("x", None)),
    Case("with NA", lambda: pd.array(np.resize([1, None, 0], N_ROWS), dtype="Int64")),
    Case("with NaT", lambda: pd.to_datetime(np.resize(["2020", None], N_ROWS))),
    Case("with null, an Arrow array", lambda: pa.array(np.resize([1, None], N_ROWS).tolist())),
    Case("with null, a polars Series", lambda: pl.Series(np.resize([1, None], N_ROWS).tolist())),
    Case("masked", lambda: np.ma.masked_array(Y, mask=NUMBERS == 0)),
    Case("with infinity", lambda: np.where(NUMBERS > 2, np.inf, 1.0)),
    Case("continuous", lambda: NUMBERS / 7),
    Case("continuous, objects", lambda: (NUMBERS / 7).astype(object)),
    Case("all different integers", lambda: np.arange(N_ROWS)),
    Case("all different strings", lambda: np.arange(N_ROWS).astype(str)),
    Case("one class, a float", lambda: np.zeros(N_ROWS)),
    Case("one class, a string", lambda: ["a"] * N_ROWS),
    Case("integers and strings", lambda: repeated(1, "a")),
    Case("booleans and integers", lambda: repeated(True, 0)),
    Case("complex numbers", lambda: Y + 1j),
    Case("bytes", lambda: np.where(Y, b"y", b"n")),
    Case("bytes as objects", lambda: repeated(b"y", b"n")),
    Case("Decimals", lambda: repeated(Decimal(0), Decimal(1))),
    Case("dates as objects", lambda: repeated(dt.date(2020, 1, 1), dt.date(2021, 1, 1))),
    Case("integers above 2**70", lambda: repeated(2**70, 2**70 + 1)),
    Case("classes of Python", lambda: repeated(int, str)),
    Case("records", lambda: np.array([(1, 2)] * N_ROWS, dtype=[("a", "i8"), ("b", "i8")])),
    Case("timestamps", lambda: pd.to_datetime(np.where(Y, "2020", "2021"))),
    Case("floats 0 and 1", lambda: Y.astype(float)),
    Case("booleans", lambda: Y > 0),
    Case("booleans as objects", lambda: (Y > 0).astype(object)),
    Case("integers as objects", lambda: Y.astype(object)),
    Case("int and np.int64", lambda: repeated(1, np.int64(0))),
    Case("str and np.str_", lambda: repeated("a", np.str_("b"))),
    Case("strings", lambda: np.where(Y, "yes", "no")),
    Case("empty strings and others", lambda: np.where(Y, "", "x")),
    Case("nullable string", lambda: pd.array(np.where(Y, "yes", "no"), dtype="string")),
    Case("nullable boolean", lambda: pd.array(Y > 0, dtype="boolean")),
    Case("a Categorical", lambda: pd.Categorical(np.where(Y, "yes", "no"))),
    Case("a polars Series", lambda: pl.Series(Y)),
    Case("a chunked Arrow array", lambda: pa.chunked_array([np.where(Y, "yes", "no").tolist()])),
    Case("a torch tensor", lambda: torch.from_numpy(Y)),
    Case("a tensor with gradients", lambda: torch.ones(N_ROWS, requires_grad=True)),
    Case("a list", lambda: Y.tolist()),
    Case("a Series with another index", lambda: pd.Series(Y, index=range(1000, 1000 + N_ROWS))),
    Case("integers above 2**63", lambda: Y.astype("u8") + np.uint64(2**63)),
]

WEIGHTS = [
    constant("a dict", {0: 1}),
    Case("a generator", lambda: (w for w in ONES)),
    Case("shorter than X", lambda: ONES[1:]),
    Case("of shape (n, 1)", lambda: ONES[:, None]),
    Case("of shape (n, 2)", lambda: np.c_[ONES, ONES]),
    Case("ragged lists", lambda: [[1], [1, 2]]),
    Case("zero for every row", lambda: 0 * ONES),
    Case("negative", lambda: -ONES),
    Case("with NaN", lambda: np.where(NUMBERS == 1, np.nan, 1)),
    Case("with None", lambda: np.where(NUMBERS == 1, None, 1)),
    Case("with NA", lambda: pd.array(np.resize([1, None], N_ROWS), dtype="Int64")),
    Case("with infinity", lambda: np.where(NUMBERS == 1, np.inf, 1)),
    Case("masked", lambda: np.ma.masked_array(ONES, mask=NUMBERS == 0)),
    Case("text", lambda: ["a"] * N_ROWS),
    Case("numbers as text", lambda: ["1"] * N_ROWS),
    Case("complex numbers", lambda: ONES + 1j),
    Case("dates", lambda: pd.to_datetime(["2020"] * N_ROWS)),
    Case("dates as objects", lambda: repeated(dt.date(2020, 1, 1))),
    Case("time spans", lambda: pd.to_timedelta(NUMBERS, "D")),
    Case("tuples", lambda: repeated((1, 2), (3,))),
    constant("one number", 2.0),
    Case("integers of 8 bits", lambda: np.ones(N_ROWS, "i1")),
    Case("booleans", lambda: NUMBERS > 0),
    Case("Decimals", lambda: repeated(Decimal(1), Decimal("0.5"))),
    Case("Fractions", lambda: repeated(Fraction(1), Fraction(1, 3))),
    Case("numbers as objects", lambda: repeated(1, 0.5, True)),
    Case("a polars Series", lambda: pl.Series(ONES)),
    Case("masked, but nowhere", lambda: np.ma.masked_array(ONES, mask=False)),
    Case("1e308", lambda: 1e308 * ONES),
    Case("1e-308", lambda: 1e-308 * ONES),
    Case("1e-320", lambda: 1e-320 * ONES),
    Case("one of 1e300 beside ones", lambda: np.r_[1e300, ONES[1:]]),
    Case("one, and zero for the others", lambda: np.r_[1, 0 * ONES[1:]]),
    Case("zero but for one class", lambda: (Y == 1).astype(float)),
]

CLASS_WEIGHTS = [
    constant("a string", "even"),
    constant("a list", [1, 2]),
    constant("a number", 5),
    constant("of another class", {7: 1}),
    constant("negative", {0: -1, 1: 1}),
    constant("NaN", {0: np.nan, 1: 1}),
    constant("infinite", {0: np.inf}),
    constant("text", {0: "a"}),
    constant("None for a class", {0: None}),
    constant("zero for every class", {0: 0, 1: 0}),
    constant("zero for one class", {0: 0, 1: 1}),
    constant("of one class only", {1: 5}),
    constant("of a class more", {0: 1, 1: 2, 2: 3}),
    constant("1e308", {0: 1e308, 1: 1}),
    constant("1e-308", {0: 1e-308, 1: 1e-308}),
    constant("'balanced'", "balanced"),
]


def rows_to_validate(**changed: Any) -> dict[str, Any]:
    """Arguments of `fit`, some of them changed."""
    return {"X_val": table(), "y_val": Y} | changed


VALIDATION = [
    Case("X_val without y_val", lambda: {"X_val": table()}),
    Case("y_val without X_val", lambda: {"y_val": Y}),
    Case("sample_weight_val alone", lambda: {"sample_weight_val": ONES}),
    Case("columns in another order", lambda: rows_to_validate(X_val=table()[["b", "a"]])),
    Case("a column less", lambda: rows_to_validate(X_val=table()[["a"]])),
    Case("X_val one-dimensional", lambda: rows_to_validate(X_val=LETTERS)),
    Case("lists in the cells of X_val", lambda: rows_to_validate(X_val=table(a=repeated([1])))),
    Case("no rows", lambda: rows_to_validate(X_val=table()[:0], y_val=Y[:0])),
    Case("y_val shorter than X_val", lambda: rows_to_validate(y_val=Y[:3])),
    Case("a class that y lacks", lambda: rows_to_validate(y_val=Y + 1)),
    Case("y_val as strings", lambda: rows_to_validate(y_val=Y.astype(str))),
    Case("y_val with NaN", lambda: rows_to_validate(y_val=np.where(Y, np.nan, 1.0))),
    Case("y_val continuous", lambda: rows_to_validate(y_val=NUMBERS / 7)),
    Case("y_val masked", lambda: rows_to_validate(y_val=np.ma.masked_array(Y, mask=Y == 1))),
    Case("weights too few", lambda: rows_to_validate(sample_weight_val=ONES[:3])),
    Case("weights zero", lambda: rows_to_validate(sample_weight_val=0 * ONES)),
    Case("weights negative", lambda: rows_to_validate(sample_weight_val=-ONES)),
    Case("weights as text", lambda: rows_to_validate(sample_weight_val=["a"] * N_ROWS)),
    Case("weights 1e308", lambda: rows_to_validate(sample_weight_val=1e308 * ONES)),
    Case("one row", lambda: rows_to_validate(X_val=table()[:1], y_val=Y[:1])),
    Case("y_val of one class", lambda: rows_to_validate(y_val=0 * Y)),
]


# Questions: what is asked of a fitted estimator -------------------------------------------

ASKED = [
    Case("value_effects('a')", lambda: lambda clf: clf.value_effects("a")),
    Case("value_effects(1)", lambda: lambda clf: clf.value_effects(1)),
    Case("value_effects(('a',))", lambda: lambda clf: clf.value_effects(("a",))),
    Case("value_effects(('a', 'a'))", lambda: lambda clf: clf.value_effects(("a", "a"))),
    Case("value_effects(('a', 'typo'))", lambda: lambda clf: clf.value_effects(("a", "typo"))),
    Case("value_effects of a cross not listed", lambda: lambda clf: clf.value_effects(("a", "b"))),
    Case("explain(X, top=0)", lambda: lambda clf: clf.explain(table(), top=0)),
    Case("explain(X, top='all')", lambda: lambda clf: clf.explain(table(), top="all")),
    Case("explain, a class it lacks", lambda: lambda clf: clf.explain(table(), class_label=7)),
    Case("explain, a column less", lambda: lambda clf: clf.explain(table()[["a"]])),
    Case("interaction_table(fdr=0)", lambda: lambda clf: clf.interaction_table(fdr=0)),
    Case("missed_interactions(fdr=5)", lambda: lambda clf: clf.missed_interactions(fdr=5)),
    Case(
        "partial_fit, y with NaN",
        lambda: lambda clf: clf.partial_fit(table(), np.where(Y, np.nan, 0.0)),
    ),
]
ASKED_CLASSIFIERS = [
    Case("partial_fit, other classes", lambda: lambda clf: clf.partial_fit(table(), Y, [0, 7])),
    Case("partial_fit, classes as text", lambda: lambda clf: clf.partial_fit(table(), Y, "01")),
    Case("partial_fit, a new label", lambda: lambda clf: clf.partial_fit(table(), Y + 1)),
]
UNFITTED = [
    Case("predict(X)", lambda: lambda clf: clf.predict(table())),
    Case("explain(X)", lambda: lambda clf: clf.explain(table())),
    Case("interaction_table()", lambda: lambda clf: clf.interaction_table()),
    Case("missed_interactions()", lambda: lambda clf: clf.missed_interactions()),
    Case("value_effects(('a', 'b'))", lambda: lambda clf: clf.value_effects(("a", "b"))),
    Case("screen_interactions", lambda: lambda clf: screen_interactions(clf, table(), Y)),
    Case("InteractionDisplay", lambda: InteractionDisplay.from_estimator),
]
UNFITTED_CLASSIFIERS = [
    Case("predict_proba(X)", lambda: lambda clf: clf.predict_proba(table())),
    Case("partial_fit(X, y)", lambda: lambda clf: clf.partial_fit(table(), Y)),
    Case("partial_fit, one class", lambda: lambda clf: clf.partial_fit(table(), Y, classes=[0])),
    Case("partial_fit, NaN", lambda: lambda clf: clf.partial_fit(table(), Y, classes=[0, np.nan])),
]
_CROSS = Interaction(("a", "b"), 2, 0.5)
_MEAN = DummyRegressor().fit(table(), Y)
_PRIOR = DummyClassifier(strategy="prior").fit(table(), Y)
CALLS = [
    Case("screen_interactions(5, X, y)", lambda: lambda: screen_interactions(5, table(), Y)),
    Case(
        "screen_interactions with a regressor, y with NaN",
        lambda: lambda: screen_interactions(_MEAN, table(), np.where(Y, np.nan, 0.0)),
    ),
    Case(
        "screen_interactions with a transformer",
        lambda: lambda: screen_interactions(ListedInteractions().fit(table()), table(), Y),
    ),
    Case(
        "screen_interactions, order=1",
        lambda: lambda: screen_interactions(_PRIOR, table(), Y, order=1),
    ),
    Case(
        "screen_interactions, order='2'",
        lambda: lambda: screen_interactions(_PRIOR, table(), Y, order="2"),
    ),
    Case(
        "interaction_stability of a LogisticRegression",
        lambda: lambda: interaction_stability(LogisticRegression(), table(), Y, cv=2),
    ),
    Case(
        "interaction_stability, n_interactions=0",
        lambda: lambda: interaction_stability(DynIntClassifier(), table(), Y, n_interactions=0),
    ),
    Case(
        "interaction_stability, cv=1",
        lambda: lambda: interaction_stability(DynIntClassifier(), table(), Y, cv=1),
    ),
    Case(
        "interaction_stability, cv='five'",
        lambda: lambda: interaction_stability(DynIntClassifier(), table(), Y, cv="five"),
    ),
    Case(
        "interaction_stability, y with NaN",
        lambda: (
            lambda: interaction_stability(
                DynIntClassifier(), table(), np.where(Y, np.nan, 0.0), cv=2
            )
        ),
    ),
    Case(
        "to_interaction_constraints([1], ...)",
        lambda: lambda: to_interaction_constraints([1], ["a", "b"]),
    ),
    Case(
        "to_interaction_constraints, a field missing",
        lambda: lambda: to_interaction_constraints([_CROSS], ["a"]),
    ),
    Case(
        "to_interaction_constraints, names repeated",
        lambda: lambda: to_interaction_constraints([_CROSS], ["a", "a"]),
    ),
    Case(
        "to_interaction_constraints, library='catboost'",
        lambda: lambda: to_interaction_constraints([_CROSS], ["a", "b"], library="catboost"),
    ),
    Case("InteractionDisplay(None).plot()", lambda: lambda: InteractionDisplay(None).plot()),
    Case("InteractionDisplay(X).plot()", lambda: lambda: InteractionDisplay(table()).plot()),
    Case(
        "InteractionDisplay, kind='pie'",
        lambda: lambda: InteractionDisplay(table(), kind="pie").plot(),
    ),
    Case(
        "InteractionDisplay.from_values(clf, 1)",
        lambda: lambda: InteractionDisplay.from_values(_PRIOR, 1),
    ),
    Case(
        "InteractionDisplay.from_values(clf, ())",
        lambda: lambda: InteractionDisplay.from_values(_PRIOR, ()),
    ),
    Case(
        "InteractionDisplay.from_estimator of another classifier",
        lambda: lambda: InteractionDisplay.from_estimator(_PRIOR),
    ),
    Case(
        "InteractionDisplay.from_stability(X)",
        lambda: lambda: InteractionDisplay.from_stability(table()),
    ),
    Case(
        "InteractionDisplay.from_explanation(X)",
        lambda: lambda: InteractionDisplay.from_explanation(table()),
    ),
]


# Parameters: by name, what to try. ODD_VALUES are for all of them --------------------------

_COUNTS = [constant("0", 0), constant("1.0", 1.0), constant("True", True), constant("'3'", "3")]
_SHARES = [constant("0", 0), constant("1", 1), constant("nan", np.nan), constant("'x'", "x")]
_RATES = [constant("0", 0), constant("-1", -1), constant("inf", np.inf), constant("1e308", 1e308)]
_WIDTHS = [
    constant("64", 64),
    constant("None", None),
    constant("'64'", "64"),
    constant("(0,)", (0,)),
    constant("(2.0,)", (2.0,)),
    Case("a generator", lambda: (width for width in [4])),
    constant("np.array([4, 4])", np.array([4, 4])),
    constant("(np.uint8(200),)", (np.uint8(200),)),
]
_CHOICES = [constant("'nonsense'", "nonsense"), constant("1", 1), constant("['x']", ["x"])]
_FLAGS = [constant("'False'", "False"), constant("0", 0), constant("None", None)]

PARAMETERS: dict[str, list[Case]] = {
    "embedding_dim": [
        *_COUNTS,
        constant("10**12", 10**12),
        constant("2**70", 2**70),
        constant("np.uint8(200)", np.uint8(200)),
    ],
    "embedding_l2": [*_RATES[1:], constant("'1'", "1"), constant("Fraction(1, 2)", Fraction(1, 2))],
    "learning_rate": [*_RATES, constant("1e3", 1e3), constant("np.float16(0.5)", np.float16(0.5))],
    "weight_decay": [*_RATES[1:], constant("Fraction(1, 2)", Fraction(1, 2))],
    "batch_size": [*_COUNTS, constant("2**62", 2**62), constant("np.uint8(200)", np.uint8(200))],
    "max_epochs": _COUNTS,
    "early_stopping": _FLAGS,
    "loss": [*_CHOICES, constant("'quantile'", "quantile")],
    "monitor": _CHOICES,
    "validation_fraction": _SHARES,
    "n_iter_no_change": _COUNTS,
    "validation": _CHOICES,
    "n_members": _COUNTS,
    "time_column": [constant("-1", -1), constant("1.5", 1.5), constant("['x']", ["x"])],
    "n_interactions": [constant("-1", -1), constant("2.0", 2.0), constant("'x'", "x")],
    "class_weight": [constant("'even'", "even")],
    "encoder": [
        constant("3", 3),
        constant("'one-hot'", "one-hot"),
        constant("np.array([1, 2])", np.array([1, 2])),
        constant("a class", dict),
    ],
    "warm_start": _FLAGS,
    "device": [constant("'abacus'", "abacus"), constant("None", None), constant("'meta'", "meta")],
    "random_state": [constant("-1", -1), constant("'x'", "x"), constant("2**32", 2**32)],
    "verbose": [constant("''", ""), constant("-1", -1), constant("False", False)],
    "variant": _CHOICES,
    "n_layers": [*_COUNTS, constant("10**9", 10**9)],
    "n_subspaces": [*_COUNTS, constant("3", 3)],
    "rank": _COUNTS[:3],
    "reduction_ratio": _COUNTS,
    "orthogonal_penalty": _RATES[1:],
    "optimizer": _CHOICES,
    "ftrl_l1": _RATES[1:],
    "ftrl_l2": _RATES[1:],
    "ftrl_beta": _RATES,
    "granularity": _CHOICES,
    "combine": _CHOICES,
    "search": _CHOICES,
    "search_fraction": _SHARES,
    "search_epochs": _COUNTS,
    "gate_price": _RATES[1:],
    "retrain_init": _CHOICES,
    "orders": [
        constant("2", 2),
        constant("'2'", "2"),
        constant("[1]", [1]),
        constant("[[2]]", [[2]]),
        Case("a generator", lambda: (order for order in [2])),
        constant("[np.uint8(2)]", [np.uint8(2)]),
    ],
    "fdr": _SHARES,
    "operator": _CHOICES,
    "selection_dim": _COUNTS,
    "selection_rank": _COUNTS,
    "selection_learning_rate": _RATES,
    "alpha_learning_rate": _RATES,
    "hidden_units": _WIDTHS,
    "dropout": [constant("1", 1), constant("-0.1", -0.1), constant("nan", np.nan)],
    "max_order": [constant("1", 1), constant("2.0", 2.0), constant("10**9", 10**9)],
    "n_crosses": [
        constant("-1", -1),
        constant("{2: 'x'}", {2: "x"}),
        constant("{'a': 4}", {"a": 4}),
        constant("{1: 4}", {1: 4}),
        constant("10**12", 10**12),
        constant("np.uint8(1)", np.uint8(1)),
    ],
    "space": _CHOICES,
    "coupling": _CHOICES,
    "repeats": _FLAGS,
    "screening": _CHOICES,
    "search_patience": _COUNTS,
    "architecture_learning_rate": _RATES,
    "ranking": _CHOICES,
    "predictor": _CHOICES,
    "retrain_weights": _CHOICES,
    "retrain_from": _CHOICES,
    "min_frequency": [
        constant("0", 0),
        constant("1.5", 1.5),
        constant("True", True),
        constant("'rare'", "rare"),
        constant("np.uint8(1)", np.uint8(1)),
    ],
    "max_categories": [*_COUNTS, constant("np.uint8(2)", np.uint8(2))],
    "numeric": _CHOICES,
    "numeric_columns": _CHOICES,
    "n_bins": [*_COUNTS, constant("np.uint8(20)", np.uint8(20)), constant("10**12", 10**12)],
    "numeric_features": [
        constant("'z'", "z"),
        constant("['typo']", ["typo"]),
        constant("[7]", [7]),
        constant("1", 1),
    ],
    "multi_valued": [
        constant("'|'", "|"),
        constant("an unknown field", ["q"]),
        constant("a separator of no letters", {"a": ""}),
        constant("a numeric field", {"z": "|"}),
        constant("None", None),
        constant("a field of strings", {"a": "|"}),
    ],
    "hash_buckets": [
        constant("0", 0),
        constant("2**31", 2**31),
        constant("'many'", "many"),
        constant("np.uint8(8)", np.uint8(8)),
    ],
    "interactions": [
        constant("[1]", [1]),
        constant("('a', 'b')", ("a", "b")),
        constant("[('a',)]", [("a",)]),
        constant("[('a', 'a')]", [("a", "a")]),
        constant("[('a', 'typo')]", [("a", "typo")]),
        constant("[('a', 0)]", [("a", 0)]),
        constant("'ab'", "ab"),
        Case("a generator", lambda: (cross for cross in [("a", "b")])),
    ],
    "estimator": [
        constant("None", None),
        Case("LogisticRegression()", LogisticRegression),
        constant("a class", LogisticRegression),
        constant("[('a', 'b')]", [("a", "b")]),
    ],
    "keep_original": _FLAGS,
    "prefit": _FLAGS,
    "target_type": [*_CHOICES, constant("'continuous'", "continuous")],
    "cv": [constant("1", 1), constant("2.5", 2.5), constant("None", None)],
}

# Whatever a parameter means: nothing raw comes of these, and an error names it.
ODD_VALUES = [
    Case("a generator", lambda: (i for i in [2])),
    Case("an object", lambda: object()),
    constant("bytes", b"auto"),
    constant("2**70", 2**70),
    constant("1e308", 1e308),
    constant("np.uint8(2)", np.uint8(2)),
    constant("np.float16(0.5)", np.float16(0.5)),
    constant("np.bool_(True)", np.bool_(True)),
    constant("array([2, 3])", np.array([2, 3])),
    constant("array of NaN", np.array([np.nan])),
    constant("[]", []),
    constant("{}", {}),
    constant("{'a': 4}", {"a": 4}),
    constant("Decimal", Decimal("0.5")),
    constant("complex", 1j),
    constant("pd.NA", pd.NA),
    constant("NaT", pd.NaT),
    constant("a type", int),
    constant("a function", len),
    Case("a tensor", lambda: torch.tensor(2)),
    constant("[[2]]", [[2]]),
    constant("(None,)", (None,)),
]

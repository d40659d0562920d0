"""What a column holds, by its dtype and by its values."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.encoding.kinds import kind_of, name_types, widest

KINDS = ["none", "integer", "float", "other"]
OBJECTS = {
    "none": [[]],
    "integer": [
        [1, 2],
        [2**70],
        [np.int8(1), 2],
        [Decimal(5), Decimal("1E+3")],
        [Decimal(5), 7],
        [np.uint64(2**64 - 1), -1],
    ],
    "float": [
        [1.5],
        [1, 2.0],
        [1, np.float32(0.5)],
        [Decimal("1.50")],
        [Decimal("1.0"), 1],
        [Decimal(1), 1.0],
        [Decimal("Infinity")],
        [np.inf, 3],
    ],
    "other": [
        ["1"],
        [1, "1"],
        ["1", 1],
        [1.5, "x"],
        [True, False],
        [True, 2],
        [2.5, False],
        [np.bool_(True), 1.5],
        [1j],
        [1.5, date(2020, 1, 1)],
        [Fraction(1, 2)],
        [(1, 2)],
        [b"1"],
    ],
}


def objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@pytest.mark.parametrize(("kind", "values"), [(k, v) for k in KINDS for v in OBJECTS[k]])
def test_objects_are_what_they_hold(kind, values):
    for order in (values, values[::-1]):
        assert kind_of(np.dtype(object), objects(order)) == kind


NUMBERS = st.lists(st.one_of(st.integers(-(2**62), 2**62), st.floats(allow_nan=False)), min_size=1)


@given(NUMBERS)
def test_objects_are_as_the_dtype_that_pandas_finds(numbers):
    found = pd.Series(numbers).infer_objects().dtype
    values = objects(numbers)
    assert kind_of(values.dtype, values) == kind_of(found, np.array(numbers, dtype=found))


def test_a_category_is_no_number():
    assert kind_of(pd.CategoricalDtype([1.5]), np.array([1.5])) == "other"


def test_the_widest_kind():
    for i, first in enumerate(KINDS):
        for j, second in enumerate(KINDS):
            assert widest(first, second) == KINDS[max(i, j)]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (np.array([1, 2]), "int"),
        (np.array([1], dtype=np.uint64), "int"),
        (np.array([1.5]), "float"),
        (np.array([True]), "bool"),
        (np.array(["2020-01-01"], dtype="M8[s]"), "datetime"),
        (objects(["a", 1, "b"]), "int, str"),
        (objects([]), "nothing"),
        (np.array([], dtype=np.float64), "nothing"),
    ],
)
def test_names_of_types(values, name):
    assert name_types(values) == name

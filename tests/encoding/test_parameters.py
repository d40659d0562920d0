"""Parameters: found wrong in fit, with a clear sentence."""

import numpy as np
import pandas as pd
import pytest

from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.encoding.parameters import resolve_roles

NAMES = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("min_frequency", [0, -1, 1.0, 0.0, 1.5, True, "2", None, np.nan]),
        ("max_categories", [0, 2.5, True, "all"]),
        ("numeric", ["log", None, 3]),
        ("n_bins", [0, 2.0, None]),
        ("numeric_columns", ["two", None, 3]),
        ("numeric_features", ["a", 3, None, ["d"], [3], [-1], [True], [None]]),
        ("hash_buckets", [0, -5, 2.5, True, "a", 2**31, {"a": 0}, {"d": 5}, {7: 5}]),
    ],
)
def test_wrong_parameters_are_found_in_fit(name, values):
    table = pd.DataFrame([["x", 1, 2.5]], columns=NAMES)
    for value in values:
        encoder = FieldEncoder(**{name: value})
        assert encoder.get_params()[name] is value
        with pytest.raises(ValueError, match=f"{name} must .*got"):
            encoder.fit(table)
        with pytest.raises(ValueError, match=f"{name} must .*got"):
            encoder.partial_fit(table)


@pytest.mark.parametrize("value", [3, np.int64(3), 0.5, np.float32(0.5)])
def test_numpy_numbers_are_numbers(value):
    encoder = FieldEncoder(min_frequency=value).fit([["a"]] * 3 + [["b"]] * 2 + [["c"]])
    assert encoder.vocabularies_[0].tolist() == ["a"]


def roles(kinds, **parameters):
    parameters = FieldEncoder(**parameters).get_params()
    resolved = resolve_roles(parameters, NAMES)
    return [resolved.of(j, kind) for j, kind in enumerate(kinds)]


KINDS = ["float", "integer", "other"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ["bins", "vocabulary", "vocabulary"]),
        ({"numeric": "category"}, ["vocabulary"] * 3),
        ({"numeric": "category", "numeric_features": ["b"]}, ["vocabulary"] * 3),
        ({"numeric_features": ["b"]}, ["vocabulary", "bins", "vocabulary"]),
        ({"numeric_features": [np.int64(0), "c"]}, ["bins", "vocabulary", "bins"]),
        ({"numeric_features": np.array(["b"])}, ["vocabulary", "bins", "vocabulary"]),
        ({"numeric_features": []}, ["vocabulary"] * 3),
        ({"hash_buckets": 9}, ["bins", "hash", "hash"]),
        ({"numeric_columns": "several"}, ["bins", "bins", "vocabulary"]),
        ({"numeric_columns": "several", "hash_buckets": 9}, ["bins", "hash", "hash"]),
        ({"numeric_columns": "several", "numeric_features": []}, ["vocabulary"] * 3),
        ({"hash_buckets": 9, "numeric": "category"}, ["hash"] * 3),
        ({"hash_buckets": {"a": 9, 2: 5}}, ["hash", "vocabulary", "hash"]),
    ],
)
def test_roles_of_float_integer_and_string_columns(parameters, expected):
    assert roles(KINDS, **parameters) == expected


def test_a_field_is_not_both_numeric_and_hashed():
    with pytest.raises(ValueError, match=r"not in both, got \['b'\]"):
        roles(KINDS, numeric_features=["b"], hash_buckets={1: 5})

"""Checks of parameters: what passes comes back plain, everything else is a ValueError."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from sparsectr.parameters import (
    ParameterCheck,
    check_choice,
    check_integer,
    check_integers,
    check_real,
    describe,
    guess,
    reported_as,
)


@pytest.mark.parametrize("value", [1, 5, np.int64(3), np.uint8(2)])
def test_integers_pass(value):
    found = check_integer("n", value, 1, 5)
    assert type(found) is int
    assert found == value


@pytest.mark.parametrize("value", [0, 6, True, np.True_, 2.0, "2", None, [2]])
def test_other_integers_do_not(value):
    with pytest.raises(ValueError, match=r"n must be an int >= 1 and <= 5, got"):
        check_integer("n", value, 1, 5)


@pytest.mark.parametrize("value", [0, 0.5, np.float32(0.25), np.int64(1)])
def test_numbers_pass(value):
    found = check_real("x", value, 0, 1)
    assert type(found) is float
    assert found == value


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.inf, True, "1", None, 1j])
def test_other_numbers_do_not(value):
    with pytest.raises(ValueError, match=r"x must be a number >= 0 and <= 1, got"):
        check_real("x", value, 0, 1)


@pytest.mark.parametrize("check", [check_integer, check_real])
def test_auto_passes_where_it_is_allowed(check):
    assert check("x", "auto", 0, or_auto=True) == "auto"
    assert check("x", 3, 0, or_auto=True) == 3
    for value in ("Auto", None, np.array(["auto"]), -1):
        with pytest.raises(ValueError, match=r"x must be 'auto' or an? (int|number) >= 0, got"):
            check("x", value, 0, or_auto=True)
    with pytest.raises(ValueError, match=r"x must be an? (int|number) >= 0, got 'auto'"):
        check("x", "auto", 0)


def test_none_passes_where_it_is_allowed():
    assert check_real("x", None, 0, 1, or_none=True) is None
    assert check_real("x", 0.5, 0, 1, or_none=True) == 0.5
    with pytest.raises(ValueError, match=r"x must be None or a number >= 0 and <= 1, got 2"):
        check_real("x", 2, 0, 1, or_none=True)


@pytest.mark.parametrize("value", [0, 1])
def test_open_ends_are_excluded(value):
    with pytest.raises(ValueError, match=r"x must be a number > 0 and < 1, got"):
        check_real("x", value, 0, 1, open_low=True, open_high=True)
    with pytest.raises(ValueError, match=r"x must be a number >= 0, got inf"):
        check_real("x", np.inf, 0)


@pytest.mark.parametrize("value", ["auto", True, np.str_("auto"), np.True_])
def test_choices_pass(value):
    assert check_choice("c", value, ["auto", True]) == value


@pytest.mark.parametrize("value", ["Auto", 1, 1.0, False, None, np.array(["auto"]), ["auto"]])
def test_other_choices_do_not(value):
    with pytest.raises(ValueError, match=r"c must be one of 'auto', True, got"):
        check_choice("c", value, ["auto", True])


class Draft:
    def __init__(self, **parameters):
        vars(self).update(parameters)


def test_checked_parameters_become_plain():
    draft = Draft(a=np.uint8(200), b=Fraction(1, 2), c=np.bool_(True), d=[np.int8(3), 4], e=None)
    check = ParameterCheck(draft)
    check.integer("a", 1)
    check.real("b", 0)
    check.choice("c", [True, False])
    check.integers("d", 1)
    check.integer("e", 1, or_none=True)
    assert vars(draft) == {"a": 200, "b": 0.5, "c": True, "d": (3, 4), "e": None}
    assert [type(value) for value in vars(draft).values()] == [int, float, bool, tuple, type(None)]
    assert [type(entry) for entry in draft.d] == [int, int]


@pytest.mark.parametrize("value", [2, "23", (i for i in [2]), {2, 3}, None, np.array(2)])
def test_no_list_of_integers(value):
    with pytest.raises(ValueError, match=r"d must be a list or tuple of ints >= 2, got "):
        check_integers("d", value, 2)


def test_a_list_of_integers():
    assert check_integers("d", (), 1) == ()
    assert check_integers("d", np.array([2, 3]), 2) == (2, 3)
    for wrong in ([1], [2.0], [True], [[2]], ["2"]):
        with pytest.raises(ValueError, match=r"every entry of d must be an int >= 2, got "):
            check_integers("d", wrong, 2)


def test_numbers_that_a_net_cannot_hold():
    for name, value in {"x": 1e308, "y": Fraction(10**400), "z": 10**400}.items():
        with pytest.raises(ValueError, match=rf"{name} must be .*got "):
            ParameterCheck(Draft(**{name: value})).real(name, 0)
    with pytest.raises(ValueError, match="n must fit into 64 bits, got 9223372036854775808"):
        ParameterCheck(Draft(n=2**63)).integer("n", 1)


def test_seeds():
    for seed in (None, 0, 2**32 - 1, np.uint8(3), np.random.RandomState(0)):
        ParameterCheck(Draft(random_state=seed)).seed("random_state")
    for seed in (-1, 2**32, True, "0", 0.0, np.random.default_rng(0)):
        with pytest.raises(ValueError, match=r"random_state must be None, an int from 0 to"):
            ParameterCheck(Draft(random_state=seed)).seed("random_state")


class Unprintable:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.float64(0.0), "0.0"),
        (np.str_("a"), "'a'"),
        (np.bool_(True), "True"),
        (None, "None"),
        (Decimal("0.5"), "Decimal('0.5')"),
        (np.datetime64("2020-01-02"), "2020-01-02"),
        (date(2020, 1, 2), "2020-01-02"),
        ([1, np.int8(2), ("a",)], "[1, 2, ('a',)]"),
        ({"a": np.float64(1)}, "{'a': 1.0}"),
        (set(), "{}"),
        (int, "the class int"),
        ((i for i in [2]), "a generator"),
        (np.zeros((2, 3)), "a ndarray of shape (2, 3)"),
        (Unprintable(), "a Unprintable"),
        ([Unprintable()], "[a Unprintable]"),
    ],
)
def test_what_came_in_plain_words(value, words):
    assert describe(value) == words


def test_an_integer_that_python_does_not_print():
    assert describe(1 << 20_000) == "an int of 20001 bits"


def test_what_came_fits_into_a_line():
    endless = []
    endless.append(endless)
    for value in ("x" * 500, list(range(500)), dict.fromkeys(range(500), "x" * 50), endless):
        assert len(describe(value)) <= 80


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cuntry", " (did you mean 'country'?)"),
        ("country_2", " (did you mean 'country'?)"),
        ("hour", ""),
        (3, ""),
    ],
)
def test_a_name_that_is_nearly_a_known_one(name, words):
    assert guess(name, ["city", "country", "site"]) == words


def test_errors_begin_with_the_name():
    for kind in (ValueError, TypeError):
        with pytest.raises(kind, match=r"^X_val: too long$"), reported_as("X_val"):
            raise kind("too long")
    with pytest.raises(RuntimeError, match=r"^bug$"), reported_as("X_val"):
        raise RuntimeError("bug")

"""Fits that change everything or nothing, for every public estimator."""

import inspect
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

import sparsectr
from sparsectr import (
    DynIntClassifier,
    FieldEncoder,
    InteractionFeatures,
    ListedInteractions,
    OptFeatureClassifier,
    ProfitClassifier,
)
from sparsectr.drafts import on_a_draft, on_one_fit

pytestmark = pytest.mark.filterwarnings("ignore::sparsectr.UnknownValuesWarning")

PACKAGE = str(Path(sparsectr.__file__).parent)
RNG = np.random.default_rng(0)
X = pd.DataFrame({"a": RNG.choice(list("xyzw"), 60), "b": RNG.choice(list("wzyx"), 60)})
Y = (X["a"] == X["b"]).to_numpy().astype(int)
# The same names, other values, another number of classes.
OTHER_X = pd.DataFrame({"a": RNG.choice(list("uvx"), 60), "b": RNG.choice(list("rs"), 60)})
OTHER_Y = RNG.integers(0, 3, 60)

SMALL = {"max_epochs": 1, "embedding_dim": 2, "random_state": 0}
METHODS = {
    "dynint": partial(DynIntClassifier, **SMALL),
    "optfeature": partial(OptFeatureClassifier, search_epochs=1, hidden_units=(), **SMALL),
    "profit": partial(ProfitClassifier, search_epochs=1, **SMALL),
}
ESTIMATORS = METHODS | {
    "encoder": FieldEncoder,
    "list": ListedInteractions,
    "features": lambda: InteractionFeatures(DynIntClassifier(**SMALL), encoder="onehot"),
}
REFUSED = {
    "permuted cells that cannot be hashed": (X[["b", "a"]].assign(a=[{"key": 1}] * 60), Y),
    "a single class": (X[["b", "a"]], np.zeros(60, dtype=int)),
    "fewer labels": (X[["b"]], Y[:-1]),
    "no rows": (X[:0], Y[:0]),
}
# What estimators take that read no labels, or no cells.
TAKEN = {
    "encoder": ("a single class", "fewer labels"),
    "list": ("a single class", "fewer labels", "permuted cells that cannot be hashed"),
}


def attributes(estimator):
    return {name: id(value) for name, value in vars(estimator).items()}


def answers(estimator):
    """What a fitted estimator says, as one array."""
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X)
    if hasattr(estimator, "transform"):
        codes = estimator.transform(X)
        return codes.toarray() if hasattr(codes, "toarray") else codes
    return np.array([cross.fields for cross in estimator.selected_interactions_])


# Every estimator -------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:partial_fit after fit starts over")
@pytest.mark.parametrize("bad", REFUSED)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_refused_fit_changes_nothing(name, bad):
    rows, labels = REFUSED[bad]
    for estimator in (ESTIMATORS[name](), ESTIMATORS[name]().fit(X, Y)):
        before = attributes(estimator)
        for method in ("fit", "fit_transform", "partial_fit"):
            if not hasattr(estimator, method) or bad in TAKEN.get(name, ()):
                continue
            more = {"classes": np.unique(Y)} if method == "partial_fit" and name in METHODS else {}
            if more and bad == "a single class":
                labels = labels + 2
            with pytest.raises((ValueError, TypeError), match=r".+"):
                getattr(estimator, method)(rows, labels, **more)
            assert attributes(estimator) == before


class InterruptAt:
    """Press Ctrl-C at the n-th call of a function of this package, or let another thread act."""

    def __init__(self, n, action=None):
        self.left, self.action = n, action

    def __call__(self, frame, event, argument):
        code = frame.f_code
        # Python ignores an interrupt while it closes a generator.
        generator = code.co_flags & inspect.CO_GENERATOR
        if event == "call" and code.co_filename.startswith(PACKAGE) and not generator:
            self.left -= 1
            if self.left == 0:
                sys.setprofile(None)
                if self.action is None:
                    raise KeyboardInterrupt
                other = threading.Thread(target=self.action)
                other.start()
                other.join()

    def __enter__(self):
        sys.setprofile(self)
        return self

    def __exit__(self, *error):
        sys.setprofile(None)


def count_calls(function):
    function()  # what happens once in a process
    with InterruptAt(10**9) as watch:
        function()
    return 10**9 - watch.left


def places(function, most):
    """Some of the calls of functions of this package that a call makes, from 1 on."""
    return np.unique(np.linspace(1, count_calls(function), most).astype(int))


def refit(estimator):
    return estimator.fit(OTHER_X, OTHER_Y)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_interrupted_refit_changes_nothing(name):
    other = ESTIMATORS[name]().fit(X, Y)
    fitted = ESTIMATORS[name]().fit(X, Y)
    before, said = attributes(fitted), answers(fitted)
    for place in places(partial(refit, other), 25):
        with InterruptAt(place), pytest.raises(KeyboardInterrupt):
            refit(fitted)
        assert attributes(fitted) == before
    np.testing.assert_array_equal(answers(fitted), said)
    np.testing.assert_array_equal(answers(refit(fitted)), answers(other))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_fit_shows_when_it_is_complete(name):
    # Seen by another thread that gets its turn anywhere within a fit.
    fitted, other = (ESTIMATORS[name]().fit(X, Y) for _ in range(2))
    said = answers(fitted)
    for place in places(partial(refit, other), 10):
        seen = []
        with InterruptAt(place, lambda seen=seen: seen.append(answers(fitted))):
            refit(fitted)
        np.testing.assert_array_equal(seen[0], said)
        fitted.fit(X, Y)


def check_reader(fitted, read, same, most):
    """Let a fit end anywhere within a call that reads fitted attributes; return both answers."""
    before, at = read(), places(read, most)
    refit(fitted)
    after = read()
    for place in at:
        fitted.fit(X, Y)
        with InterruptAt(place, partial(refit, fitted)):
            said = read()
        # The first call is that which takes the attributes.
        same(said, before if place > 1 else after)
        same(read(), after)
    return before, after


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "list"])
def test_a_reader_sees_the_fit_before_or_the_one_after(name):
    fitted = ESTIMATORS[name]().fit(X, Y)
    answer = partial(answers, fitted)
    before, after = check_reader(fitted, answer, np.testing.assert_array_equal, 20)
    assert not np.array_equal(before, after)


@pytest.mark.parametrize("name", METHODS)
def test_reports_see_one_fit(name):
    fitted = METHODS[name]().fit(X, Y)
    cross = fitted.selected_interactions_[0].fields
    reports = [fitted.interaction_table, partial(fitted.value_effects, cross)]
    reports += [partial(fitted.explain, X, top) for top in (5, None)]
    if name == "optfeature":
        reports += [partial(fitted.selected_values, cross), partial(fitted.gate, X)]
    for report in reports:
        fitted.fit(X, Y)
        before, after = check_reader(fitted, report, pd.testing.assert_frame_equal, 8)
        assert not before.equals(after) or before.dtypes.eq(bool).all()  # gates may be the same


@pytest.mark.parametrize("name", METHODS)
def test_a_new_fit_starts_from_the_parameters_only(name):
    fresh = METHODS[name]()
    parameters = set(vars(fresh))
    fitted = METHODS[name]().fit(X, Y)
    private = {n for n in vars(fitted).keys() - parameters if n.startswith("_")}
    assert private == set(fitted._private_state)
    fitted._forget()
    assert set(vars(fitted)) == parameters


# The tools -------------------------------------------------------------------------------


class Counter(BaseEstimator):
    def __init__(self):
        self.total, self.parts = 0, ()

    @on_a_draft
    def add(self, number, *, fail=False):
        """Add."""
        self.total += number
        if fail:
            raise ValueError
        self.parts = (*self.parts, number)
        return self

    @on_a_draft
    def pop(self):
        *rest, last = self.parts
        self.total, self.parts = self.total - last, tuple(rest)
        return last

    @on_one_fit
    def read(self, between):
        total = self.total
        between()
        self.cached = total
        return total, self.parts


def test_a_draft_takes_the_place_of_the_object():
    counter = Counter()
    assert counter.add(2) is counter
    assert counter.add(number=3).pop() == 3
    assert vars(counter) == {"total": 2, "parts": (2,)}
    with pytest.raises(ValueError):  # noqa: PT011
        counter.add(7, fail=True)
    assert vars(counter) == {"total": 2, "parts": (2,)}
    assert Counter.add.__doc__ == "Add."


def test_a_reader_stays_with_its_fit_and_may_cache():
    counter = Counter().add(1)
    assert counter.read(lambda: counter.add(4)) == (1, (1,))
    assert not hasattr(counter, "cached")  # belongs to the fit before
    assert counter.read(lambda: None) == (5, (1, 4))
    assert counter.cached == 5

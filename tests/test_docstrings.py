"""The docstrings of all public names: well-formed, and true."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import Validator, validate
from public import CLASSIFIERS, REGRESSORS
from sklearn.base import BaseEstimator

from sparsectr import ProfitClassifier
from sparsectr.classification import BaseInteractionClassifier
from sparsectr.datasets import make_clicks
from sparsectr.regression import BaseInteractionRegressor
from sparsectr.shared_parameters import SharedParameters

PUBLIC_MODULES = ["sparsectr", "sparsectr.datasets", "sparsectr.metrics"]
EXAMPLE_LINES = 8

# GL01, GL02: where the quotes stand. RT02, RT04: results may have names, also those of code.
# SA01: "See Also" is optional.
IGNORED = {"GL01", "GL02", "RT02", "RT04", "SA01"}
# A method or a record may do without an extended summary and an example of its own.
IGNORED_IN_METHODS = IGNORED | {"ES01", "EX01"}
# The fields of a record are documented as attributes.
IGNORED_IN_RECORDS = IGNORED | {"PR01"}

# What a meta-estimator is made of, for the tests that need an object.
POSITIONAL: dict[str, tuple[Any, ...]] = {
    "InteractionFeatures": (ProfitClassifier(search_epochs=1, max_epochs=1),),
}
# Fits that together set every attribute there is; one with the defaults where none is named.
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "DynIntClassifier": [{"max_epochs": 1}, {"max_epochs": 1, "optimizer": "ftrl"}],
    "DynIntRegressor": [{"max_epochs": 1}, {"max_epochs": 1, "optimizer": "ftrl"}],
}


def public_objects() -> Iterator[tuple[str, Any]]:
    for module_name in PUBLIC_MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            yield f"{module_name}.{name}", getattr(module, name)


def public_methods(cls: type) -> list[str]:
    """Names of the methods and properties of a class that are written in this package."""
    return [
        name
        for name, member in inspect.getmembers_static(cls)
        if not name.startswith("_") and is_ours(member)
    ]


def is_ours(member: Any) -> bool:
    function = member.fget if isinstance(member, property) else inspect.unwrap(member)
    function = getattr(function, "__func__", function)
    return inspect.isfunction(function) and function.__module__.startswith("sparsectr.")


def is_record(obj: Any) -> bool:
    return isinstance(obj, type) and issubclass(obj, tuple | Warning)


OBJECTS = dict(public_objects())
METHODS = [
    f"{name}.{method}"
    for name, obj in OBJECTS.items()
    if isinstance(obj, type)
    for method in public_methods(obj)
]
ESTIMATORS = {
    name: obj
    for name, obj in OBJECTS.items()
    if isinstance(obj, type) and issubclass(obj, BaseEstimator)
}


def documented_defaults(obj: Any) -> dict[str, Any]:
    """Read "name : type, default=VALUE" lines; strings may stand for values without literal."""
    found = {}
    for parameter in get_doc_object(obj)["Parameters"]:
        match = re.search(r"default=(.+)$", parameter.type)
        if match:
            for name in parameter.name.split(", "):
                found[name] = ast.literal_eval(match[1])
    return found


def coded_defaults(obj: Any) -> dict[str, Any]:
    return {
        name: parameter.default
        for name, parameter in inspect.signature(obj).parameters.items()
        if parameter.default is not parameter.empty
    }


def documented_attributes(cls: type) -> set[str]:
    return {
        name
        for attribute in get_doc_object(cls)["Attributes"]
        for name in attribute.name.split(", ")
        if name.endswith("_")
    }


def fitted_attributes(estimator: BaseEstimator) -> set[str]:
    return {
        name
        for name in dir(estimator)
        if name.endswith("_") and not name.startswith("_") and hasattr(estimator, name)
    }


def n_example_lines(doc: str) -> int:
    return len(re.findall(r"^\s*(>>>|\.\.\.) ", doc, flags=re.MULTILINE))


def errors(name: str, ignored: set[str]) -> list[str]:
    return [f"{code}: {text}" for code, text in validate(name)["errors"] if code not in ignored]


@pytest.mark.parametrize("name", OBJECTS)
def test_docstring_is_complete(name):
    assert errors(name, IGNORED_IN_RECORDS if is_record(OBJECTS[name]) else IGNORED) == []


@pytest.mark.parametrize("name", METHODS)
def test_docstring_of_method_is_complete(name):
    assert errors(name, IGNORED_IN_METHODS) == []


@pytest.mark.parametrize("name", [name for name in OBJECTS if not is_record(OBJECTS[name])])
def test_documented_defaults_are_those_of_the_code(name):
    assert documented_defaults(OBJECTS[name]) == coded_defaults(OBJECTS[name])


@pytest.mark.parametrize("name", METHODS)
def test_documented_defaults_of_method_are_those_of_the_code(name):
    method = Validator._load_obj(name)
    if isinstance(method, property):
        return
    documented, coded = documented_defaults(method), coded_defaults(method)
    # A method need not repeat that an argument may be left out.
    assert documented == {parameter: coded.get(parameter) for parameter in documented}


def descriptions(cls: type) -> dict[str, str]:
    """Texts of the documented parameters, white space folded."""
    return {
        parameter.name: " ".join(" ".join(parameter.desc).split())
        for parameter in get_doc_object(cls)["Parameters"]
    }


SHARED = descriptions(SharedParameters)
BY_TARGET = {
    base: descriptions(base) for base in (BaseInteractionClassifier, BaseInteractionRegressor)
}


def test_what_all_estimators_share_is_documented_once():
    assert SHARED.keys() == coded_defaults(SharedParameters).keys()
    assert documented_defaults(SharedParameters) == coded_defaults(SharedParameters)
    assert not any(SHARED.keys() & texts.keys() for texts in BY_TARGET.values())


@pytest.mark.parametrize("cls", [*CLASSIFIERS, *REGRESSORS])
def test_shared_parameters_are_worded_as_in_the_base(cls):
    own = descriptions(cls)
    (of_target,) = (texts for base, texts in BY_TARGET.items() if issubclass(cls, base))
    for name, text in (SHARED | of_target).items():
        # A method may add what is special about it.
        assert own[name] == text or own[name].startswith(text + " "), name


@pytest.mark.parametrize("name", OBJECTS)
def test_example_is_short(name):
    assert 0 < n_example_lines(inspect.getdoc(OBJECTS[name])) <= EXAMPLE_LINES


@pytest.mark.parametrize("name", ESTIMATORS)
def test_documented_attributes_are_those_of_a_fitted_estimator(name):
    cls = ESTIMATORS[name]
    clicks = make_clicks(500, 5, 6, random_state=0)
    arguments = POSITIONAL.get(cls.__name__, ())
    real = set()
    for setting in SETTINGS.get(cls.__name__, [{}]):
        real |= fitted_attributes(cls(*arguments, **setting).fit(clicks.X, clicks.y))
    assert documented_attributes(cls) == real


# The tools find what they should ---------------------------------------------------------


class _Sample(BaseEstimator):
    """Serve as a sample.

    Parameters
    ----------
    right : int, default=1_000
        Documented as coded.
    wrong : float, default=0.5
        Documented otherwise than coded.
    silent : int
        Without its default.

    Attributes
    ----------
    never_set_ : int
        Promised only.
    pairs : int
        Not a fitted attribute.

    Examples
    --------
    >>> if True:
    ...     pass
    """

    def __init__(self, right=1000, wrong=0.25, silent=None):
        self.right, self.wrong, self.silent = right, wrong, silent

    def fit(self, X, y=None):
        self.secret_ = 1
        self._private_ = 2
        return self

    @property
    def computed_(self):
        return self.secret_ + 1


def test_tools_read_what_a_docstring_and_its_code_say():
    assert documented_defaults(_Sample) == {"right": 1000, "wrong": 0.5}
    assert coded_defaults(_Sample) == {"right": 1000, "wrong": 0.25, "silent": None}
    assert documented_attributes(_Sample) == {"never_set_"}
    assert fitted_attributes(_Sample()) == set()
    assert fitted_attributes(_Sample().fit(None)) == {"secret_", "computed_"}
    assert n_example_lines(_Sample.__doc__) == 2


def test_public_names_are_found():
    assert {"sparsectr.FieldEncoder", "sparsectr.datasets.make_clicks"} <= OBJECTS.keys()
    assert {"sparsectr.FieldEncoder.fit", "sparsectr.FieldEncoder.transform"} <= set(METHODS)
    # Inherited from scikit-learn and documented there.
    assert "sparsectr.FieldEncoder.get_params" not in METHODS
    assert "sparsectr.FieldEncoder" in ESTIMATORS

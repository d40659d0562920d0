"""Whatever comes in: a result that makes sense, or one sentence. docs/bad_input.md lists them."""

import inspect
import os
import re
import traceback
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import public
import pytest
import sklearn
from bad_inputs import (
    ASKED,
    ASKED_CLASSIFIERS,
    CALLS,
    CLASS_WEIGHTS,
    COLUMNS,
    CONTAINERS,
    LABELS,
    LATER,
    NAMES,
    NUMBERS,
    ODD_VALUES,
    PARAMETERS,
    UNFITTED,
    UNFITTED_CLASSIFIERS,
    VALIDATION,
    WEIGHTS,
    Case,
    Y,
    table,
)
from packaging.version import Version
from sklearn.base import is_regressor
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError

import sparsectr

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "bad_input.md"
PACKAGE = Path(sparsectr.__file__).parent

# Sentences that scikit-learn's own estimator checks ask for, word by word.
CONTRACT = [
    r"X has \d+ features, but \w+ is expecting \d+ features as input",
    r"The feature names should match those that were passed",
    r"Found array with 0 (sample|feature)\(s\) \(shape=.*\) while a minimum of 1 is required",
    r"This \w+ (instance|estimator) (is not fitted yet|requires y to be passed)",
    r"Feature names are only supported if all input features have string names, but your input",
]
SMALL = {
    "max_epochs": 1,
    "search_epochs": 1,
    "embedding_dim": 4,
    "hidden_units": (4,),
    "n_interactions": 3,
    "random_state": 0,
    "n_folds": 2,
}
MUST = re.compile(r"\b(must|needs?|expected|not supported)\b", re.IGNORECASE)
CAME = re.compile(r"\b(got|has|have|are|is|repeated|missing|found)\b", re.IGNORECASE)
LONGEST = 400


# Roads: what is done with an input -----------------------------------------------------------


def make(name: str, **parameters: Any) -> Any:
    """Make a small estimator; what it is made of comes by itself."""
    cls = getattr(sparsectr, name)
    known = inspect.signature(cls).parameters
    small = {k: v for k, v in SMALL.items() if k in known}
    if "estimator" in known:
        small["estimator"] = sparsectr.ListedInteractions()
    if "net" in known:
        small["net"] = make("DynIntClassifier")
    return cls(**(small | parameters))


def check_result(estimator: Any, X: Any) -> None:
    """Ask a fitted estimator for what it is made for."""
    if is_regressor(estimator):
        assert np.isfinite(estimator.predict(X)).all()
    elif hasattr(estimator, "predict_proba"):
        probabilities = estimator.predict_proba(X)
        assert np.isfinite(probabilities).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    elif hasattr(estimator, "transform"):
        made = estimator.transform(X)
        assert made.shape[0] == len(X)
        assert np.isfinite(made).all()
    else:
        assert all(len(cross.fields) >= 2 for cross in estimator.selected_interactions_)


def use(
    name: str, X: Any, y: Any = Y, later: Any = None, fit: Any = None, **parameters: Any
) -> None:
    """Fit one estimator and ask it for a result."""
    estimator = make(name, **parameters).fit(X, y, **(fit or {}))
    check_result(estimator, X if later is None else later)


def screen(X: Any, y: Any = Y) -> None:
    """Screen with a classifier that knows only how frequent the classes are."""
    clf = DummyClassifier(strategy="prior").fit(table(), Y)
    assert np.isfinite(sparsectr.screen_interactions(clf, X, y)["score"]).all()


CLASSIFIERS = [cls.__name__ for cls in public.CLASSIFIERS]
REGRESSORS = [cls.__name__ for cls in public.REGRESSORS]
ESTIMATORS = [cls.__name__ for cls in public.ESTIMATORS]


class Group(NamedTuple):
    """Cases that are given in the same way, and the public names that get them."""

    title: str
    column: str
    cases: list[Case]
    names: list[str]
    run: Callable[[str, Any], None]


def fit_table(name: str, X: Any) -> None:
    if name == "screen_interactions":
        screen(X)
    else:
        use(name, X)


def fit_column(name: str, cells: Any) -> None:
    fit_table(name, table(z=cells))


def fit_labels(name: str, y: Any) -> None:
    if name == "screen_interactions":
        screen(table(), y)
    else:
        use(name, table(), y)


def fit_weights(name: str, sample_weight: Any) -> None:
    own = {"estimator": make("DynIntClassifier")} if name == "InteractionFeatures" else {}
    use(name, table(), fit={"sample_weight": sample_weight}, **own)


def fit_class_weight(name: str, class_weight: Any) -> None:
    use(name, table(), class_weight=class_weight)


def fit_validation(name: str, arguments: dict[str, Any]) -> None:
    use(name, table(), fit=arguments)


def see_later(name: str, X: Any) -> None:
    use(name, table(), later=X)


@cache
def fitted(name: str) -> Any:
    """Return an estimator that lists no crosses."""
    return make(name, n_interactions=0).fit(table(), Y)


def ask(name: str, question: Callable[[Any], Any]) -> None:
    question(fitted(name))


def ask_unfitted(name: str, question: Callable[[Any], Any]) -> None:
    question(make(name))


def call(name: str, question: Callable[[], Any]) -> None:
    question()


TABLES = [*ESTIMATORS, "screen_interactions"]
ENSEMBLES = ["CrossEnsembleClassifier", "CrossStatistics"]
LABELLED = [*CLASSIFIERS, "InteractionFeatures", "screen_interactions", *ENSEMBLES]
WEIGHTED = [*CLASSIFIERS, *REGRESSORS, "InteractionFeatures", *ENSEMBLES]
MODELS = [*CLASSIFIERS, *REGRESSORS]
TRANSFORMING = [name for name in ESTIMATORS if name != "ListedInteractions"]
GROUPS = [
    Group("Tables", "`X` is", CONTAINERS, TABLES, fit_table),
    Group("Cells", "A column of `X` holds", COLUMNS, TABLES, fit_column),
    Group("Names of columns", "They are", NAMES, TABLES, fit_table),
    Group("Other tables after the fit", "`X` has", LATER, TRANSFORMING, see_later),
    Group("Labels", "`y` is", LABELS, LABELLED, fit_labels),
    Group("Targets of regressors", "`y` is", LABELS, REGRESSORS, fit_labels),
    Group("Weights", "`sample_weight` is", WEIGHTS, WEIGHTED, fit_weights),
    Group("Weights of classes", "`class_weight` is", CLASS_WEIGHTS, CLASSIFIERS, fit_class_weight),
    Group("Validation rows", "`X_val`, `y_val`", VALIDATION, MODELS, fit_validation),
    Group("Questions to a fitted estimator", "call", ASKED, MODELS, ask),
    Group("Questions to a fitted classifier", "call", ASKED_CLASSIFIERS, CLASSIFIERS, ask),
    Group("Questions to one that is not fitted", "call", UNFITTED, MODELS, ask_unfitted),
    Group(
        "Questions to a classifier that is not fitted",
        "call",
        UNFITTED_CLASSIFIERS,
        CLASSIFIERS,
        ask_unfitted,
    ),
    Group("Other functions and classes", "call", CALLS, ["functions"], call),
]


def give(name: str, parameter: str) -> Callable[[str, Any], None]:
    """Return a way to give a parameter to a class."""
    # Numbers, so that there are bins.
    return lambda _, value: use(name, table(z=NUMBERS / 3), **{parameter: value})


def parameters_of(name: str) -> list[str]:
    """Return the parameters of a class; of a regressor, those that no classifier checks for it."""
    parameters = inspect.signature(getattr(sparsectr, name)).parameters
    if name not in REGRESSORS:
        return list(parameters)
    known = inspect.signature(
        getattr(sparsectr, name.replace("Regressor", "Classifier"))
    ).parameters
    return ["monitor", *(parameter for parameter in parameters if parameter not in known)]


# What comes ------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    error: BaseException | None
    warned: list[str]

    def __str__(self) -> str:
        if self.error is not None:
            return f"{type(self.error).__name__}: {self.error}"
        return " ".join(["accepted", *(f"(warning: {text})" for text in self.warned)])


def come(run: Callable[[str, Any], None], name: str, case: Case) -> Outcome:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            run(name, case.make())
        except Exception as error:
            return Outcome(error, [])
    return Outcome(None, sorted({str(warning.message) for warning in caught}))


def complaint(error: BaseException | None) -> str | None:
    """Say what is wrong with an error, if anything."""
    if error is None:
        return None
    if type(error) not in (ValueError, TypeError, NotFittedError, MemoryError):
        return f"{type(error).__name__} is none of the errors that we raise"
    text = str(error)
    if any(re.search(sentence, text) for sentence in CONTRACT):
        return None
    place = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    if PACKAGE not in place.parents:
        return f"it was raised in {place}"
    if "\n" in text or len(text) > LONGEST:
        return f"it must have one line of at most {LONGEST} letters"
    if not MUST.search(text) or not CAME.search(text) or not text.endswith("."):
        return "it must be a sentence that says what must hold and what came"
    if re.search(r"0x[0-9a-f]{6}|np\.\w+\(|<class", text):
        return "it must say what came in plain words"
    return None


@pytest.fixture(scope="module", autouse=True)
def agg():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def outcomes() -> dict[tuple[str, str, str], Outcome]:
    return {
        (group.title, case.words, name): come(group.run, name, case)
        for group in GROUPS
        for case in group.cases
        for name in group.names
    }


@pytest.fixture(scope="module")
def outcomes_of_parameters() -> dict[tuple[str, str, str], Outcome]:
    return {
        (name, parameter, case.words): come(give(name, parameter), name, case)
        for name in ESTIMATORS
        for parameter in parameters_of(name)
        for case in PARAMETERS.get(parameter, [])
    }


def complaints(outcomes: dict[tuple[str, str, str], Outcome]) -> str:
    found = {key: complaint(outcome.error) for key, outcome in outcomes.items()}
    return "\n".join(f"{key}: {text}: {outcomes[key]}" for key, text in found.items() if text)


def test_a_result_or_one_sentence(outcomes):
    assert len({(title, words) for title, words, _ in outcomes}) >= 100
    assert complaints(outcomes) == ""


def names(error: BaseException | None, parameter: str) -> bool:
    """Tell whether an error, if there is one, is about a parameter, or about what came of it."""
    later = isinstance(error, NotFittedError) or "must stay finite" in str(error)
    return error is None or later or parameter in str(error)


def test_errors_of_parameters_name_them(outcomes_of_parameters):
    assert complaints(outcomes_of_parameters) == ""
    for (_, parameter, _), outcome in outcomes_of_parameters.items():
        assert names(outcome.error, parameter)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_odd_values_of_parameters(name):
    for parameter in parameters_of(name):
        for case in ODD_VALUES:
            outcome = come(give(name, parameter), name, case)
            key = f"{parameter}={case.words}: {outcome}"
            assert complaint(outcome.error) is None, f"{key}: {complaint(outcome.error)}"
            assert names(outcome.error, parameter), key


# The page --------------------------------------------------------------------------------------

HEAD = """# Bad input

What the public classes and functions do with input that is wrong, or merely unusual. Accepted
input gives finite results; everything else ends in one sentence. A test makes this page:
`python -m nox -s bad_input` writes it anew.
"""


def write_page(
    outcomes: dict[tuple[str, str, str], Outcome],
    of_parameters: dict[tuple[str, str, str], Outcome],
) -> str:
    parts = [HEAD]
    for group in GROUPS:
        rows: dict[str, list[str]] = {}
        for case in group.cases:
            said: dict[str, list[str]] = {}
            for name in group.names:
                text = say(outcomes[group.title, case.words, name], name)
                said.setdefault(text, []).append(name)
            cell = "<br>".join(
                text if len(said) == 1 else f"{name_all(names)}: {text}"
                for text, names in said.items()
            )
            rows.setdefault(cell, []).append(escape(case.words))
        parts.append(f"\n## {group.title}\n\n| {group.column} | what comes |\n|---|---|\n")
        accepted = rows.pop("accepted", [])
        parts += [f"| {'; '.join(words)} | {cell} |\n" for cell, words in rows.items()]
        if accepted:
            parts.append(f"| {'; '.join(accepted)} | accepted |\n")
    parts.append("\n## Parameters\n\n| parameter | of | value | what comes |\n|---|---|---|---|\n")
    sayings: dict[tuple[str, str, str], list[str]] = {}
    for (name, parameter, words), outcome in of_parameters.items():
        # What came stands in the column of values.
        text = re.sub(r", got [^;]*$", ", got …", say(outcome, name))
        sayings.setdefault((parameter, escape(words), text), []).append(name)
    rows_of: dict[tuple[str, str, str], list[str]] = {}
    for (parameter, words, text), names in sayings.items():
        rows_of.setdefault((parameter, name_all(names), text), []).append(words)
    for (parameter, owners, text), values in sorted(rows_of.items()):
        parts.append(f"| `{parameter}` | {owners} | {'; '.join(values)} | {text} |\n")
    return "".join(parts)


def escape(text: str) -> str:
    """Write text so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", text)


def say(outcome: Outcome, name: str) -> str:
    """Write an outcome in Markdown, without the name of the class."""
    text = str(outcome).replace(name, "…")
    text = re.sub(r"machine has [\d,.]+ GB", "machine has … GB", text)
    text = re.sub(r"[\d,.]+ GB are available", "… GB are available", text)
    return escape(" ".join(text.split()))


def name_all(names: list[str]) -> str:
    all_of = []
    for words, kind in (("classifiers", CLASSIFIERS), ("regressors", REGRESSORS)):
        if set(kind) <= set(names):
            all_of.append(words)
            names = [name for name in names if name not in kind]
    return ", ".join([*all_of, *(f"`{name}`" for name in names)])


@pytest.mark.skipif(
    Version(sklearn.__version__) < Version("1.9"), reason="the page is made with new versions"
)
def test_the_page_is_what_comes(outcomes, outcomes_of_parameters):
    page = write_page(outcomes, outcomes_of_parameters)
    if os.environ.get("SPARSECTR_WRITE_PAGES"):
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, (
        "docs/bad_input.md is not what comes now: python -m nox -s bad_input writes it anew"
    )

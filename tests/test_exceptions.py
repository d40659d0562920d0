"""Warnings of our own point at the line of the user."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sparsectr import (
    DynIntClassifier,
    FieldEncoder,
    InteractionFeatures,
    UnknownValuesWarning,
    screen_interactions,
)
from sparsectr.exceptions import warn_caller

IDS = pd.DataFrame({"id": np.arange(60), "site": list("ab") * 30})
OTHERS = IDS.astype({"id": str})
FLOATS = pd.DataFrame({"id": np.arange(80.0), "site": list("ab") * 40})
CLASSIFIER = DynIntClassifier(max_epochs=1, embedding_dim=2, random_state=0)


def fitted(estimator):
    return estimator.fit(IDS, np.arange(60) % 2)


@pytest.mark.parametrize(
    "act",
    [
        lambda: fitted(FieldEncoder()).transform(OTHERS),
        lambda: fitted(FieldEncoder().set_output(transform="pandas")).transform(OTHERS),
        lambda: fitted(CLASSIFIER).predict(OTHERS),
        lambda: fitted(make_pipeline(CLASSIFIER)).predict_proba(OTHERS),
        lambda: fitted(InteractionFeatures(CLASSIFIER)).transform(OTHERS),
        lambda: screen_interactions(fitted(CLASSIFIER), OTHERS, np.arange(60) % 2),
        lambda: FieldEncoder().fit(FLOATS),
    ],
)
def test_a_warning_names_the_line_of_the_user(act):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act()
    assert [warning.filename for warning in caught] == [__file__]
    assert caught[0].lineno == act.__code__.co_firstlineno


def test_without_a_user_it_warns_all_the_same():
    names = {"warn_caller": warn_caller, "__name__": "sparsectr.made_up"}
    with pytest.warns(UnknownValuesWarning, match="strange"):
        exec("warn_caller('strange', category)", names | {"category": UnknownValuesWarning})

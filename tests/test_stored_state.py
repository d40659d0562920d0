"""Stored estimators: what is trusted, what is refused, and what damaged files do."""

import json
import pickle
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from public import ESTIMATORS
from sklearn.base import clone

import sparsectr
from sparsectr import (
    CrossEnsembleClassifier,
    CrossStatistics,
    DynIntClassifier,
    DynIntRegressor,
    FieldEncoder,
    InteractionFeatures,
    ListedInteractions,
    OptFeatureClassifier,
    OptFeatureRegressor,
    ProfitClassifier,
    ProfitRegressor,
    stored_state,
    trusted_types,
)
from sparsectr.encoding.binning import Bins
from sparsectr.encoding.counts import ValueCounts
from sparsectr.encoding.hashing import Buckets
from sparsectr.encoding.vocabulary import Vocabulary
from sparsectr.interactions.crossing import CrossVocabulary

TABLE = np.random.default_rng(0).integers(0, 6, size=(200, 3))
X = [[str(a), int(b), c / 7] for a, b, c in TABLE]
Y = (TABLE[:, 0] == TABLE[:, 1]).astype(int)
QUICK = {"max_epochs": 1, "embedding_dim": 2, "random_state": 0}
FITTED = [
    DynIntClassifier(encoder=FieldEncoder(hash_buckets={"x0": 5}), **QUICK),
    OptFeatureClassifier(**QUICK),
    ProfitClassifier(**QUICK),
    InteractionFeatures(ProfitClassifier(**QUICK), encoder="count"),
    ListedInteractions(),
    *(cls(**QUICK) for cls in (DynIntRegressor, OptFeatureRegressor, ProfitRegressor)),
    CrossStatistics(),
    CrossEnsembleClassifier(net=DynIntClassifier(**QUICK), n_folds=2, random_state=0),
]


@pytest.fixture(scope="module")
def model():
    return DynIntClassifier(**QUICK).fit(X, Y)


def stored_types(estimator):
    found = skops.io.get_untrusted_types(data=skops.io.dumps(estimator))
    # Boosted trees of scikit-learn hold others, which are not ours to trust.
    return {name for name in found if name.startswith("sparsectr.")}


def test_trusted_types_are_exactly_what_is_stored():
    found = stored_types(FieldEncoder().partial_fit(X))
    found |= stored_types(FieldEncoder().partial_fit(pd.DataFrame({"tags": [["a", "b"], ["a"]]})))
    for estimator in FITTED:
        found |= stored_types(clone(estimator).fit(X, Y))
    assert {type(estimator) for estimator in FITTED} | {FieldEncoder} == set(ESTIMATORS)
    assert found == set(trusted_types)
    for name in trusted_types:
        module, _, cls = name.rpartition(".")
        assert isinstance(getattr(import_module(module), cls), type)


# Versions --------------------------------------------------------------------------------

STORED = sorted((Path(__file__).parent / "data").glob("stored_*.skops"))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_files_of_every_format_open_for_ever(path):
    """`tools/store_version.py` has written them; those of a release are never written again."""
    stored = skops.io.load(path, trusted=trusted_types)
    frame = pd.DataFrame(stored["table"]).assign(day=lambda f: pd.to_datetime(f["day"]))
    assert stored["estimators"].keys() == stored["expected"].keys()
    for name, estimator in stored["estimators"].items():
        is_classifier = hasattr(estimator, "predict_proba")
        found = estimator.predict_proba(frame) if is_classifier else estimator.transform(frame)
        np.testing.assert_allclose(found, stored["expected"][name], atol=1e-5, err_msg=name)
        if is_classifier:
            estimator.partial_fit(frame, estimator.predict(frame))
            assert np.isfinite(estimator.predict_proba(frame)).all()


def test_the_current_format_has_a_file():
    assert f"stored_{stored_state.FORMAT}" in [path.stem for path in STORED]


def test_a_newer_minor_version_warns_and_others_do_not(model, monkeypatch):
    data = pickle.dumps(model)
    major, minor, *_ = map(int, re.findall(r"\d+", sparsectr.__version__))
    same, newer = f"{major}.{minor}.7", f"{major}.{minor + 1}.0"
    for running, warns in (
        (same, False),
        (newer, False),
        (f"{major + 1}.0", False),
        ("0.0.9", True),
    ):
        monkeypatch.setattr(stored_state, "version", lambda name, running=running: running)
        if warns:
            with pytest.warns(UserWarning, match=r"stored by sparsectr .* is opened by 0\.0\.9"):
                pickle.loads(data)
        else:
            pickle.loads(data)


def test_a_future_format_is_refused_with_what_to_do(model, monkeypatch):
    monkeypatch.setattr(stored_state, "FORMAT", 2)
    data = pickle.dumps(model)
    monkeypatch.setattr(stored_state, "FORMAT", 1)
    with pytest.raises(ValueError, match=r"in format 2, and version .* upgrade sparsectr to .* or"):
        pickle.loads(data)


# What a fit does not make ----------------------------------------------------------------


def changed(estimator, change):
    """A copy through a file, after a change of the state that is stored."""
    state = pickle.loads(pickle.dumps(estimator.__getstate__()))
    change(state)
    again = object.__new__(type(estimator))
    again.__setstate__(state)
    return again


def test_a_copy_without_a_change_opens(model):
    again = changed(model, lambda state: None)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def put(name, value):
    def change(state):
        state["_net_state"][name] = value(state["_net_state"][name])

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("embedding.weight", lambda w: w[:-1]), "embedding.weight must be float32 of shape"),
        (put("embedding.weight", lambda w: w[:, :1]), "embedding.weight must be float32 of shape"),
        (put("embedding.weight", lambda w: w.astype("f8")), "embedding.weight must be float32"),
        (put("embedding.weight", lambda w: w * np.inf), "NaN or infinity"),
        (put("output.bias", lambda w: w * np.nan), "NaN or infinity"),
        (put("output.bias", lambda w: w.tolist()), "expected an array of kind 'f', got list"),
        (lambda state: state["_net_state"].pop("output.bias"), "expected the weights"),
        (lambda state: state["_net_arguments"].update(embedding_dim=2**40), "larger than"),
        (lambda state: state["_net_arguments"].update(n_outputs=3), "output.weight must be"),
        (lambda state: state["_net_arguments"].pop("config"), "TypeError"),
        (lambda state: state.update(classes_=np.arange(3)), "expected shape"),
        (lambda state: state.pop("device_"), "it lacks"),
        (lambda state: state["encoder_"].__dict__.pop("_fields"), "its encoder is not fitted"),
        (lambda state: state.update(encoder_=None), "AttributeError"),
        (lambda state: state["encoder_"].__dict__.update(vocabulary_sizes_=np.ones(3)), "sizes"),
    ],
)
def test_a_net_that_no_fit_makes_is_refused(model, change, message):
    with pytest.raises(ValueError, match=message):
        changed(model, change)


@pytest.mark.parametrize(
    ("cls", "state"),
    [
        (Vocabulary, {}),
        (Vocabulary, {"values": [1, 2]}),
        (Vocabulary, {"values": np.ones((2, 2))}),
        (Vocabulary, {"text": np.frombuffer(b"ab", "u1"), "lengths": np.array([3], "u1")}),
        (Vocabulary, {"text": np.frombuffer(b"ab\xff", "u1"), "lengths": np.array([3], "u1")}),
        (Vocabulary, {"text": np.frombuffer("aé".encode(), "u1"), "lengths": np.array([3], "u1")}),
        (Vocabulary, None),
        (Bins, {"rule": "quantile"}),
        (Bins, None),
        (CrossVocabulary, {"positions": [0, 1]}),
        (ValueCounts, {"counts": np.ones(2, np.int64)}),
        (Buckets, None),
        (Buckets, {"n_buckets": 0}),
        (Buckets, {"n_buckets": 2**40}),
        *(
            (
                Bins,
                {
                    "rule": "quantile",
                    "cuts": np.array([0.0, 1.0]),
                    "codes_of_bins": np.array([2, 3, 4], np.int32),
                    "values": np.array([0.0, 1.0, 2.0]),
                }
                | change,
            )
            for change in (
                {"rule": "thirds"},
                {"cuts": np.array([1.0, 0.0])},
                {"cuts": np.array([0.0, np.nan])},
                {"codes_of_bins": np.array([2, 3], np.int32)},
                {"codes_of_bins": np.array([2, 3, 5], np.int32)},
                {"codes_of_bins": np.array([-1, 3, 4], np.int32)},
            )
        ),
    ],
)
def test_a_field_that_no_fit_makes_is_refused(cls, state):
    with pytest.raises(ValueError):  # noqa: PT011 (any message)
        object.__new__(cls).__setstate__(state)


def test_a_value_twice_is_refused_when_it_is_looked_up():
    field = object.__new__(Vocabulary)
    field.__setstate__({"values": np.array(["a", "a"], dtype=object)})
    with pytest.raises(ValueError, match="holds a value twice"):
        field.codes(np.array(["a"], dtype=object))


# Damaged files ---------------------------------------------------------------------------


def test_damaged_files_do_no_harm(tmp_path):
    """300 of them; the nox session "fuzz" opens 10,000."""
    script = Path(__file__).with_name("fuzz_stored.py")
    found = subprocess.run(
        [sys.executable, script, "300", "1"], cwd=tmp_path, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    outcomes = json.loads(found.stdout)
    assert sum(outcomes.values()) == 300
    # Whatever the checksums of the archive cover cannot change unnoticed.
    assert sum(n for name, n in outcomes.items() if name.startswith("checksums: ")) == 150
    assert outcomes["ValueError"] > 10
    assert not list(tmp_path.iterdir())


def test_a_parameter_of_later_versions_has_its_default():
    old = DynIntClassifier(max_epochs=3).__getstate__()
    del old["cache_dir"], old["validation"]
    opened = DynIntClassifier.__new__(DynIntClassifier)
    opened.__setstate__(old)
    assert opened.get_params() == DynIntClassifier(max_epochs=3).get_params()

"""Trials of settings."""

import json

import pytest
from suite.models import MODELS, make_model
from suite.records import normalise
from suite.tuning import list_trials, make_trial_jobs


@pytest.mark.parametrize("model", ["optfeature-field", "profit-mlp", "dynint-da", "deepctr-pnn"])
def test_trials_are_the_same_every_time_and_begin_with_the_defaults(model):
    trials = list(list_trials("adult", model, n_trials=8))
    assert normalise(trials) == normalise(list(list_trials("adult", model, n_trials=8)))
    assert trials[0] == {}
    assert len({json.dumps(trial) for trial in trials}) == 8
    for trial in trials:
        assert not set(trial) & set(MODELS[model].parameters)
        make_model("adult", model, normalise(trial), seed=0)


def test_trials_never_see_test_rows():
    jobs = list(make_trial_jobs(["adult", "flights"], ["lr"], "folder", None, n_trials=3))
    assert [job["settings"] for job in jobs] == ["trial 0", "trial 1", "trial 2"] * 2
    assert not any(job["test"] for job in jobs)

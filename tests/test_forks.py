"""Forked processes: their torch has a team of threads without the threads."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from public import CLASSIFIERS

from sparsectr import DynIntClassifier, OptFeatureClassifier
from sparsectr.datasets import make_clicks
from sparsectr.kernels.fused import fused_kernels

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="forks"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

CLICKS = make_clicks(1200, 5, 20, crosses=[(0, 2)], random_state=0)
SECONDS = 120


@contextmanager
def two_threads():
    """Let torch work with two threads, and begin to."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        numbers = torch.ones(600, 600)
        assert float((numbers @ numbers).sigmoid().sum()) == 600 * 600
        yield
    finally:
        torch.set_num_threads(before)


def in_fork(function):
    """Return what a function returns in a forked process."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=lambda: there.send(function()))
    child.start()
    try:
        assert here.poll(SECONDS), "the forked process hangs, or has died"
        return here.recv()
    finally:
        child.kill()
        child.join()


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_forked_process_predicts_explains_and_fits(classifier, fused):
    def fit():
        # Batches for which torch may use its threads.
        clf = classifier(max_epochs=1, batch_size=512, random_state=0)
        return clf.fit(CLICKS.X, CLICKS.y)

    with fused_kernels(fused), two_threads():
        clf = fit()
        wanted = clf.predict_proba(CLICKS.X)
        table = clf.interaction_table()
        found = in_fork(
            lambda: (
                clf.predict_proba(CLICKS.X),
                len(clf.explain(CLICKS.X[:50])),
                fit().predict_proba(CLICKS.X),
                clf.partial_fit(CLICKS.X, CLICKS.y).interaction_table(),
                torch.get_num_threads(),
            )
        )
        n_entries = len(clf.explain(CLICKS.X[:50]))
    np.testing.assert_array_equal(found[0], wanted)
    assert found[1] == n_entries
    # Sums over rows may be taken in another order by two threads.
    np.testing.assert_allclose(found[2], wanted, atol=1e-4)
    assert list(found[3].columns) == list(table.columns)
    assert found[4] == 2, "the number of threads is the user's"


def test_a_model_that_comes_from_a_file_predicts_in_a_fork():
    """As behind gunicorn --preload: the parent has used torch, and only loaded the model."""
    clf = OptFeatureClassifier(max_epochs=1, random_state=0)
    clf.fit(CLICKS.X, CLICKS.y)
    loaded = object.__new__(type(clf))
    loaded.__setstate__(clf.__getstate__())
    with two_threads():
        found = in_fork(lambda: loaded.predict_proba(CLICKS.X))
    np.testing.assert_array_equal(found, clf.predict_proba(CLICKS.X))


def test_a_new_thread_of_a_fork_may_use_all_threads_of_torch():
    """Its team is new as well."""

    def work():
        found = []

        def fit():
            clf = DynIntClassifier(max_epochs=1, batch_size=512, random_state=0)
            found.append(clf.fit(CLICKS.X, CLICKS.y).predict_proba(CLICKS.X))
            found.append(torch.get_num_threads())
            found.append(float(torch.ones(10**6).sigmoid().sum()))

        thread = threading.Thread(target=fit)
        thread.start()
        thread.join()
        return found

    with fused_kernels(False), two_threads():
        probabilities, n_threads, _ = in_fork(work)
    assert np.isfinite(probabilities).all()
    assert n_threads == 2


SEARCH = """
import joblib, torch
from sklearn.model_selection import GridSearchCV
from sparsectr import DynIntClassifier
from sparsectr import DynIntClassifier, OptFeatureClassifier
from sparsectr.datasets import make_clicks

torch.set_num_threads(2)
clicks = make_clicks(1200, 5, 20, crosses=[(0, 2)], random_state=0)
clf = DynIntClassifier(max_epochs=1, batch_size=512, random_state=0).fit(clicks.X, clicks.y)
torch.ones(10**6).sigmoid()
scores = []
for n_jobs in (1, 2):
    with joblib.parallel_backend("multiprocessing"):
        search = GridSearchCV(clf, {"embedding_dim": [2, 4]}, cv=2, n_jobs=n_jobs, refit=False)
        scores.append(search.fit(clicks.X, clicks.y).cv_results_["mean_test_score"])
assert abs(scores[0] - scores[1]).max() < 0.01, scores
"""


@pytest.mark.parametrize("fused", ["0", "1"])
def test_a_grid_search_in_forked_processes_ends(fused):
    process = subprocess.Popen(
        [sys.executable, "-c", SEARCH],
        env=os.environ | {"SPARSECTR_FUSED": fused},
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, errors = process.communicate(timeout=2 * SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 0, errors

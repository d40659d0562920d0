"""Epoch reports and scikit-learn's callbacks."""

import importlib
import sys

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from sparsectr import DynIntClassifier, callbacks
from sparsectr.callbacks import EpochReporter, format_record

sklearn_callback = pytest.importorskip("sklearn.callback")

X = np.random.default_rng(0).integers(0, 5, size=(120, 3))
Y = (X[:, 0] + X[:, 1]) % 2
RECORD = {"phase": "train", "epoch": 3, "train_loss": 0.51, "validation_x": 1, "seconds": 1.5}


def make(**parameters):
    return DynIntClassifier(random_state=0, **({"max_epochs": 4, "embedding_dim": 4} | parameters))


class Callback:
    """Note every call; ask to stop after an epoch; keep the fitted estimators."""

    def __init__(self, stop_after=None):
        self.stop_after, self.calls, self.kept = stop_after, [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.calls.append(f"end {context.task_name}")
        if context.task_name == "epoch":
            self.kept.append((fitted_estimator, fitted_estimator.predict_proba(X)))
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_after

    def teardown(self, estimator, context):
        self.calls.append("teardown")


def test_order_of_the_calls():
    callback = Callback()
    make(max_epochs=2).set_callbacks(callback).fit(X, Y)
    epoch = ["begin epoch", "end epoch"]
    assert callback.calls == ["setup", "begin fit", *epoch, *epoch, "end fit", "teardown"]


def test_a_callback_stops_training():
    model = make().set_callbacks(Callback(stop_after=2)).fit(X, Y)
    assert model.n_iter_ == 2
    same = make(max_epochs=2).fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), same.predict_proba(X))


def test_a_fitted_estimator_stays_as_it_was_when_training_goes_on():
    callback = Callback()
    model = make().set_callbacks(callback).fit(X, Y)
    for estimator, probabilities in callback.kept:
        np.testing.assert_array_equal(estimator.predict_proba(X), probabilities)
    # After the last epoch, only the intercept moves, and all effects shrink alike.
    last, end = (np.diff(np.log(p))[:, 0] for p in (callback.kept[-1][1], model.predict_proba(X)))
    np.testing.assert_allclose(np.polyval(np.polyfit(last, end, 1), last), end, atol=1e-5)
    assert not np.array_equal(callback.kept[0][1], model.predict_proba(X))
    # What a callback keeps can itself be trained on.
    kept, probabilities = callback.kept[0]
    assert not np.array_equal(kept.partial_fit(X, Y).predict_proba(X), probabilities)


def test_teardown_after_an_error():
    callback = Callback()
    with pytest.raises(ValueError, match="max_epochs"):
        make(max_epochs=0).set_callbacks(callback).fit(X, Y)
    assert callback.calls[-1] == "teardown"


def test_a_callback_sees_nothing_of_the_fit_before():
    callback = Callback()
    model = make(max_epochs=1).fit(X, Y).set_callbacks(callback).fit(X[:60], Y[:60])
    kept = callback.kept[0][0]
    assert kept is not model
    assert not hasattr(kept, "selected_interactions_")
    assert not hasattr(kept, "history_")


@pytest.mark.parametrize("searching", [False, True])
def test_progress_bar(searching):
    pytest.importorskip("rich")
    bar = sklearn_callback.ProgressBar()
    model = make(max_epochs=2)
    if searching:
        model = GridSearchCV(model, {"learning_rate": [1e-3, 1e-2]}, cv=2)
    model.set_callbacks(bar).fit(X, Y)
    assert model.predict_proba(X).shape == (120, 2)


def test_scoring_monitor_follows_the_epochs():
    monitor = sklearn_callback.ScoringMonitor(scoring="neg_log_loss")
    model = make().set_callbacks(monitor).fit(X, Y)
    logs = monitor.get_logs()
    scores = [row["neg_log_loss"] for row in logs.data if "neg_log_loss" in row]
    assert len(scores) == model.n_iter_ + 1  # every epoch, and the whole fit
    assert len(set(scores)) == model.n_iter_ + 1  # which ends with steps of intercept and factor


def test_without_callbacks_in_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    try:
        older = importlib.reload(callbacks)
        assert not hasattr(older.CallbackSupportMixin, "_init_callback_context")
        assert older.with_callbacks(make) is make
    finally:
        monkeypatch.undo()
        importlib.reload(callbacks)


def test_reporter_without_a_context(capsys):
    reporter = EpochReporter(make(verbose=1), lambda net: {})
    reporter.begin_epoch(None)
    assert reporter.end_epoch(None, RECORD) is False
    assert capsys.readouterr().out == f"{format_record('DynIntClassifier', RECORD)}\n"


def test_one_line_per_epoch_if_asked(capsys):
    make().fit(X, Y)
    assert capsys.readouterr().out == ""
    make(verbose=1, max_epochs=3).fit(X, Y)
    assert capsys.readouterr().out.count("\n") == 3

"""Checkpoints: fits that were ended from outside go on and end with the same bits."""

import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from kill_fits import NAMES, kill_and_compare
from sklearn.model_selection import GridSearchCV

from sparsectr import DynIntClassifier, DynIntRegressor, OptFeatureClassifier, ProfitClassifier
from sparsectr.checkpoints import open_checkpoint
from sparsectr.datasets import make_clicks
from sparsectr.training import loop, run_checkpoint
from sparsectr.training.exchange import exchanging

CLICKS = make_clicks(1500, 4, 8, crosses=[(0, 1)], random_state=0)
SHORT = {"random_state": 0, "max_epochs": 3, "batch_size": 128}
FITS = {
    "DynInt": DynIntClassifier(**SHORT),
    "members": DynIntClassifier(n_members=2, variant="da", **SHORT),
    "ftrl": DynIntClassifier(optimizer="ftrl", monitor="roc_auc", **SHORT),
    "no stopping": DynIntClassifier(early_stopping=False, optimizer="adam", **SHORT),
    "growing batches": DynIntClassifier(random_state=0, learning_rate=0.01),
    "regressor": DynIntRegressor(**SHORT),
    "OptFeature": OptFeatureClassifier(**SHORT),
    "joint": OptFeatureClassifier(search="joint", hidden_units=(8,), dropout=0.2, **SHORT),
    "PROFIT": ProfitClassifier(**SHORT),
    "random": ProfitClassifier(search="random", predictor="mlp", dropout=0.2, **SHORT),
}


class Killed(BaseException):
    pass


def kill_after(monkeypatch, n_saves):
    """Let the process end just after a file was written."""
    save, left = run_checkpoint.RunCheckpoint.save, [n_saves]

    def save_and_end(self, progress):
        save(self, progress)
        left[0] -= 1
        if not left[0]:
            raise Killed

    monkeypatch.setattr(run_checkpoint.RunCheckpoint, "save", save_and_end)


def fit_until_done(estimator, n_saves, limit=200):
    """Fit; if that is ended after some files were written, again; return the number of fits."""
    for attempt in range(1, limit):
        with pytest.MonkeyPatch.context() as monkeypatch:
            kill_after(monkeypatch, n_saves)
            try:
                estimator.fit(CLICKS.X, CLICKS.y)
            except Killed:
                continue
            return attempt
    raise AssertionError("does not get on")


def predict(estimator):
    return getattr(estimator, "predict_proba", estimator.predict)(CLICKS.X)


@pytest.mark.parametrize("name", FITS)
def test_a_fit_that_is_ended_after_every_epoch_ends_with_the_same_bits(name, tmp_path):
    whole = FITS[name].fit(CLICKS.X, CLICKS.y)
    parts = type(whole)(**whole.get_params() | {"checkpoint": tmp_path})
    assert fit_until_done(parts, 1) > 3
    np.testing.assert_array_equal(predict(parts), predict(whole))
    assert parts.history_ == whole.history_
    assert len(parts.epoch_seconds_) == len(whole.epoch_seconds_)
    assert parts.selected_interactions_ == whole.selected_interactions_


@pytest.mark.parametrize("name", ["DynInt", "joint", "OptFeature", "random"])
def test_a_fit_that_is_ended_within_epochs_ends_with_the_same_bits(name, tmp_path, monkeypatch):
    whole = FITS[name].fit(CLICKS.X, CLICKS.y)
    parts = type(whole)(**whole.get_params() | {"checkpoint": tmp_path})
    monkeypatch.setattr(run_checkpoint, "SECONDS_BETWEEN", 0.0)
    assert fit_until_done(parts, 7) > 3
    np.testing.assert_array_equal(predict(parts), predict(whole))
    assert parts.history_ == whole.history_


def test_batches_of_that_fit_grow(monkeypatch):
    sizes, rows_per_step = [], loop.Schedule.rows_per_step

    def spy(schedule, n_drops, n_rows):
        sizes.append(rows_per_step(schedule, n_drops, n_rows))
        return sizes[-1]

    monkeypatch.setattr(loop.Schedule, "rows_per_step", spy)
    FITS["growing batches"].fit(CLICKS.X, CLICKS.y)
    assert (sizes[0], sizes[-1]) == (32, 45)


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_process_leaves_a_fit_that_goes_on(name):
    _, is_same = kill_and_compare(name, 1, np.random.default_rng(0))
    assert is_same


def test_a_complete_fit_is_read_and_not_trained(tmp_path, monkeypatch):
    first = DynIntClassifier(checkpoint=str(tmp_path / "new" / "folder"), **SHORT)
    first.fit(CLICKS.X, CLICKS.y)
    monkeypatch.setattr(loop, "_train_epoch", None)
    again = DynIntClassifier(**first.get_params()).fit(CLICKS.X, CLICKS.y)
    np.testing.assert_array_equal(predict(again), predict(first))


def test_the_fits_of_a_search_share_a_folder(tmp_path, monkeypatch):
    grid = {"learning_rate": [1e-3, 1e-2]}
    estimator = DynIntClassifier(checkpoint=tmp_path, **SHORT)
    search = GridSearchCV(estimator, grid, cv=2).fit(CLICKS.X, CLICKS.y)
    assert len(list(tmp_path.iterdir())) == 5
    monkeypatch.setattr(loop, "_train_epoch", None)
    again = GridSearchCV(estimator, grid, cv=2).fit(CLICKS.X, CLICKS.y)
    np.testing.assert_array_equal(
        again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"]
    )


def leave_unfinished(folder, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, 1)
        with pytest.raises(Killed):
            DynIntClassifier(checkpoint=folder, **SHORT).fit(CLICKS.X, CLICKS.y)
    (about,) = folder.glob("*/fit.json")
    content = json.loads(about.read_text())
    # Of a process that is no more: none has this number.
    about.write_text(json.dumps(content | {"process": 2**22 + 1}))
    return about


def test_another_fit_starts_anew_and_says_in_what_it_differs(tmp_path, monkeypatch):
    leave_unfinished(tmp_path, monkeypatch)
    other = DynIntClassifier(checkpoint=tmp_path, **SHORT | {"max_epochs": 2})
    with pytest.warns(UserWarning, match=r"differs in max_epochs \(3, now 2\): this one starts"):
        other.fit(CLICKS.X, CLICKS.y)
    with pytest.warns(UserWarning, match="differs in seeds, training X, training "):
        DynIntClassifier(checkpoint=tmp_path, **SHORT).fit(CLICKS.X[:1400], CLICKS.y[:1400])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DynIntClassifier(checkpoint=tmp_path, **SHORT).fit(CLICKS.X, CLICKS.y)
    assert len(other.history_) == 2


def test_a_folder_of_another_fit_is_refused(tmp_path, monkeypatch):
    about = leave_unfinished(tmp_path, monkeypatch)
    content = json.loads(about.read_text())
    content["description"]["learning_rate"] = "0.5"
    about.write_text(json.dumps(content))
    fresh = DynIntClassifier(checkpoint=tmp_path, **SHORT)
    with pytest.raises(ValueError, match=r"differs in learning_rate \(0.5, now 0.005\); remove it"):
        fresh.fit(CLICKS.X, CLICKS.y)
    about.write_text(json.dumps(content | {"format": 99}))
    with pytest.raises(ValueError, match="must have format 1, got 99"):
        fresh.fit(CLICKS.X, CLICKS.y)


@pytest.mark.parametrize("name", ["fit.json", "run-1.pt"])
def test_a_damaged_file_is_refused_with_its_name(name, tmp_path, monkeypatch):
    folder = leave_unfinished(tmp_path, monkeypatch).parent
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cannot be read.*; remove"):
        DynIntClassifier(checkpoint=tmp_path, **SHORT).fit(CLICKS.X, CLICKS.y)


def test_without_an_integer_seed_there_is_no_checkpoint(tmp_path):
    for seed in (None, np.random.RandomState(0)):
        clf = DynIntClassifier(checkpoint=tmp_path, random_state=seed)
        with pytest.raises(ValueError, match="random_state must be an int where there is a check"):
            clf.fit(CLICKS.X, CLICKS.y)
    with pytest.raises(ValueError, match="checkpoint must be None or the path of a folder, got 3"):
        DynIntClassifier(checkpoint=3, random_state=0).fit(CLICKS.X, CLICKS.y)


def test_verbose_says_that_a_fit_goes_on(tmp_path, capsys):
    clf = DynIntClassifier(checkpoint=tmp_path, **SHORT).fit(CLICKS.X, CLICKS.y)
    clf.set_params(verbose=1).fit(CLICKS.X, CLICKS.y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("[DynIntClassifier] train epoch 3: ")
    assert lines[0].endswith(", resumed")


def test_partial_fit_has_no_checkpoint(tmp_path):
    clf = DynIntClassifier(checkpoint=tmp_path, **SHORT)
    clf.partial_fit(CLICKS.X, CLICKS.y, classes=[0, 1])
    assert not list(tmp_path.iterdir())


def test_only_the_first_of_several_processes_has_a_folder(tmp_path):
    clf = DynIntClassifier(checkpoint=tmp_path)
    with exchanging(SimpleNamespace(n_processes=2, rank=1)):
        checkpoint = open_checkpoint(clf, None, None, 0)
        run = checkpoint.begin_run(None)
        run.save(None)
        assert not run.is_due()
        checkpoint.close()
    assert checkpoint.folder is None
    assert not list(tmp_path.iterdir())

"""How much memory a fit takes is known before, and a fit that takes too much is refused."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from public import CLASSIFIERS, REGRESSORS
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from sparsectr import (
    DynIntClassifier,
    FieldEncoder,
    OptFeatureClassifier,
    ProfitClassifier,
    ProfitRegressor,
)
from sparsectr.datasets import make_clicks
from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.training import task as task_module
from sparsectr.training.needs import PhaseNumbers, estimate_training

NETS = [*CLASSIFIERS, *REGRESSORS]
# Measured peaks lie between the estimate divided by this and times this.
FACTOR = 1.5


@pytest.fixture(scope="module")
def clicks():
    return make_clicks(700, 5, 20, random_state=0)


def short(cls, **parameters):
    return cls(max_epochs=1, random_state=0, n_interactions=0, **parameters)


@pytest.mark.parametrize("optimizer", ["adagrad", "adam"])
@pytest.mark.parametrize(
    ("cls", "more"),
    [*((cls, {}) for cls in NETS), (OptFeatureClassifier, {"granularity": "hybrid"})],
)
def test_weights_and_state_are_counted_as_training_makes_them(
    cls, more, optimizer, clicks, monkeypatch
):
    """Largest bytes of tables and of their optimizer state over all runs of the loop."""
    runs, run = [], task_module.run_epochs

    def watched(net, *args, optimizers=(), **kwargs):
        history = run(net, *args, optimizers=optimizers, **kwargs)
        tables = [m.weight for m in net.modules() if isinstance(m, FieldEmbedding)]
        state = [
            value
            for optimizer in optimizers
            for table in tables
            for value in optimizer.state.get(table, {}).values()
            if torch.is_tensor(value) and value.dim()
        ]
        runs.append((sum(t.nbytes for t in tables), sum(value.nbytes for value in state)))
        return history

    monkeypatch.setattr(task_module, "run_epochs", watched)
    clf = short(cls, optimizer=optimizer, early_stopping=False, **more)
    estimate = clf.estimate_memory(clicks.X, clicks.y)
    assert not clf.__sklearn_is_fitted__()
    clf.fit(clicks.X, clicks.y)
    assert estimate.n_values == clf.encoder_.vocabulary_sizes_.sum()
    table, state = max(runs, key=sum)
    assert (estimate.table, estimate.optimizer) == (table, state)


def test_copies_of_the_best_epoch_of_the_search_and_of_members_are_counted():
    search, last = PhaseNumbers(8, 17, keeps_best=False), PhaseNumbers(8, 1, others=3)
    assert estimate_training([search, last], 10, keeps_best=False) == (320, 680, 0)
    assert estimate_training([last], 10, keeps_best=False) == (320, 40, 120)
    assert estimate_training([last], 10, keeps_best=True) == (320, 40, 120 + 320)
    assert estimate_training([last], 10, keeps_best=True, n_members=3) == (320, 40, 440 + 640)


def test_more_classes_have_more_weights_in_linear_terms(clicks):
    y = np.arange(700) % 4
    two, four = (ProfitClassifier().estimate_memory(clicks.X, some) for some in (clicks.y, y))
    assert four.table - two.table == 4 * two.n_values * 3
    assert ProfitClassifier().estimate_memory(clicks.X).table == two.table
    assert ProfitRegressor().estimate_memory(clicks.X, y * 1.0).table == two.table


def test_files_tables_of_codes_and_frames_have_the_same_estimate(clicks, tmp_path):
    rows = clicks.X.assign(click=clicks.y)
    for number in range(2):
        rows[number::2].to_parquet(tmp_path / f"part-{number}.parquet", index=False)
    clf, source = short(OptFeatureClassifier), tmp_path / "part-*.parquet"
    in_memory = clf.estimate_memory(clicks.X, clicks.y)
    from_files = clf.estimate_memory(source, "click")
    table = FieldEncoder().encode_dataset(source, tmp_path / "codes", y="click")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "codes",
        "part-0.parquet",
        "part-1.parquet",
    ]
    for other in (from_files, clf.estimate_memory(table)):
        known = {"codes": 0, "peak": other.peak, "available": other.available}
        assert other == in_memory._replace(**known)
        assert 0 < in_memory.peak - other.peak <= 2 * in_memory.codes
    with pytest.raises(TypeError, match="got a stream"):
        clf.estimate_memory(pa.Table.from_pandas(rows).to_reader(), "click")


def test_a_frozen_encoder_and_a_fitted_estimator_stay_as_they_are(clicks):
    encoder = FieldEncoder(min_frequency=30).fit(clicks.X)
    few = encoder.vocabulary_sizes_.sum()
    clf = short(DynIntClassifier, encoder=FrozenEstimator(encoder))
    assert clf.estimate_memory(clicks.X[:100]).n_values == few
    clf.fit(clicks.X, clicks.y)
    before = clf.predict_proba(clicks.X)
    assert clone(clf).set_params(encoder="auto").estimate_memory(clicks.X).n_values > few
    assert np.array_equal(clf.predict_proba(clicks.X), before)


def test_a_fit_that_takes_too_much_says_what_and_changes_nothing(clicks, monkeypatch):
    clf = short(DynIntClassifier).fit(clicks.X, clicks.y)
    before = clf.predict_proba(clicks.X)
    monkeypatch.setattr("sparsectr.training.memory.available_on", lambda device: 30_000)
    text = (
        r"got 110 values and 630 rows: the embedding table takes 0.0 MB, .*min_frequency.* "
        "early_stopping=False"
    )
    with pytest.raises(MemoryError, match=text):
        clf.set_params(embedding_dim=100).fit(clicks.X, clicks.y)
    clf.set_params(embedding_dim=16)
    assert np.array_equal(clf.predict_proba(clicks.X), before)
    # Going on needs no new table.
    monkeypatch.setattr("sparsectr.training.memory.available_on", lambda device: 10_500)
    clf.partial_fit(clicks.X[:100], clicks.y[:100])
    with pytest.raises(MemoryError, match="must fit into memory"):
        clf.fit(clicks.X, clicks.y)


LIMITED = """
import resource
import numpy as np
from sparsectr import DynIntClassifier, FieldEncoder

encoder = FieldEncoder(numeric_features=[])
clf = DynIntClassifier(max_epochs=1, n_interactions=0, random_state=0, encoder=encoder)
ids = np.random.default_rng(0).integers(0, 600_000, (800_000, 2))
y = np.arange(800_000) % 2
clf.fit(ids[:3000] % 50, y[:3000])  # loads what is loaded when it is needed


def memory(name):
    (line,) = [line for line in open("/proc/self/status") if line.startswith(name)]
    return 1024 * int(line.split()[1])


estimate = clf.estimate_memory(ids, y)
open("/proc/self/clear_refs", "w").write("5")  # the peak so far is forgotten
before = memory("VmRSS")
clf.fit(ids, y)
print(estimate.peak / (memory("VmHWM") - before))
limit = memory("VmData") + estimate.peak // 3
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
assert clf.estimate_memory(ids, y).available < estimate.peak
try:
    clf.set_params(embedding_dim=64).fit(ids, y)
except MemoryError as error:
    print(error)
"""


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="reads Linux's memory of a process"
)
def test_the_peak_is_near_the_estimate_and_a_limit_of_the_system_is_told():
    words = [sys.executable, "-c", LIMITED]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    ratio, refusal = done.stdout.splitlines()
    assert 1 / FACTOR < float(ratio) < FACTOR, done.stdout
    assert re.match(r"the fit must fit into memory, got 88\d,\d{3} values and 720,000", refusal)
    assert "are available" in refusal

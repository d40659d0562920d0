"""Training asks no more of rows than what `RowSource` says."""

import numpy as np
import pytest
import torch

from sparsectr import DynIntClassifier, OptFeatureClassifier, ProfitClassifier, tables
from sparsectr.datasets import make_clicks
from sparsectr.rows import mapped
from sparsectr.rows.mapped import BLOCK_ROWS, MappedRows
from sparsectr.rows.memory import MemoryRows

CLICKS = make_clicks(1_500, 5, 12, random_state=0)
SHORT = {"embedding_dim": 4, "batch_size": 128, "max_epochs": 2, "random_state": 0}
MODELS = {
    "DynInt": DynIntClassifier(**SHORT),
    "DynInt, dwp": DynIntClassifier(variant="dwp", rank=1, **SHORT),
    "PROFIT": ProfitClassifier(max_order=3, search_epochs=1, rank=2, **SHORT),
    "PROFIT, random": ProfitClassifier(search="random", search_epochs=1, **SHORT),
    "OptFeature": OptFeatureClassifier(search_epochs=1, hidden_units=(8,), **SHORT),
}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Let estimators keep the codes of all rows in files; return the sources made so far."""
    made = []

    def write(codes, bags=None):
        path = tmp_path / f"{len(made)}.npy"
        np.save(path, codes.numpy())
        made.append(MappedRows(np.load(path, mmap_mode="r"), torch.device("cpu"), bags=bags))
        return made[-1]

    monkeypatch.setattr(tables, "MemoryRows", write)
    return made


def fit(model):
    """Return what two classes, three classes with weights, and a second chunk lead to."""
    X, y = CLICKS.X, CLICKS.y
    found = [model.fit(X, y).predict_proba(X), model.interaction_table()["strength"]]
    model.partial_fit(X[:500], y[:500], sample_weight=np.arange(500.0))
    found += [model.predict_proba(X), model.interaction_table()["strength"]]
    three = model.fit(X, np.arange(len(y)) % 3, X_val=X[:99], y_val=np.arange(99) % 3)
    return [*found, three.predict_proba(X)]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("in_memory", [True, False])
def test_mapped_rows_train_to_the_bits_of_rows_in_memory(name, in_memory, files, monkeypatch):
    if not in_memory:
        monkeypatch.setattr(mapped, "memory_limit", lambda: 1)
        monkeypatch.setattr(MemoryRows, "block_rows", BLOCK_ROWS)
    found = fit(MODELS[name])
    assert len(files) == 4  # three calls of fit, validation rows of one
    assert {source.block_rows for source in files} == {1 if in_memory else BLOCK_ROWS}
    monkeypatch.setattr(tables, "MemoryRows", MemoryRows)
    expected = fit(MODELS[name])
    assert len(files) == 4
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_both_sources_give_the_same_codes(files):
    codes = torch.randint(9, (20, 3), dtype=torch.int32)
    memory, file = MemoryRows(codes), tables.MemoryRows(codes)
    numbers = torch.tensor([3, 19, 3, 0])
    for source in (memory, file):
        assert (len(source), source.n_fields) == (20, 3)
        assert torch.equal(source.take(numbers), codes[numbers])
        assert torch.equal(source.read(5, 9), codes[5:9])
        assert source.take(numbers).dtype == torch.int32

"""Logits in batches, and probabilities."""

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import (
    check_methods_sample_order_invariance,
    check_methods_subset_invariance,
)
from torch import nn

from sparsectr import DynIntClassifier, OptFeatureClassifier, ProfitClassifier
from sparsectr.kernels.fused import fused_kernels
from sparsectr.rows.labelled import LabelledRows
from sparsectr.rows.memory import MemoryRows
from sparsectr.training.prediction import (
    BATCHES_AT_ONCE,
    CPU_BATCH,
    SATURATION_ROWS,
    first_logits,
    is_saturated,
    predict_logits,
    to_probabilities,
)


class Recorder(nn.Module):
    """Sum the codes of a row; note the shape and the mode of every call."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, codes):
        self.calls.append((len(codes), self.training, torch.is_grad_enabled()))
        return codes.sum(1, keepdim=True).float()


@pytest.mark.parametrize("n_rows", [1, CPU_BATCH - 1, CPU_BATCH, CPU_BATCH + 1, 3 * CPU_BATCH])
def test_every_batch_has_the_same_size_and_every_row_its_own_result(n_rows):
    net = Recorder().train()
    codes = torch.arange(2 * n_rows, dtype=torch.int32).view(n_rows, 2)
    logits = predict_logits(net, codes)
    assert logits.dtype == np.float64
    assert logits[:, 0].tolist() == codes.sum(1).tolist()
    assert set(net.calls) == {(CPU_BATCH, False, False)}


@pytest.mark.parametrize("n_threads", [1, 2])
def test_parts_of_many_rows_are_put_together_in_order(n_threads):
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        codes = torch.arange(3 * BATCHES_AT_ONCE * CPU_BATCH + 7, dtype=torch.int32)[:, None]
        with torch.autocast("cpu"):  # a context of the caller, which other threads do not have
            logits = predict_logits(nn.Sequential(Recorder(), nn.Linear(1, 1).float()), codes)
            line = predict_logits(Recorder(), codes)
    finally:
        torch.set_num_threads(before)
    assert line[:, 0].tolist() == codes[:, 0].tolist()
    assert len(np.unique(logits)) > len(codes) // 2  # bfloat16 has 256 numbers between powers of 2


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_probabilities_are_the_softmax(n_outputs):
    logits = np.random.default_rng(0).normal(scale=5, size=(20, n_outputs))
    found = to_probabilities(logits)
    full = np.column_stack([np.zeros(20), logits]) if n_outputs == 1 else logits
    expected = np.exp(full) / np.exp(full).sum(1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-15)


class Scaled(nn.Module):
    """The first code of a row, times a factor, as its logit."""

    def __init__(self, factor):
        super().__init__()
        self.factor, self.n_rows = factor, 0

    def forward(self, codes):
        self.n_rows += len(codes)
        return self.factor * codes[:, :1].float()


@pytest.mark.parametrize(("factor", "expected"), [(1.0, False), (1e3, True)])
def test_a_few_rows_tell_whether_a_net_is_saturated(factor, expected, monkeypatch):
    n = 10 * SATURATION_ROWS
    codes, numbers = torch.ones(2 * n, 3, dtype=torch.int32), torch.arange(n)
    rows = LabelledRows(MemoryRows(codes), torch.zeros(n), torch.ones(n), numbers)
    # The codes of all rows would be a copy as large as the table.
    taken = []
    take = MemoryRows.take
    monkeypatch.setattr(
        MemoryRows, "take", lambda s, rows: taken.append(len(rows)) or take(s, rows)
    )
    net = Scaled(factor)
    assert is_saturated(first_logits(net, rows)) == expected
    assert taken == [net.n_rows] == [SATURATION_ROWS]


def test_extreme_logits_do_not_overflow():
    found = to_probabilities(np.array([[1e4], [-1e4], [800.0]]))
    assert found.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert np.isnan(to_probabilities(np.array([[np.inf]]))).all()


# Narrow layers, and few classes without numba: where products of few columns are taken.
SEARCHED = {"max_epochs": 1, "search_epochs": 1, "random_state": 0}
NETS = [
    *(OptFeatureClassifier(hidden_units=h, **SEARCHED) for h in [(), (1,), (4,), (15,), (7, 3)]),
    OptFeatureClassifier(granularity="value", hidden_units=(5,), selection_dim=3, **SEARCHED),
    OptFeatureClassifier(granularity="hybrid", orders=(2, 3), hidden_units=(33,), **SEARCHED),
    OptFeatureClassifier(operator="outer", hidden_units=(2,), **SEARCHED),
    OptFeatureClassifier(orders=(3,), embedding_dim=7, **SEARCHED),
    OptFeatureClassifier(operator="outer", embedding_dim=7, **SEARCHED),
    ProfitClassifier(embedding_dim=5, **SEARCHED),
    *(ProfitClassifier(predictor="mlp", hidden_units=h, **SEARCHED) for h in [(4,), (9, 6)]),
    *(
        DynIntClassifier(variant=v, embedding_dim=d, max_epochs=1, random_state=0)
        for v in ("pin", "da", "dgp", "dwp")
        for d in (7, 16)
    ),
]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3, 7])
@pytest.mark.parametrize("clf", NETS, ids=lambda clf: type(clf).__name__)
def test_a_row_has_the_same_bits_alone_in_any_order_and_in_any_company(clf, n_classes, fused):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 9, (400, 9)).astype(str), rng.integers(0, n_classes, 400)
    with fused_kernels(fused):
        fitted = type(clf)(**clf.get_params()).fit(X[:200], y[:200])
        together = fitted.predict_proba(X)
        order = rng.permutation(400)
        np.testing.assert_array_equal(fitted.predict_proba(X[order]), together[order])
        np.testing.assert_array_equal(fitted.predict_proba(X[50:317]), together[50:317])
        for row in (0, 250, 399):
            np.testing.assert_array_equal(fitted.predict_proba(X[[row]]), together[[row]])


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("width", [1, 4, 10, 16, 33])
def test_checks_of_invariance_hold_for_every_width(width, fused):
    clf = OptFeatureClassifier(hidden_units=(width,), **SEARCHED)
    with fused_kernels(fused):
        check_methods_sample_order_invariance("OptFeatureClassifier", clf)
        check_methods_subset_invariance("OptFeatureClassifier", clf)

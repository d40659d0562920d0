"""What does not fit into memory is refused in words."""

import numpy as np
import pytest
import torch

from sparsectr import OptFeatureClassifier
from sparsectr.training import memory
from sparsectr.training.memory import (
    check_first_layer,
    in_words,
    require_memory,
    total_memory,
    within_memory,
)
from sparsectr.training.needs import ORDER_BYTES, VALUE_BYTES, PhaseNumbers

CPU = torch.device("cpu")


def test_a_training_that_no_memory_holds_is_refused_before_its_net_is_made(monkeypatch):
    phases = [PhaseNumbers(8, 17, keeps_best=False), PhaseNumbers(8, 1, others=3)]
    n_values, n_rows = 1000, 50
    always = VALUE_BYTES * n_values + ORDER_BYTES * n_rows
    # Search; retraining with the best epoch; the same with a net that is made.
    for some, best, is_made, numbers in (
        (phases, False, False, 8 + 17),
        (phases, True, False, 8 + 17),
        (phases[1:], True, False, 8 + 1 + 3 + 8),
        (phases, False, True, 1 + 3),
    ):
        needed = 4 * n_values * numbers + always
        options = {"keeps_best": best, "is_made": is_made}
        monkeypatch.setattr(memory, "available_on", lambda device, n=needed: n)
        require_memory(some, n_values, n_rows, CPU, **options)
        monkeypatch.setattr(memory, "available_on", lambda device, n=needed - 1: n)
        with pytest.raises(MemoryError, match=r"must fit .*, got 1,000 values and 50 rows: .*"):
            require_memory(some, n_values, n_rows, CPU, **options)


def test_a_system_that_does_not_tell_refuses_nothing(monkeypatch):
    monkeypatch.setattr(memory, "available_on", lambda device: None)
    options = {"keeps_best": True, "is_made": False}
    require_memory([PhaseNumbers(2**20, 1)], 2**40, 1, CPU, **options)


def test_sizes_have_the_unit_that_suits_them():
    assert in_words(5_240_000) == "5.2 MB"
    assert in_words(1_000_000_000) == "1.0 GB"


@pytest.mark.parametrize(
    "refused",
    [
        lambda: torch.empty(2**62, dtype=torch.uint8),
        lambda: torch.empty((2**40, 2**40), dtype=torch.float32),
        lambda: bytearray(2**62),
    ],
    ids=["torch", "torch overflow", "python"],
)
def test_a_refusal_of_memory_says_what_to_lower(refused):
    with pytest.raises(MemoryError, match="must fit into memory, got .*; lower embedding_dim"):  # noqa: RUF043, SIM117
        with within_memory():
            refused()


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"), within_memory():
        raise RuntimeError("shapes differ")


def test_a_first_layer_that_no_memory_holds_is_refused():
    # Three fields have three pairs and one triple: (3 D + 4) * 10 weights, five times four bytes.
    most = (total_memory(CPU) // (4 * 5 * 10) - 4) // 3
    check_first_layer(3, most, (2, 3), (10, 4), CPU)
    with pytest.raises(MemoryError, match=r"first layer .* 3 fields, and 10 units: .*hidden_units"):
        check_first_layer(3, most + 1, (2, 3), (10, 4), CPU)


def test_crosses_of_too_many_fields_are_refused_before_they_are_listed(monkeypatch):
    X = np.arange(40).reshape(20, 2) % 3
    clf = OptFeatureClassifier(max_epochs=1, random_state=0)
    monkeypatch.setattr("sparsectr.training.memory.total_memory", lambda device: 20 * 33 * 100)
    with pytest.raises(MemoryError, match=r"first layer .* crosses of 2 fields, and 256 units"):
        clf.fit(X, X[:, 0] == 1)
    assert not hasattr(clf, "classes_")
    clf.set_params(hidden_units=(8,)).fit(X, X[:, 0] == 1)

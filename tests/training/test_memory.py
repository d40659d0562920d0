"""What does not fit into memory is refused in words."""

import numpy as np
import pytest
import torch

from sparsectr import OptFeatureClassifier
from sparsectr.training.memory import check_first_layer, total_memory, within_memory

CPU = torch.device("cpu")


def test_a_table_that_no_memory_holds_is_refused_before_it_is_made():
    n_values = total_memory(CPU) // (4 * 8) + 1
    with (
        pytest.raises(MemoryError, match=r"must fit .* of 8 numbers each: .* lower embedding_dim"),
        within_memory([n_values - 1, 1], 8, CPU),
    ):
        pytest.fail("the block must not run")
    for sizes, dim in (([n_values - 2], 8), ([n_values], "auto"), ([n_values], None)):
        with within_memory(sizes, dim, CPU):
            pass


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
        with within_memory([2], None, CPU):
            refused()


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"), within_memory([2], 2, CPU):
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

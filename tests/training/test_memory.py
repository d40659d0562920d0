"""What does not fit into memory is refused in words."""

import pytest
import torch

from sparsectr.training.memory import total_memory, within_memory

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

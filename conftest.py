"""What pytest must leave alone, and where the tests train."""

from importlib.util import find_spec

import pytest
import torch

from sparsectr import base

# Without numba the package never imports these; nor must the search for docstring examples.
collect_ignore_glob = [] if find_spec("numba") else ["sparsectr/kernels/compiled/*"]


@pytest.fixture(scope="session", autouse=True)
def train_on_the_cpu():
    """Let device="auto" be the CPU: the same tests everywhere. Those of a GPU name it."""
    find_device = base.find_device
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            base,
            "find_device",
            lambda device: torch.device("cpu") if device == "auto" else find_device(device),
        )
        yield

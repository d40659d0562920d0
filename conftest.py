"""What pytest must leave alone, and where the tests train."""

import os
from importlib.util import find_spec

import pytest
import torch

from sparsectr import base

# Without numba or Triton the package never imports these; nor must the search for examples in
# docstrings.
collect_ignore_glob = [
    f"sparsectr/kernels/{folder}/*"
    for folder, package in (("cpu", "numba"), ("gpu", "triton"))
    if not find_spec(package)
]
# Without a GPU, Triton interprets its kernels; it is told before they are imported.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(scope="session", autouse=True)
def train_on_the_cpu():
    """Let device="auto" be the CPU: the same tests everywhere. Those of a GPU name it."""
    find_device = base.find_device
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            base,
            "find_device",
            lambda device: find_device(
                "cpu" if isinstance(device, str) and device == "auto" else device
            ),
        )
        yield

"""Every kernel of the table beside its reference, on a CPU and on a GPU."""

import copy
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sparsectr  # noqa: F401  # registers the kernels of all methods
from sparsectr.kernels.adam import DenseTensors
from sparsectr.kernels.fused import KERNELS, fused_kernels
from sparsectr.kernels.rows import AdagradTable, AdamTable
from sparsectr.methods.dynint.net import DynIntConfig, DynIntNet
from sparsectr.methods.optfeature.net import OptFeatureConfig, OptFeatureNet
from sparsectr.methods.profit.net import ProfitConfig, ProfitNet
from sparsectr.methods.profit.search_net import CrossSearchNet
from sparsectr.methods.profit.search_spaces import SymmetricSpace
from sparsectr.nn.cross_products import CrossProducts
from sparsectr.rows.labelled import Batch

SIZES = [5, 7, 3, 4]
N_ROWS = 70
RATES = {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-6, "weight_decay": 0.01}
generator = torch.Generator()


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=generator)


def draw_rows() -> Batch:
    codes = [torch.randint(size, (N_ROWS,), generator=generator) for size in SIZES]
    targets, weights = torch.rand((2, N_ROWS), generator=generator)
    return Batch(torch.stack(codes, 1).int(), (targets < 0.4).float(), 2 * weights)


def initialised(net: nn.Module) -> Any:
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.4 * draw(*parameter.shape))
    return net


def dynint(variant: str) -> DynIntNet:
    return initialised(DynIntNet(SIZES, 6, 1, DynIntConfig(variant, 2, 1, rank=2, hidden_units=5)))


def search() -> CrossSearchNet:
    net = initialised(CrossSearchNet(SIZES, 6, 1, SymmetricSpace(len(SIZES), 3, 2)))
    net.order = 3
    net.space.requires_grad_(True)
    return net


def profit() -> ProfitNet:
    return initialised(ProfitNet(SIZES, 6, 1, ProfitConfig(((0, 1), (1, 3), (0, 2, 3)))))


def optfeature() -> OptFeatureNet:
    return initialised(OptFeatureNet(SIZES, 6, 1, OptFeatureConfig("field", hidden_units=(9,))))


def leaf(*shape: int) -> Tensor:
    return draw(*shape).requires_grad_()


def table(kind: type, *states: Tensor) -> Any:
    return kind(draw(9, 4), *states, draw(20, 4), torch.rand(9, generator=generator))


def lookups() -> Tensor:
    return torch.randint(9, (20,), generator=generator)


# Arguments by position and by name of every kernel.
EXAMPLES = {
    "look_up": lambda: ((leaf(9, 4), lookups()), {}),
    "adam_": lambda: (
        ([DenseTensors(draw(3, 5), draw(3, 5), draw(3, 5).abs(), draw(3, 5))],),
        RATES | {"step": 3},
    ),
    "adam_rows_": lambda: (
        (
            [table(AdamTable, draw(9, 4), draw(9, 4).abs(), torch.arange(9, dtype=torch.int32))],
            lookups(),
        ),
        RATES | {"n_rows": 5},
    ),
    "adagrad_rows_": lambda: (
        ([table(AdagradTable, draw(9).abs())], lookups()),
        {"lr": 0.1, "eps": 1e-6, "weight_decay": 0.01, "n_rows": 5},
    ),
    "group_ftrl_rows_": lambda: (
        (draw(9, 4), draw(9, 4), draw(9, 4).abs(), lookups(), draw(20, 4)),
        {"lr": 0.1, "beta": 1.0, "l1": 0.1, "l2": 0.2, "gradient_scale": 1.5},
    ),
    "polynomial_sums": lambda: ((leaf(N_ROWS, 4, 6), leaf(2, 4, 4)), {}),
    "symmetric_sums": lambda: ((leaf(N_ROWS, 4, 6), [leaf(2, 4), leaf(2, 4)]), {}),
    "sum_crosses": lambda: (
        (leaf(N_ROWS, 4, 6), leaf(2), CrossProducts([(0, 1), (0, 2, 3)])),
        {},
    ),
    "binary_log_loss": lambda: ((leaf(20), (draw(20) > 0).float(), draw(20).abs()), {}),
    "polynomial_loss": lambda: ((dynint("pin"), draw_rows()), {}),
    "polynomial_logits": lambda: ((dynint("pin"), draw_rows().codes), {}),
    "gated_loss": lambda: ((dynint("dwp"), draw_rows(), 0.1), {}),
    "gated_logits": lambda: ((dynint("da"), draw_rows().codes), {}),
    "symmetric_loss": lambda: ((search(), draw_rows()), {"of_space": True}),
    "symmetric_logits": lambda: ((search(), draw_rows().codes), {}),
    "crosses_loss": lambda: ((profit(), draw_rows()), {}),
    "linear_logits": lambda: ((profit(), draw_rows().codes), {}),
    "mlp_loss": lambda: ((optfeature(), draw_rows(), None), {}),
}


def tensors_in(*values: Any) -> Iterator[Tensor]:
    """All tensors of real numbers in the arguments of a kernel, or in what it returns."""
    for value in values:
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value)
        if isinstance(value, Tensor):
            if value.is_floating_point():
                yield value
        elif isinstance(value, nn.Module):
            yield from value.parameters()
        elif isinstance(value, list | tuple):
            yield from tensors_in(*value)


def outcome(function: Any, arguments: Any, options: Any) -> list[Tensor]:
    """What a call returns, what it leaves in its arguments, and the gradients of a sum of it."""
    arguments = copy.deepcopy(arguments)
    result = function(*arguments, **options)
    found = list(tensors_in(result))
    if isinstance(result, Tensor) and result.requires_grad:
        weights = torch.linspace(-1.0, 1.0, result.numel()) if result.ndim else torch.ones(1)
        (result.flatten() * weights.to(result)).sum().backward()
    everything = [*found, *tensors_in(*arguments)]
    gradients = [x.grad.to_dense() for x in everything if x.is_leaf and x.grad is not None]
    return [x.detach().cpu().double() for x in (*everything, *gradients)]


def assert_same(name: str, function: Any, example: Any) -> None:
    arguments, options = example
    actual = outcome(function, arguments, options)
    with fused_kernels(False):
        expected = outcome(KERNELS[name].reference, arguments, options)
    assert len(actual) == len(expected) > 0
    for ours, theirs in zip(actual, expected, strict=True):
        assert float((ours - theirs).norm()) <= 1e-5 * float(theirs.norm()) + 1e-6


def test_every_kernel_has_an_example():
    assert EXAMPLES.keys() == KERNELS.keys()


@pytest.mark.parametrize("name", [name for name in KERNELS if KERNELS[name].cpu])
def test_on_a_cpu(name):
    pytest.importorskip("numba")
    generator.manual_seed(0)
    arguments, options = EXAMPLES[name]()
    version = KERNELS[name].fused_version(*arguments, **options)
    assert version is not None
    assert version.__name__ == name
    assert_same(name, version, (arguments, options))


@pytest.mark.parametrize("name", [name for name in KERNELS if KERNELS[name].gpu])
def test_on_a_gpu(name):
    """Without a GPU, Triton interprets its kernels."""
    module = pytest.importorskip(f"sparsectr.kernels.gpu.{KERNELS[name].gpu}", exc_type=ImportError)
    generator.manual_seed(0)
    if torch.cuda.is_available():
        pytest.skip("the tests of these modules move their arguments to the GPU")
    assert_same(name, getattr(module, name), EXAMPLES[name]())


@pytest.mark.parametrize("name", KERNELS)
def test_a_module_of_fused_versions_has_them_by_the_name_of_the_reference(name):
    kernel = KERNELS[name]
    for folder, module in (("cpu", kernel.cpu), ("gpu", kernel.gpu)):
        if module is not None:
            pytest.importorskip({"cpu": "numba", "gpu": "triton"}[folder])
            assert callable(getattr(import_module(f"sparsectr.kernels.{folder}.{module}"), name))

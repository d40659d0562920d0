"""One interaction layer on a block of batch rows, within compiled functions.

A is the factor of the layer, X_l = X_{l-1} (1 + A). Two kinds of instance-dependent layers are
here, with ``values`` (R, g) the numbers that depend on the R batch rows of the block:

* scaled rows: A = sum_p u_p * (W X_0), see `sparsectr.kernels.pin`;
* generated singular values: A = U (s * (V^T X_0)).

The third kind is in `sparsectr.kernels.cpu.dynint.instances`.
"""

from __future__ import annotations

from typing import Any

from sparsectr.kernels.cpu.machine.blocks import (
    add_scaled,
    clear,
    scale,
    scale_back,
)
from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.cpu.machine.matrix import add_outer, gemm, gemm_add


@compiled
def scaled_factor(
    weight: Any, x0: Any, values: Any, n: int, dim: int, terms: Any, factor: Any
) -> None:
    """Compute A and the terms W X_0; values (R, P n), u_p one after the other."""
    clear(factor)
    for p in range(len(terms)):
        gemm(weight, x0, terms[p])
        add_scaled(terms[p], values, p * n, n, dim, factor)


@compiled
def scaled_backward(
    inputs: Any, of_term: Any, n: int, dim: int, of_weight: Any, of_x0: Any, of_values: Any
) -> None:
    """Compute the gradients of u, W and X_0 from that of A."""
    values, terms, x0, transposed, of_factor = inputs
    for p in range(len(terms)):
        scale_back(of_factor, terms[p], values, p * n, n, dim, of_term, of_values)
        add_outer(of_term, x0, of_weight)
        gemm_add(transposed, of_term, of_x0)


@compiled
def generated_factor(
    left: Any,
    turned_right: Any,
    x0: Any,
    values: Any,
    rank: int,
    dim: int,
    mixed: Any,
    scaled: Any,
    factor: Any,
) -> None:
    """Compute A and V^T X_0; U (n, K), V^T (K, n), values s (R, K)."""
    gemm(turned_right, x0, mixed)
    scale(mixed, values, 0, rank, dim, scaled)
    gemm(left, scaled, factor)


@compiled
def generated_backward(
    inputs: Any,
    scratch: Any,
    rank: int,
    dim: int,
    of_left: Any,
    of_right: Any,
    of_x0: Any,
    of_values: Any,
) -> None:
    """Compute the gradients of s, U, V and X_0 from that of A."""
    turned_left, right, x0, values, mixed, of_factor = inputs
    scaled, of_scaled, of_mixed = scratch
    scale(mixed, values, 0, rank, dim, scaled)
    add_outer(of_factor, scaled, of_left)
    gemm(turned_left, of_factor, of_scaled)
    scale_back(of_scaled, mixed, values, 0, rank, dim, of_mixed, of_values)
    add_outer(x0, of_mixed, of_right)
    gemm_add(right, of_mixed, of_x0)

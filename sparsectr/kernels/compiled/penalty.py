"""The penalty that keeps the vectors of an instance apart, within compiled functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparsectr.kernels.compiled.jit import compiled

# Vectors whose lengths have a smaller product have no direction.
SHORTEST = 1e-24


@compiled
def penalise(rank: int, n: int, n_rows: int, penalty: float, values: Any, of_values: Any) -> float:
    """Return the penalty of all pairs of vectors u, and of vectors v; add its gradients."""
    total = 0.0
    for k in range(values.shape[0]):
        for r in range(n_rows):
            for p in range(2 * rank):
                for q in range(p // rank * rank, p):
                    total += _add_cosine(values[k, r], p * n, q * n, n, penalty, of_values[k, r])
    return total


@compiled
def _add_cosine(values: Any, a: int, b: int, n: int, penalty: float, of_values: Any) -> float:
    """Return ``penalty`` times abs(cos) of the vectors from a and from b on; add the gradient."""
    # In float64: of parallel vectors, the gradient is what two equal numbers differ by.
    dot, of_a, of_b = 0.0, 0.0, 0.0
    for i in range(n):
        u, v = np.float64(values[a + i]), np.float64(values[b + i])
        dot += u * v
        of_a += u * u
        of_b += v * v
    lengths = np.sqrt(of_a) * np.sqrt(of_b)
    if lengths < SHORTEST:
        return 0.0
    factor = (penalty if dot > 0 else -penalty) / lengths
    by_a, by_b = dot / of_a, dot / of_b
    for i in range(n):
        u, v = np.float64(values[a + i]), np.float64(values[b + i])
        of_values[a + i] += np.float32(factor * (v - by_a * u))
        of_values[b + i] += np.float32(factor * (u - by_b * v))
    return penalty * abs(dot) / lengths

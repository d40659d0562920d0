"""The penalty that keeps the vectors of an instance apart, within compiled functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparsectr.kernels.cpu.machine.jit import compiled, inlined

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
                    total += _add_cosine(
                        values[k, r, p * n : (p + 1) * n],
                        values[k, r, q * n : (q + 1) * n],
                        penalty,
                        of_values[k, r, p * n : (p + 1) * n],
                        of_values[k, r, q * n : (q + 1) * n],
                    )
    return total


@inlined
def _add_cosine(a: Any, b: Any, penalty: float, of_a: Any, of_b: Any) -> float:
    """Return ``penalty`` times abs(cos) of two vectors; add the gradients."""
    # In float64: of parallel vectors, the gradient is what two equal numbers differ by.
    dot, square_a, square_b = 0.0, 0.0, 0.0
    for i in range(len(a)):
        u, v = np.float64(a[i]), np.float64(b[i])
        dot += u * v
        square_a += u * u
        square_b += v * v
    lengths = np.sqrt(square_a) * np.sqrt(square_b)
    if lengths < SHORTEST:
        return 0.0
    factor = (penalty if dot > 0 else -penalty) / lengths
    by_a, by_b = dot / square_a, dot / square_b
    # Two loops: compilers take each of them by vectors.
    for i in range(len(a)):
        of_a[i] += np.float32(factor * (np.float64(b[i]) - by_a * np.float64(a[i])))
    for i in range(len(a)):
        of_b[i] += np.float32(factor * (np.float64(a[i]) - by_b * np.float64(b[i])))
    return penalty * abs(dot) / lengths

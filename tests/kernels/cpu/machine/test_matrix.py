import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

matrix = pytest.importorskip("sparsectr.kernels.cpu.machine.matrix", exc_type=ImportError)


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    m=st.integers(1, 5),
    n=st.integers(0, 21),
    columns=st.integers(1, 4),
)
def test_add_product_agrees_with_numpy(seed, m, n, columns):
    weight, x = draw(seed, 4 * m, n), draw(seed + 1, n, 16 * columns)
    y = draw(seed + 2, 4 * m, 16 * columns)
    expected = y.astype(float) + weight.astype(float) @ x.astype(float)
    matrix.gemm_add(weight, x, y)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    m=st.integers(1, 5),
    n=st.integers(0, 21),
    columns=st.integers(1, 4),
    more=st.integers(0, 3),
)
def test_set_transposed_product_agrees_with_numpy(seed, m, n, columns, more):
    weight, x = draw(seed, n, 4 * m + more), draw(seed + 1, n, 16 * columns)
    y = np.full((4 * m, 16 * columns), np.nan, np.float32)
    matrix.gemm_transposed(weight, x, y)
    expected = weight[:, : 4 * m].T.astype(float) @ x.astype(float)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    m=st.integers(1, 5),
    n=st.integers(0, 21),
    columns=st.integers(1, 4),
    more=st.integers(0, 3),
)
def test_descend_by_transposed_product_agrees_with_numpy(seed, m, n, columns, more):
    weight, x = draw(seed, n, 4 * m + more), draw(seed + 1, n, 16 * columns)
    y, z = draw(seed + 2, 4 * m, 16 * columns), draw(seed + 3, 4 * m, 16 * columns)
    expected = weight[:, : 4 * m].T.astype(float) @ x.astype(float) - z.astype(float) * y
    matrix.descend_by_transposed_product(weight, x, z, y)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    m=st.integers(1, 5),
    n=st.integers(0, 21),
    columns=st.integers(1, 4),
    in_place=st.booleans(),
)
def test_grow_by_product_agrees_with_numpy(seed, m, n, columns, in_place):
    weight, x0 = draw(seed, 4 * m, n), draw(seed + 1, n, 16 * columns)
    x = draw(seed + 2, 4 * m, 16 * columns)
    expected = x.astype(float) * (1 + weight.astype(float) @ x0.astype(float))
    result = x if in_place else np.full_like(x, np.nan)
    matrix.grow_by_product(weight, x0, x, result)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    m=st.integers(1, 4),
    n=st.integers(1, 6),
    columns=st.integers(0, 5),
)
def test_add_outer_agrees_with_numpy(seed, m, n, columns):
    a, b = draw(seed, 4 * m, 16 * columns), draw(seed + 1, 2 * n, 16 * columns)
    sums = draw(seed, 4 * m * 2 * n, 8).reshape(4 * m, 2 * n, 8)
    expected = sums.astype(float).sum(2) + a.astype(float) @ b.T.astype(float)
    weight = np.empty((4 * m, 2 * n), np.float32)
    matrix.add_outer(a, b, sums)
    matrix.add_up(sums, weight)
    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-5)

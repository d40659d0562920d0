"""Short segments of flat arrays, such as embeddings: 8 numbers at a time, then the rest."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sparsectr.kernels.cpu.machine import vectors
from sparsectr.kernels.cpu.machine.jit import compiled, inlined
from sparsectr.kernels.cpu.machine.vectors import SHORT_WIDTH

# Bytes that a cache line has, and numbers.
LINE = 64
LINE_NUMBERS = LINE // 4


@compiled
def empty_aligned(n: int) -> Any:
    """Return n numbers of arbitrary content that begin where a cache line does.

    Long vectors that lie across two lines take twice the time to load and to store.
    """
    scratch = np.empty(n + LINE_NUMBERS - 1, np.float32)
    first = -(scratch.ctypes.data // 4) % LINE_NUMBERS
    return scratch[first : first + n]


@compiled
def zeros_aligned(shape: Any) -> Any:
    """Return an array of zeros that begins where a cache line does; see `empty_aligned`."""
    n = 1
    for length in shape:
        n *= length
    numbers = empty_aligned(n)
    fill_segment(numbers, 0, np.float32(0), n)
    return numbers.reshape(shape)


@inlined
def copy_segment(source: Any, i: int, target: Any, j: int, n: int) -> None:
    """Store source[i : i + n] as target[j : j + n]."""
    whole = n - n % SHORT_WIDTH
    for k in range(0, whole, SHORT_WIDTH):
        _copy_vector(source, i + k, target, j + k)
    for k in range(whole, n):
        target[j + k] = source[i + k]


@inlined
def add_segment(source: Any, i: int, target: Any, j: int, n: int) -> None:
    """Add source[i : i + n] to target[j : j + n]."""
    whole = n - n % SHORT_WIDTH
    for k in range(0, whole, SHORT_WIDTH):
        _add_vector(source, i + k, target, j + k)
    for k in range(whole, n):
        target[j + k] += source[i + k]


@inlined
def fill_segment(target: Any, j: int, number: Any, n: int) -> None:
    """Store a number everywhere in target[j : j + n]."""
    whole = n - n % SHORT_WIDTH
    for k in range(0, whole, SHORT_WIDTH):
        _fill_vector(target, j + k, np.float32(number))
    for k in range(whole, n):
        target[j + k] = number


@inlined
def scale_segment(source: Any, i: int, number: Any, target: Any, j: int, n: int) -> None:
    """Store number * source[i : i + n] as target[j : j + n]."""
    whole = n - n % SHORT_WIDTH
    for k in range(0, whole, SHORT_WIDTH):
        _scale_vector(source, i + k, np.float32(number), target, j + k)
    for k in range(whole, n):
        target[j + k] = number * source[i + k]


@inlined
def axpy(source: Any, i: int, number: Any, target: Any, j: int, n: int) -> None:
    """Add number * source[i : i + n] to target[j : j + n]."""
    whole = n - n % SHORT_WIDTH
    for k in range(0, whole, SHORT_WIDTH):
        _add_scaled_vector(source, i + k, np.float32(number), target, j + k)
    for k in range(whole, n):
        target[j + k] += number * source[i + k]


@inlined
def add_product_segment(
    a: Any, i: int, b: Any, j: int, number: Any, target: Any, t: int, n: int
) -> None:
    """Add number * a[i : i + n] * b[j : j + n] to target[t : t + n]."""
    whole = n - n % SHORT_WIDTH
    for k in range(0, whole, SHORT_WIDTH):
        _add_product_vector(a, i + k, b, j + k, np.float32(number), target, t + k)
    for k in range(whole, n):
        target[t + k] += number * (a[i + k] * b[j + k])


@inlined
def dot(a: Any, i: int, b: Any, j: int, n: int) -> Any:
    """Return the sum of a[i : i + n] * b[j : j + n]."""
    whole = n - n % SHORT_WIDTH
    total = _dot_vectors(a, i, i + whole, b, j)
    for k in range(whole, n):
        total += a[i + k] * b[j + k]
    return total


@inlined
def sum_segment(source: Any, i: int, n: int) -> Any:
    """Return the sum of source[i : i + n]."""
    whole = n - n % SHORT_WIDTH
    total = _sum_vectors(source, i, i + whole)
    for k in range(whole, n):
        total += source[i + k]
    return total


def _generate_copy(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    source, target = vectors.open_flat(context, builder, signature, arguments, 0, 2)
    vectors.store_flat(
        builder, vectors.load_flat(builder, source, arguments[1]), target, arguments[3]
    )
    return context.get_dummy_value()


def _generate_add(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    source, target = vectors.open_flat(context, builder, signature, arguments, 0, 2)
    total = builder.fadd(
        vectors.load_flat(builder, source, arguments[1]),
        vectors.load_flat(builder, target, arguments[3]),
    )
    vectors.store_flat(builder, total, target, arguments[3])
    return context.get_dummy_value()


def _generate_fill(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    (target,) = vectors.open_flat(context, builder, signature, arguments, 0)
    numbers = vectors.repeat(builder, arguments[2], vectors.SHORT_VECTOR)
    vectors.store_flat(builder, numbers, target, arguments[1])
    return context.get_dummy_value()


def _generate_sum(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    (source,) = vectors.open_flat(context, builder, signature, arguments, 0)
    (total,) = vectors.variables(builder, [ir.Constant(vectors.SHORT_VECTOR, [0.0] * SHORT_WIDTH)])
    first, end = arguments[1:]
    width = first.type(SHORT_WIDTH)
    with cgutils.for_range_slice(builder, first, end, width, first.type) as (place, _):
        segment = vectors.load_flat(builder, source, place)
        builder.store(builder.fadd(builder.load(total), segment), total)
    return vectors.total(builder, builder.load(total))


def _generate_scale(adds: bool, context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    source, target = vectors.open_flat(context, builder, signature, arguments, 0, 3)
    numbers = vectors.repeat(builder, arguments[2], vectors.SHORT_VECTOR)
    segment = vectors.load_flat(builder, source, arguments[1])
    if adds:
        before = vectors.load_flat(builder, target, arguments[4])
        result = vectors.multiply_add(builder, numbers, segment, before)
    else:
        result = vectors.multiply(builder, numbers, segment)
    vectors.store_flat(builder, result, target, arguments[4])
    return context.get_dummy_value()


def _generate_add_product(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    a, b, target = vectors.open_flat(context, builder, signature, arguments, 0, 2, 5)
    numbers = vectors.repeat(builder, arguments[4], vectors.SHORT_VECTOR)
    of_a = vectors.load_flat(builder, a, arguments[1])
    of_b = vectors.load_flat(builder, b, arguments[3])
    before = vectors.load_flat(builder, target, arguments[6])
    product = vectors.multiply(builder, of_a, of_b)
    result = vectors.multiply_add(builder, numbers, product, before)
    vectors.store_flat(builder, result, target, arguments[6])
    return context.get_dummy_value()


def _generate_dot(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    a, b = vectors.open_flat(context, builder, signature, arguments, 0, 3)
    (total,) = vectors.variables(builder, [ir.Constant(vectors.SHORT_VECTOR, [0.0] * SHORT_WIDTH)])
    first, end, start = arguments[1], arguments[2], arguments[4]
    width = first.type(SHORT_WIDTH)
    with cgutils.for_range_slice(builder, first, end, width, first.type) as (place, _):
        of_a = vectors.load_flat(builder, a, place)
        of_b = vectors.load_flat(builder, b, builder.add(builder.sub(place, first), start))
        builder.store(vectors.multiply_add(builder, of_a, of_b, builder.load(total)), total)
    return vectors.total(builder, builder.load(total))


def _copy(_: Any, source: Any, i: Any, target: Any, j: Any) -> Any:
    return types.void(source, types.intp, target, types.intp), _generate_copy


def _add(_: Any, source: Any, i: Any, target: Any, j: Any) -> Any:
    return types.void(source, types.intp, target, types.intp), _generate_add


def _fill(_: Any, target: Any, j: Any, number: Any) -> Any:
    return types.void(target, types.intp, types.float32), _generate_fill


def _scale(_: Any, source: Any, i: Any, number: Any, target: Any, j: Any) -> Any:
    kinds = source, types.intp, types.float32, target, types.intp
    return types.void(*kinds), partial(_generate_scale, False)


def _add_scaled(_: Any, source: Any, i: Any, number: Any, target: Any, j: Any) -> Any:
    kinds = source, types.intp, types.float32, target, types.intp
    return types.void(*kinds), partial(_generate_scale, True)


def _add_product(_: Any, a: Any, i: Any, b: Any, j: Any, number: Any, target: Any, t: Any) -> Any:
    kinds = a, types.intp, b, types.intp, types.float32, target, types.intp
    return types.void(*kinds), _generate_add_product


def _dot(_: Any, a: Any, first: Any, end: Any, b: Any, start: Any) -> Any:
    return types.float32(a, types.intp, types.intp, b, types.intp), _generate_dot


def _sum(_: Any, source: Any, first: Any, end: Any) -> Any:
    return types.float32(source, types.intp, types.intp), _generate_sum


_copy_vector: Any = intrinsic(_copy)
_add_vector: Any = intrinsic(_add)
_fill_vector: Any = intrinsic(_fill)
_scale_vector: Any = intrinsic(_scale)
_add_scaled_vector: Any = intrinsic(_add_scaled)
_add_product_vector: Any = intrinsic(_add_product)
_dot_vectors: Any = intrinsic(_dot)
_sum_vectors: Any = intrinsic(_sum)

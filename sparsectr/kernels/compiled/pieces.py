"""Short pieces of flat arrays, such as embeddings: 8 numbers at a time, then the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sparsectr.kernels.compiled import vectors
from sparsectr.kernels.compiled.jit import inlined
from sparsectr.kernels.compiled.vectors import SHORT_WIDTH


@inlined
def copy_piece(source: Any, i: int, target: Any, j: int, n: int) -> None:
    """Store source[i : i + n] as target[j : j + n]."""
    whole = n - n % SHORT_WIDTH
    for k in range(0, whole, SHORT_WIDTH):
        _copy_vector(source, i + k, target, j + k)
    for k in range(whole, n):
        target[j + k] = source[i + k]


@inlined
def add_piece(source: Any, i: int, target: Any, j: int, n: int) -> None:
    """Add source[i : i + n] to target[j : j + n]."""
    whole = n - n % SHORT_WIDTH
    for k in range(0, whole, SHORT_WIDTH):
        _add_vector(source, i + k, target, j + k)
    for k in range(whole, n):
        target[j + k] += source[i + k]


@inlined
def fill_piece(target: Any, j: int, number: Any, n: int) -> None:
    """Store a number everywhere in target[j : j + n]."""
    whole = n - n % SHORT_WIDTH
    for k in range(0, whole, SHORT_WIDTH):
        _fill_vector(target, j + k, np.float32(number))
    for k in range(whole, n):
        target[j + k] = number


@inlined
def sum_piece(source: Any, i: int, n: int) -> Any:
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
        piece = vectors.load_flat(builder, source, place)
        builder.store(builder.fadd(builder.load(total), piece), total)
    return vectors.total(builder, builder.load(total))


def _copy(_: Any, source: Any, i: Any, target: Any, j: Any) -> Any:
    return types.void(source, types.intp, target, types.intp), _generate_copy


def _add(_: Any, source: Any, i: Any, target: Any, j: Any) -> Any:
    return types.void(source, types.intp, target, types.intp), _generate_add


def _fill(_: Any, target: Any, j: Any, number: Any) -> Any:
    return types.void(target, types.intp, types.float32), _generate_fill


def _sum(_: Any, source: Any, first: Any, end: Any) -> Any:
    return types.float32(source, types.intp, types.intp), _generate_sum


_copy_vector: Any = intrinsic(_copy)
_add_vector: Any = intrinsic(_add)
_fill_vector: Any = intrinsic(_fill)
_sum_vectors: Any = intrinsic(_sum)

"""Pieces of machine code: vectors of 16 numbers in two-dimensional arrays.

Compilers keep what a loop adds up in memory where it should stay in registers; that halves the
speed of the innermost loops. These few are therefore written down in vectors.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

WIDTH = 16
VECTOR = ir.VectorType(ir.FloatType(), WIDTH)
ROUNDED_ONCE = ["contract"]


def open_arrays(context: Any, builder: Any, signature: Any, arguments: Any, n: int) -> list[Any]:
    """Return the structures of the first n arguments, arrays in C order."""
    pairs = zip(signature.args[:n], arguments[:n], strict=True)
    return [context.make_array(kind)(context, builder, value) for kind, value in pairs]


def length(builder: Any, array: Any, axis: int) -> Any:
    """Return the length of an axis."""
    return cgutils.unpack_tuple(builder, array.shape)[axis]


def address(builder: Any, array: Any, i: Any, j: Any) -> Any:
    """Return the address of array[i, j]."""
    return builder.gep(array.data, [builder.add(builder.mul(i, length(builder, array, 1)), j)])


def load(builder: Any, array: Any, i: Any, j: Any) -> Any:
    """Return the vector array[i, j : j + 16]."""
    place = builder.bitcast(address(builder, array, i, j), VECTOR.as_pointer())
    return builder.load(place, align=4)


def store(builder: Any, vector: Any, array: Any, i: Any, j: Any) -> None:
    """Store a vector as array[i, j : j + 16]."""
    place = builder.bitcast(address(builder, array, i, j), VECTOR.as_pointer())
    builder.store(vector, place, align=4)


def load_repeated(builder: Any, array: Any, i: Any, j: Any) -> Any:
    """Return a vector that holds array[i, j] 16 times."""
    empty = ir.Constant(VECTOR, ir.Undefined)
    number = builder.load(address(builder, array, i, j))
    first = builder.insert_element(empty, number, ir.IntType(32)(0))
    places = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, empty, places)


def multiply(builder: Any, a: Any, b: Any) -> Any:
    """Return a * b."""
    return builder.fmul(a, b, flags=ROUNDED_ONCE)


def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c."""
    return builder.fadd(multiply(builder, a, b), c, flags=ROUNDED_ONCE)


def multiply_subtract(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Return c - a * b."""
    return builder.fsub(c, multiply(builder, a, b), flags=ROUNDED_ONCE)


def zero_variables(builder: Any, n: int) -> list[Any]:
    """Return n variables for vectors, set to zero."""
    variables = [cgutils.alloca_once(builder, VECTOR) for _ in range(n)]
    for variable in variables:
        builder.store(ir.Constant(VECTOR, [0.0] * WIDTH), variable)
    return variables

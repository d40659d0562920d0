"""Segments of machine code: vectors of 8, 16 or more numbers in arrays.

Compilers keep what a loop adds up in memory where it should stay in registers, and take short
loops number by number, because their vectors would be longer than an embedding; that halves the
speed of the innermost loops or worse. These few are therefore written down in vectors.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba import config
from numba.core import cgutils

WIDTH = 16
VECTOR = ir.VectorType(ir.FloatType(), WIDTH)
SHORT_WIDTH = 8
SHORT_VECTOR = ir.VectorType(ir.FloatType(), SHORT_WIDTH)
ROUNDED_ONCE = ["contract"]
# With AVX-512 there are 32 registers of 16 numbers, otherwise 16 registers of 8 or fewer.
# NUMBA_CPU_FEATURES overrides the detected CPU.
_FEATURES = config.CPU_FEATURES  # type: ignore[attr-defined]
if _FEATURES is None:
    _FEATURES = binding.get_host_cpu_features().flatten()
HAS_LONG_REGISTERS = "+avx512f" in _FEATURES.split(",")
# A vector of two registers: where every number waits for the one before, two at a time keep the
# machine busy.
PAIR_WIDTH = 32 if HAS_LONG_REGISTERS else 16
PAIR_VECTOR = ir.VectorType(ir.FloatType(), PAIR_WIDTH)


def open_arrays(context: Any, builder: Any, signature: Any, arguments: Any, n: int) -> list[Any]:
    """Return the structures of the first n arguments, arrays in C order."""
    pairs = zip(signature.args[:n], arguments[:n], strict=True)
    return [context.make_array(kind)(context, builder, value) for kind, value in pairs]


def open_flat(
    context: Any, builder: Any, signature: Any, arguments: Any, *places: int
) -> list[Any]:
    """Return the structures of the arguments at some places, arrays with one axis."""
    return [context.make_array(signature.args[k])(context, builder, arguments[k]) for k in places]


def length(builder: Any, array: Any, axis: int) -> Any:
    """Return the length of an axis."""
    return cgutils.unpack_tuple(builder, array.shape)[axis]


def address(builder: Any, array: Any, i: Any, j: Any) -> Any:
    """Return the address of array[i, j]."""
    return builder.gep(array.data, [builder.add(builder.mul(i, length(builder, array, 1)), j)])


def load(builder: Any, array: Any, i: Any, j: Any, kind: Any = VECTOR) -> Any:
    """Return the vector array[i, j : j + 16], or one of another type."""
    return _load(builder, address(builder, array, i, j), kind)


def store(builder: Any, vector: Any, array: Any, i: Any, j: Any) -> None:
    """Store a vector of either length from array[i, j] on."""
    _store(builder, vector, address(builder, array, i, j))


def load_short(builder: Any, array: Any, i: Any, j: Any) -> Any:
    """Return the short vector array[i, j : j + 8]."""
    return _load(builder, address(builder, array, i, j), SHORT_VECTOR)


def load_repeated(builder: Any, array: Any, i: Any, j: Any, kind: Any = VECTOR) -> Any:
    """Return a vector that holds array[i, j] 16 times, or one of another type."""
    return repeat(builder, builder.load(address(builder, array, i, j)), kind)


def load_repeated_short(builder: Any, array: Any, i: Any, j: Any) -> Any:
    """Return a short vector that holds array[i, j] 8 times."""
    return repeat(builder, builder.load(address(builder, array, i, j)), SHORT_VECTOR)


def load_flat(builder: Any, array: Any, place: Any, kind: Any = SHORT_VECTOR) -> Any:
    """Return the vector array[place : place + 8] of an array with one axis, or a longer one."""
    return _load(builder, builder.gep(array.data, [place]), kind)


def store_flat(builder: Any, vector: Any, array: Any, place: Any) -> None:
    """Store a vector from array[place] on."""
    _store(builder, vector, builder.gep(array.data, [place]))


def repeat(builder: Any, number: Any, kind: Any) -> Any:
    """Return a vector of a type that holds one number everywhere."""
    empty = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(empty, number, ir.IntType(32)(0))
    places = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
    return builder.shuffle_vector(first, empty, places)


def total(builder: Any, vector: Any) -> Any:
    """Return the sum of a vector's numbers: halves are added until one number is left."""
    while vector.type.count > 1:
        vector = add_halves(builder, vector)
    return builder.extract_element(vector, ir.IntType(32)(0))


def add_halves(builder: Any, vector: Any) -> Any:
    """Return the sum of the lower and the upper half of a vector, a vector of half the length."""
    width = vector.type.count // 2
    kind = ir.VectorType(ir.IntType(32), width)
    lower, upper = (
        builder.shuffle_vector(vector, vector, ir.Constant(kind, list(range(k, k + width))))
        for k in (0, width)
    )
    return builder.fadd(lower, upper)


def square_root(builder: Any, vector: Any) -> Any:
    """Return the roots of a short vector."""
    name = f"llvm.sqrt.v{SHORT_WIDTH}f32"
    known = builder.module.globals.get(name)
    kind = ir.FunctionType(SHORT_VECTOR, [SHORT_VECTOR])
    return builder.call(known or ir.Function(builder.module, kind, name), [vector])


def _load(builder: Any, address: Any, kind: Any) -> Any:
    return builder.load(builder.bitcast(address, kind.as_pointer()), align=4)


def _store(builder: Any, vector: Any, address: Any) -> None:
    builder.store(vector, builder.bitcast(address, vector.type.as_pointer()), align=4)


def multiply(builder: Any, a: Any, b: Any) -> Any:
    """Return a * b."""
    return builder.fmul(a, b, flags=ROUNDED_ONCE)


def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c."""
    return builder.fadd(multiply(builder, a, b), c, flags=ROUNDED_ONCE)


def multiply_subtract(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Return c - a * b."""
    return builder.fsub(c, multiply(builder, a, b), flags=ROUNDED_ONCE)


def zero_variables(builder: Any, n: int, kind: Any = VECTOR) -> list[Any]:
    """Return n variables for vectors of a type, set to zero."""
    return variables(builder, [ir.Constant(kind, [0.0] * kind.count)] * n)


def variables(builder: Any, values: list[Any]) -> list[Any]:
    """Return variables that hold these vectors."""
    made = [cgutils.alloca_once(builder, value.type) for value in values]
    for variable, value in zip(made, values, strict=True):
        builder.store(value, variable)
    return made

"""How kernels are compiled.

Compiled functions are loops over numbers. Copies, slice assignments and expressions of whole
arrays would do the same, but each of them costs seconds of compilation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sparsectr.kernels.cpu.machine.cache import keep_machine_code

# The lower bound of the extra "fast". Older versions write other machine code.
if tuple(int(part) for part in numba.__version__.split(".")[:2]) < (0, 64):
    raise ImportError(f"fused kernels need numba >= 0.64, got {numba.__version__}.")

# Products and sums may be fused, sums may be taken in another order; NaN and infinity stay.
FAST_MATH = {"contract", "reassoc", "nsz"}


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compile a function when it is first called; it runs without the interpreter's lock.

    The machine code is kept on disk, see `sparsectr.kernels.cpu.machine.cache`.
    """
    options |= {"nogil": True, "fastmath": FAST_MATH, "error_model": "numpy"}
    kernel = numba.njit(function, **options)
    if kernel is not function:  # NUMBA_DISABLE_JIT
        keep_machine_code(kernel, function)
    return kernel


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function into those that call it.

    For a few instructions on arrays: to hand an array over takes a dozen.
    """
    return compiled(function, forceinline=True)


def _prefetch(to_write: bool, array: Any) -> Any:

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        function = builder.module.declare_intrinsic(
            "llvm.prefetch",
            [address.type],
            ir.FunctionType(ir.VoidType(), [address.type, number, number, number]),
        )
        # To be kept in all caches; data and not code.
        builder.call(function, [address, number(int(to_write)), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


def _prefetch_to_read(_: Any, array: Any, place: Any) -> Any:
    return _prefetch(False, array)


def _prefetch_to_write(_: Any, array: Any, place: Any) -> Any:
    return _prefetch(True, array)


# These ask for the cache line of array[place] and do not wait for it. One that is to be written is
# taken away from the other threads.
prefetch_to_read: Any = intrinsic(_prefetch_to_read)
prefetch_to_write: Any = intrinsic(_prefetch_to_write)

"""Whether kernels can be compiled, and how many programs and threads they are launched with."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

# Older versions do not know tuples inside kernels.
if tuple(int(part) for part in triton.__version__.split(".")[:2]) < (3, 3):
    raise ImportError(f"fused kernels need triton >= 3.3, got {triton.__version__}.")

# Numbers of a tile for every warp of 32 threads.
WARP_NUMBERS = 256
MOST_WARPS = 8


def count_warps(n_numbers: int) -> int:
    """Return the number of warps for tiles of so many numbers, a power of two."""
    return min(MOST_WARPS, max(1, n_numbers // WARP_NUMBERS))


def count_programs(n_tiles: int, per_processor: int, device: torch.device) -> int:
    """Return the number of programs that share some tiles, so many for every multiprocessor."""
    if device.type != "cuda":  # Triton's interpreter
        return min(n_tiles, per_processor)
    processors = torch.cuda.get_device_properties(device).multi_processor_count
    return min(n_tiles, per_processor * processors)


@triton.jit
def _count_up(number):
    tl.store(number, tl.load(number) + 1)


def _require_compiler() -> None:
    """Raise ImportError where nothing can be compiled: Triton needs a C compiler, for example."""
    number = torch.zeros(1, dtype=torch.float32, device="cuda")
    try:
        _count_up[(1,)](number)
    except Exception as error:
        raise ImportError(f"Triton cannot compile for this GPU: {error}") from error
    if float(number) != 1:
        raise ImportError("what Triton has compiled for this GPU is wrong.")


if torch.version.hip:
    raise ImportError("fused kernels have not been tried on AMD's GPUs.")
if torch.cuda.is_available():
    _require_compiler()

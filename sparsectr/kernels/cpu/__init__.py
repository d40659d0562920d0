"""Fused versions of the kernels for a CPU, compiled by numba; see `sparsectr.kernels.fused`."""

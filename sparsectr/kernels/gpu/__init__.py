"""Fused versions of kernels for NVIDIA GPUs, in Triton; see `sparsectr.kernels.fused`.

PyTorch brings Triton along where it supports it. Kernels are compiled when they are first called,
for a second or so, and kept on disk.
"""

"""What kernels for a CPU are built of: vectors, matrices, blocks of rows."""

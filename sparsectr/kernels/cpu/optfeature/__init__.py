"""The loss of `OptFeatureNet` on a CPU, fused."""

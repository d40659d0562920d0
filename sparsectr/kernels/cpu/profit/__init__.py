"""Losses and logits of the nets of PROFIT on a CPU, fused."""

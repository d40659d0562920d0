"""Losses and logits of `DynIntNet` on a CPU, fused."""

"""The training engine: batches, optimizers and the one loop. Torch only."""

"""Steps of optimizers on a CPU."""

"""How the cost of training depends on the number of rows of the embedding table.

Runs whole training steps of a `DynIntNet` as `DynIntClassifier` does on codes of 39 fields with
Zipf's frequencies and prints the time per step for tables of 10 thousand, 1 million and 15.5
million rows, and the bytes of weights and optimizer state per row. The tables take turns (A B C,
C B A, ...), every step has a batch of its own, and times are process CPU times on one thread,
which a busy neighbour disturbs least:

    python examples/benchmarks/table_growth.py --optimizer adam
"""

import argparse
import resource
import time

import numpy as np
import torch

from sparsectr.methods.dynint.net import DynIntConfig, DynIntNet
from sparsectr.training.batches import LabelledRows
from sparsectr.training.descent import descend
from sparsectr.training.optimizers import make_optimizers
from sparsectr.training.prior import add_embedding_prior

FIELDS = 39
N_BATCHES = 48


def zipf_codes(n_rows, size, generator):
    """Draw codes of one field: log-uniform ranks, that is frequencies like 1 / rank."""
    uniform = torch.rand(n_rows, generator=generator)
    return ((size ** uniform.double()) - 1).to(torch.int32).clamp_(max=size - 1)


class Training:
    """One net with its data and optimizers; `run_step` trains on the next batch."""

    def __init__(self, table_rows, batch_size, embedding_dim, optimizer):
        generator = torch.Generator().manual_seed(0)
        size = table_rows // FIELDS
        n_rows = N_BATCHES * batch_size
        codes = [zipf_codes(n_rows, size, generator) for _ in range(FIELDS)]
        self.rows = LabelledRows(
            torch.stack(codes, 1),
            torch.randint(2, (n_rows,), generator=generator).float(),
            torch.ones(n_rows),
        )
        self.batch_size = batch_size
        self.net = DynIntNet([size] * FIELDS, embedding_dim, 1, DynIntConfig(n_layers=3))
        self.net.reset_parameters(generator)
        others = [p for p in self.net.parameters() if p is not self.net.embedding.weight]
        self.optimizers = make_optimizers(
            [self.net.embedding.weight], others, optimizer, learning_rate=1e-3
        )
        add_embedding_prior(self.optimizers, self.net.embedding, self.rows, 1e-3)
        self.n_steps = 0

    def run_step(self):
        first = self.n_steps % N_BATCHES * self.batch_size
        batch = self.rows.take(torch.arange(first, first + self.batch_size))
        descend(self.net.loss(batch), self.optimizers, len(batch))
        self.n_steps += 1

    def bytes_per_row(self):
        """Return the bytes of a row's weights and of what the optimizer remembers of it."""
        table = self.net.embedding.weight
        parts = [table, *self.optimizers[0].state[table].values()]
        return sum(part.nbytes for part in parts) / len(table)


def time_steps(training, n_steps):
    """Return CPU seconds per step."""
    started = time.process_time()
    for _ in range(n_steps):
        training.run_step()
    return (time.process_time() - started) / n_steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--table-rows", type=int, nargs="+", default=[10_000, 1_000_000, 15_500_000]
    )
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--embedding-dim", type=int, default=16)
    parser.add_argument("--optimizer", choices=["adagrad", "adam"], default="adagrad")
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trainings = {
        n: Training(n, arguments.batch_size, arguments.embedding_dim, arguments.optimizer)
        for n in arguments.table_rows
    }
    for training in trainings.values():
        time_steps(training, 4)  # first touch of optimizer state, warm caches
    times = {n: [] for n in trainings}
    for round_number in range(arguments.rounds):
        order = list(trainings)[:: 1 if round_number % 2 == 0 else -1]
        for n in order:
            times[n].append(time_steps(trainings[n], N_BATCHES // 4))
    smallest = min(times[arguments.table_rows[0]])
    print("  table rows  distinct rows a batch  ms a step  ratio  bytes a row")
    for n, training in trainings.items():
        codes = training.rows.codes[: arguments.batch_size] + training.net.embedding.offsets
        best = min(times[n])
        print(
            f"{n:>12,} {len(codes.unique()):>21,}  {1e3 * best:>9.1f}  {best / smallest:>5.2f}"
            f"{training.bytes_per_row():>12.0f}"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:,.0f} MB; NumPy {np.__version__}, torch {torch.__version__}")


if __name__ == "__main__":
    main()

"""Time one training step of an embedding table under different optimizers.

A step is lookup, backward pass and update for 4,096 rows of 39 Zipf-distributed fields, D = 16.
The optimizers take turns and each is shown by its best round, in milliseconds per step. On a
busy machine use one thread and read the CPU time::

    python examples/benchmarks/optimizers.py --table-rows 10000 1000000 10000000 --threads 1
"""

import argparse
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from sparsectr.training.optimizers import GroupFTRL, RowAdam

N_FIELDS, BATCH_SIZE, EMBEDDING_DIM, ZIPF_EXPONENT = 39, 4096, 16, 1.35

# name: (optimizer, sparse gradient, how many of the batches: dense updates are slow)
CONTENDERS: dict[str, tuple[Callable[[list[nn.Parameter]], Optimizer], bool, float]] = {
    "RowAdam": (RowAdam, True, 1.0),
    "GroupFTRL": (GroupFTRL, True, 1.0),
    "SparseAdam": (torch.optim.SparseAdam, True, 1.0),
    "Adam, fused": (lambda tables: torch.optim.Adam(tables, fused=True), False, 0.25),
    "Adam": (torch.optim.Adam, False, 0.25),
}


def draw_batches(n_batches: int, table_rows: int) -> list[Tensor]:
    """Draw table rows (B, F); every field has the same number of values, the frequent first."""
    generator = torch.Generator().manual_seed(0)
    size = table_rows // N_FIELDS
    power = 1 - ZIPF_EXPONENT
    batches = []
    for _ in range(n_batches):
        u = torch.rand((BATCH_SIZE, N_FIELDS), generator=generator, dtype=torch.float64)
        rank = (1 - u * (1 - float(size) ** power)) ** (1 / power)  # inverse of the Zipf CDF
        batches.append(rank.long().clamp(1, size) - 1 + torch.arange(N_FIELDS) * size)
    return batches


def time_steps(name: str, table_rows: int, batches: list[Tensor]) -> tuple[float, float]:
    """Train a fresh table and return the wall and the CPU time of a step, in milliseconds.

    The first step makes the state and is not timed.
    """
    make_optimizer, sparse, share = CONTENDERS[name]
    generator = torch.Generator().manual_seed(1)
    table = nn.Parameter(torch.randn((table_rows, EMBEDDING_DIM), generator=generator))
    directions = torch.randn((BATCH_SIZE, N_FIELDS, EMBEDDING_DIM), generator=generator)
    optimizer = make_optimizer([table])
    timed = batches[: 1 + int(share * len(batches))]
    for i, codes in enumerate(timed):
        if i == 1:
            wall, cpu = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        functional.embedding(codes, table, sparse=sparse).backward(directions)
        optimizer.step()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return 1e3 * wall / (len(timed) - 1), 1e3 * cpu / (len(timed) - 1)


def main() -> None:
    """Print a table: one line per optimizer, one block per table size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table-rows", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--batches", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore", message="Sparse invariant checks")  # from SparseAdam
    for table_rows in arguments.table_rows:
        batches = draw_batches(arguments.batches, table_rows)
        print(f"{table_rows:,} table rows, {batches[0].unique().numel():,} distinct in a batch")
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
        for _ in range(arguments.rounds):
            for name in CONTENDERS:
                times[name].append(time_steps(name, table_rows, batches))
        for name, rounds in times.items():
            wall, cpu = map(min, zip(*rounds, strict=True))
            print(f"  {name:12s} wall {wall:8.1f} ms   CPU {cpu:8.1f} ms", flush=True)


if __name__ == "__main__":
    main()

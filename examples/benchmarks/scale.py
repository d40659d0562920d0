"""Training in several processes: what a step sends and costs, and what is to be expected of many.

    python examples/benchmarks/bench.py scale processes --processes 2 --rounds 5
    python examples/benchmarks/bench.py scale processes --processes 4 --table-rows 100000
    python examples/benchmarks/bench.py scale predicted

``processes``: processes on this machine, connected by gloo over loopback, take steps on a DynInt
net over 39 fields with Zipf's frequencies. Each way to train has the same net, the same batches and
the same processes, and all take turns (A B C D E E D C B A ...): our exchange with fused kernels
and without, a process alone on the whole batch, and torch's DistributedDataParallel with a dense
table, of which all gradients travel, and with a sparse one. Printed are milliseconds of a step by
the clock, the median of all turns and the smallest one, the CPU milliseconds of a process, and the
MiB of gradients that a process sends to each other one. A dense gradient of the table has 4 V D
bytes.

``predicted``: a table for clusters that are not at hand, computed from bytes and from published
bandwidths; the formula is printed with it.
"""

import multiprocessing
import tempfile
import time
from datetime import timedelta
from math import ceil
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from sparsectr.kernels.fused import fused_kernels
from sparsectr.methods.dynint.net import DynIntConfig, DynIntNet
from sparsectr.rows.labelled import LabelledRows
from sparsectr.rows.memory import MemoryRows
from sparsectr.training.descent import descend
from sparsectr.training.exchange import Alone, exchanging
from sparsectr.training.optimizers import make_optimizers
from sparsectr.training.prior import add_embedding_prior
from sparsectr.training.processes import GroupExchange

N_FIELDS, N_BATCHES = 39, 16
WAIT = timedelta(seconds=600)

# Processes -------------------------------------------------------------------------------


def measure_processes(arguments):
    """Print a line per way to train."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        children = [
            context.Process(target=take_steps, args=(rank, str(Path(folder) / "store"), arguments))
            for rank in range(arguments.processes)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join()
    if any(child.exitcode for child in children):
        raise RuntimeError(f"exit codes {[child.exitcode for child in children]}")


def take_steps(rank, store, arguments):
    """Run one of the processes; the first one prints."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{store}",
        rank=rank,
        world_size=arguments.processes,
        timeout=WAIT,
    )
    rows = make_rows(arguments)
    ways = {
        "ours, fused": Ours(arguments, rows, fused=True),
        "ours, torch": Ours(arguments, rows, fused=False),
        "a process alone, fused": Ours(arguments, rows, fused=True, alone=True),
        "DistributedDataParallel, dense": Parallel(arguments, rows, sparse=False),
        "DistributedDataParallel, sparse": Parallel(arguments, rows, sparse=True),
    }
    times = {name: [] for name in ways}
    cpu_times = {name: [] for name in ways}
    for way in ways.values():
        way.step(0)  # state of the optimizers, warm caches
    for turn in range(arguments.rounds):
        for name in list(ways)[:: 1 if turn % 2 == 0 else -1]:
            for number in range(arguments.steps):
                dist.barrier()
                started, on_cpu = time.perf_counter(), time.process_time()
                ways[name].step(1 + turn * arguments.steps + number)
                times[name].append(1e3 * (time.perf_counter() - started))
                cpu_times[name].append(1e3 * (time.process_time() - on_cpu))
    if rank == 0:
        dense = 4 * ways["ours, fused"].net.embedding.weight.numel() / 2**20
        print(
            f"{arguments.processes} processes, {arguments.batch_size} rows a step in all, table "
            f"{arguments.table_rows:,} x {arguments.dim}: {dense:.1f} MiB if dense"
        )
        print("| way | ms a step, median | smallest | CPU ms, median | MiB sent |")
        print("|---|---|---|---|---|")
        for name, way in ways.items():
            sent = way.mebibytes()
            print(
                f"| {name} | {np.median(times[name]):.1f} | {min(times[name]):.1f} "
                f"| {np.median(cpu_times[name]):.1f} | {'' if sent is None else f'{sent:.2f}'} |"
            )
        for kind, of_all in (("median", np.median), ("smallest", min)):
            first, *others = (of_all(some) for some in times.values())
            ratios = ", ".join(f"{other / first:.1f}" for other in others)
            print(f"times as long as the first, {kind}: {ratios}")
    dist.destroy_process_group()


def make_rows(arguments):
    """Return rows whose codes have frequencies like 1 / rank, the same in all processes."""
    generator = torch.Generator().manual_seed(0)
    size = arguments.table_rows // N_FIELDS
    n_rows = N_BATCHES * arguments.batch_size
    uniform = torch.rand((n_rows, N_FIELDS), generator=generator, dtype=torch.float64)
    codes = (size**uniform - 1).int().clamp_(max=size - 1)
    targets = torch.randint(2, (n_rows,), generator=generator).float()
    return LabelledRows(MemoryRows(codes), targets, torch.ones(n_rows))


def make_net(arguments):
    size = arguments.table_rows // N_FIELDS
    net = DynIntNet([size] * N_FIELDS, arguments.dim, 1, DynIntConfig(n_layers=2))
    net.reset_parameters(torch.Generator().manual_seed(0), -1.0)
    return net


def batch_numbers(number, batch_size):
    """Return the row numbers of a batch, of those in turn."""
    first = number % N_BATCHES * batch_size
    return torch.arange(first, first + batch_size)


class Ours:
    """Our exchange, row-wise Adagrad for the table, the prior included; or whole batches alone."""

    def __init__(self, arguments, rows, *, fused, alone=False):
        self.rows, self.batch_size, self.fused = rows, arguments.batch_size, fused
        self.net = make_net(arguments)
        table = self.net.embedding.weight
        others = [weight for weight in self.net.parameters() if weight is not table]
        self.optimizers = make_optimizers([table], others, "adagrad", learning_rate=1e-3)
        add_embedding_prior(self.optimizers, self.net.embedding, rows, 1e-3)
        self.exchange = Alone() if alone else GroupExchange(dist.group.WORLD)
        self.n_steps = 0

    def step(self, number):
        self.n_steps += 1
        with exchanging(self.exchange), fused_kernels(self.fused):
            numbers = self.exchange.share(batch_numbers(number, self.batch_size))
            batch = self.rows.take(numbers)
            descend(self.net.loss(batch), self.optimizers, len(batch))

    def mebibytes(self):
        """Return the MiB that a process has sent to each other one per step."""
        if self.exchange.n_processes == 1:
            return None
        return self.exchange.n_bytes / self.n_steps / 2**20


class Table(nn.Embedding):
    """Our table as an embedding of torch, by which DistributedDataParallel finds sparse ones."""

    def __init__(self, table, sparse):
        super().__init__(*table.weight.shape, sparse=sparse, _weight=table.weight.detach())
        self.register_buffer("offsets", table.offsets)

    def forward(self, codes):
        return super().forward(codes + self.offsets)


class Parallel:
    """DistributedDataParallel with Adagrad of torch; gloo adds sparse gradients up, too."""

    def __init__(self, arguments, rows, *, sparse):
        self.rows, self.batch_size = rows, arguments.batch_size
        net = make_net(arguments)
        net.embedding = Table(net.embedding, sparse)
        self.parallel = DistributedDataParallel(net, broadcast_buffers=False)
        table = net.embedding.weight
        others = [weight for weight in net.parameters() if weight is not table]
        self.optimizers = [
            torch.optim.Adagrad([table], lr=1e-3),
            torch.optim.Adam(others, lr=1e-3),
        ]

    def step(self, number):
        numbers = batch_numbers(number, self.batch_size)
        own = numbers.tensor_split(dist.get_world_size())[dist.get_rank()]
        batch = self.rows.take(own)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        batch.mean_loss(self.parallel(batch.codes)).backward()
        for optimizer in self.optimizers:
            optimizer.step()

    def mebibytes(self):
        """What torch sends is not counted here."""
        return None


# Predicted -------------------------------------------------------------------------------

# Rows per second of one process alone at D = 16 (docs/performance.md: two threads of a CPU; one
# H100), seconds to sum the gradient of one lookup at D = 16 (measured on a CPU; guessed for a GPU),
# seconds of a step of any size (guessed: 200 launches that are not recorded), bytes per second of
# its memory, its bytes, dollars an hour (EC2: r7i.4xlarge for its 128 GB, p5.48xlarge by the GPU).
CPU = {"rate": 261_500, "sum": 75e-9, "launch": 0.0, "memory": 20e9}
CPU |= {"bytes": 128e9, "price": 1.06}
H100 = {"rate": 6_371_400, "sum": 1e-9, "launch": 2e-3, "memory": 3.35e12}
H100 |= {"bytes": 80e9, "price": 4.92}
# Bytes per second that a process can receive, and seconds of one message.
HALF = {"bytes": 64e9, "price": 0.53}
LOOPBACK = {"bandwidth": 5e9, "latency": 50e-6}
ETHERNET = {"bandwidth": 10e9 / 8, "latency": 50e-6}  # 10 Gbit/s
NVLINK = {"bandwidth": 450e9, "latency": 5e-6}  # 900 GB/s, half of it each way
NDR = {"bandwidth": 400e9 / 8, "latency": 10e-6}  # 400 Gbit/s for each GPU
CLUSTERS = [
    ("2 CPU processes, one machine", 2, 4096, CPU | LOOPBACK | HALF),
    ("4 CPU machines, 10 Gbit/s", 4, 4096, CPU | ETHERNET),
    ("16 CPU machines, 10 Gbit/s", 16, 16_384, CPU | ETHERNET),
    ("8 H100, NVLink", 8, 65_536, H100 | NVLINK),
    ("64 H100, 400 Gbit/s each", 64, 262_144, H100 | NDR),
]
N_ROWS, N_VALUES, DIMS = 4_000_000_000, 100_000_000, (16, 128)
DENSE_WEIGHTS = 10_000
# Two copies of the table (the second is that of the best epoch) and row-wise Adagrad's sums;
# targets, weights and order of the rows.
BYTES_PER_WEIGHT, BYTES_PER_VALUE, BYTES_PER_ROW = 8, 4, 16
FORMULA = """\
b = B / W rows of a process, R(b) distinct table rows that they look up (frequencies like 1 / rank)
step = compute + send + update
compute = (b / rate + F b sum) D / 16 + launch
send = sent / bandwidth + 2 (W - 1) latency
update = W R 12 D / memory bandwidth
sent = (W - 1) R (4 + 4 D), bytes that a process receives, and sends, in a step
memory of a process = V (8 D + 4) + 16 n
epoch = n / B steps; cost = W * price * hours"""


def predict(arguments):
    """Print a line per cluster and length of the embeddings."""
    print(FORMULA)
    print(f"n = {N_ROWS:,} rows, {N_FIELDS} fields, V = {N_VALUES:,} values")
    print(
        "| processes | D | B | R | MiB sent a step (dense) | ms a step: compute + send + update "
        "| rows/s | times one process | GB a process | hours an epoch | $ an epoch |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name, n_processes, batch_size, node in CLUSTERS:
        own = ceil(batch_size / n_processes)
        distinct = N_FIELDS * count_distinct(own, N_VALUES // N_FIELDS)
        for dim in DIMS:
            rate = node["rate"] * 16 / dim
            sent = (n_processes - 1) * distinct * (4 + 4 * dim) + 8 * DENSE_WEIGHTS
            compute = own / rate + N_FIELDS * own * node["sum"] * dim / 16 + node["launch"]
            send = sent / node["bandwidth"] + 2 * (n_processes - 1) * node["latency"]
            update = n_processes * distinct * 12 * dim / node["memory"]
            step = compute + send + update
            rows_per_second = batch_size / step
            memory = N_VALUES * (BYTES_PER_WEIGHT * dim + BYTES_PER_VALUE) + BYTES_PER_ROW * N_ROWS
            hours = N_ROWS / rows_per_second / 3600
            too_large = " (too much)" if memory > 0.9 * node["bytes"] else ""
            print(
                f"| {name} | {dim} | {batch_size:,} | {distinct:,.0f} "
                f"| {sent / 2**20:,.1f} ({4 * N_VALUES * dim / 2**20:,.0f}) "
                f"| {1e3 * step:.1f}: {1e3 * compute:.1f} + {1e3 * send:.1f} + {1e3 * update:.1f} "
                f"| {rows_per_second:,.0f} | {rows_per_second / rate:.1f} "
                f"| {memory / 1e9:.0f}{too_large} | {hours:.2f} "
                f"| {n_processes * node['price'] * hours:,.0f} |"
            )


def count_distinct(n, size):
    """Return how many of ``size`` values come among n of frequencies like 1 / rank, on average."""
    ranks = np.arange(1, size)
    shares = np.log1p(1 / ranks) / np.log(size)
    return float(-np.expm1(n * np.log1p(-shares)).sum())


SUBJECTS = {"processes": measure_processes, "predicted": predict}


def add_arguments(parser):
    parser.add_argument("subject", choices=SUBJECTS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3, help="of each turn")
    parser.add_argument("--table-rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=4096, help="rows of all processes")


def run(arguments):
    SUBJECTS[arguments.subject](arguments)

"""Training by several processes, which torch.distributed connects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from sparsectr.kernels.rows import count_and_sum_rows, lookup_gradient, split_gradient
from sparsectr.training.optimizers.per_parameter import PerParameterOptimizer

T = TypeVar("T")

# What a process is about to do together with the others.
FAILED, END, STEP, GATHER, FIRST, ALIGN = range(6)
CALLS = (
    "failed",
    "at the end of fit",
    "at a step",
    "comparing values",
    "asking the first process",
    "comparing weights",
)


class _OtherProcessFailed(RuntimeError):
    """Another process has failed; all know of it."""


class _Lookups(NamedTuple):
    """Distinct rows (R,) that tables look up, how often, (R,), and sums (R, D) for every table."""

    rows: Tensor
    counts: Tensor
    tables: list[Tensor]
    sums: list[Tensor]


class GroupExchange:
    """Exchange gradients and decisions over a process group of torch.distributed.

    Dense gradients are added up in one all_reduce. Of an embedding table, each process sends the
    rows that its part of the batch has touched, with one sum per row, in one all_gather for all
    tables: ``4 + 4 D`` bytes per row.

    Every call begins with a few numbers of every process. A process that fails says so there,
    where all others will look next.

    Parameters
    ----------
    group : ProcessGroup
        This process must be one of it. With a backend for GPUs, tensors stay there.

    Attributes
    ----------
    n_processes, rank : int
        As in `Exchange`.
    n_bytes : int
        Bytes of gradients, and of the numbers before them, that this process has sent to each of
        the others.
    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        self.group = group
        self.n_processes: int = dist.get_world_size(group)
        self.rank: int = dist.get_rank(group)
        self.n_bytes = 0
        # Such as "cpu:gloo,cuda:nccl". Not all calls of gloo take tensors of a GPU.
        backends = [part.split(":") for part in dist.get_backend_config(group).split(",")]
        self._devices = [device for device, name in backends if device == "cpu" or name != "gloo"]
        self._meet_on = "cpu" if "cpu" in self._devices else "cuda"
        self._is_talking = False

    # The protocol ---------------------------------------------------------------------

    def share(self, rows: Tensor) -> Tensor:
        """Return the part of row numbers (B,) that is this process's.

        The first process has the smallest numbers: with batches in random order each reads, but for
        a few rows, its own part of a file.

        Raises
        ------
        ValueError
            If there are fewer rows than processes.
        """
        if len(rows) < self.n_processes:
            raise ValueError(
                f"every batch must have a row for each of {self.n_processes} processes, got one of "
                f"{len(rows)} rows. Raise batch_size, or fit with fewer processes."
            )
        return rows.sort().values.tensor_split(self.n_processes)[self.rank]

    @torch.no_grad()
    def sum_gradients(self, optimizers: Sequence[Optimizer], n_rows: int) -> int:
        """Turn gradients of the mean loss of a part into those of the mean loss of the batch.

        See `Exchange`. The decay of lookups, which counts them, is added before they are summed.
        """
        parameters = dict.fromkeys(
            parameter
            for optimizer in optimizers
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        )
        lookups = _sum_lookups([p for p in parameters if p.grad.is_sparse])
        _add_decay(lookups, optimizers, n_rows)
        dense = [p for p in parameters if not p.grad.is_sparse]
        n_numbers = sum(
            1 + len(some.rows) * (1 + sum(sums.shape[1] for sums in some.sums)) for some in lookups
        )
        with self._talking():
            met = self._meet(STEP, n_rows, n_numbers)
            n_all = sum(numbers[1] for numbers in met)
            share = n_rows / n_all
            if dense:
                self._sum_dense(dense, share)
            if lookups:
                self._gather_tables(lookups, share, [numbers[2] for numbers in met])
        return n_all

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, in the order of their ranks."""
        with self._talking():
            self._meet(GATHER)
            return self._gather_objects(value)

    def from_first(self, value: T) -> T:
        """Return the value of the first process, which may be large."""
        with self._talking():
            self._meet(FIRST)
            values: list[Any] = [value if self.rank == 0 else None]
            first = dist.get_global_rank(self.group, 0)
            dist.broadcast_object_list(values, first, group=self.group)
        return value if self.rank == 0 else cast("T", values[0])

    @torch.no_grad()
    def align(self, net: nn.Module) -> None:
        """Give all processes the bits of the first one, where they differ.

        Processors of different kinds may round differently.
        """
        with self._talking():
            self._meet(ALIGN)
            tensors = [tensor for tensor in net.state_dict().values() if tensor.numel()]
            digests = self._gather_objects([_digest(tensor) for tensor in tensors])
            if all(digest == digests[0] for digest in digests):
                return
            first = dist.get_global_rank(self.group, 0)
            for tensor in tensors:
                sent = self._on_wire(tensor)
                dist.broadcast(sent, first, group=self.group)
                tensor.copy_(sent)

    # Failing together -----------------------------------------------------------------

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let a block end in all processes or in none: an error in one is an error in all.

        Raises
        ------
        RuntimeError
            If another process has failed; with its error.
        """
        try:
            yield
        except _OtherProcessFailed:
            raise
        except BaseException as error:
            # In the middle of a call nobody would listen.
            if not self._is_talking:
                with self._talking():
                    self._meet(FAILED, error=f"{type(error).__name__}: {error}")
            raise
        with self._talking():
            self._meet(END)

    @contextmanager
    def _talking(self) -> Iterator[None]:
        self._is_talking = True
        try:
            yield
        except _OutOfStep:
            self._is_talking = False
            raise
        self._is_talking = False

    def _meet(self, call: int, *numbers: int, error: str | None = None) -> list[list[int]]:
        """Wait for all processes; return what each is about to do, and its numbers."""
        own = torch.tensor([call, *numbers, 0, 0][:3], dtype=torch.int64, device=self._meet_on)
        met = self._gather(own).tolist()
        calls = [numbers[0] for numbers in met]
        if FAILED in calls:
            errors = self._gather_objects(error)
            if error is None:
                rank, text = next((r, text) for r, text in enumerate(errors) if text is not None)
                raise _OtherProcessFailed(f"process {rank} of {len(met)} has failed: {text}")
        elif len(set(calls)) > 1:
            places = ", ".join(f"{rank} {CALLS[call]}" for rank, call in enumerate(calls))
            raise _OutOfStep(f"all processes must do the same, got process {places}.")
        return cast("list[list[int]]", met)

    # Tensors --------------------------------------------------------------------------

    def _on_wire(self, tensor: Tensor) -> Tensor:
        """Return a tensor where the group can send it from."""
        sent = tensor if tensor.device.type in self._devices else tensor.to(self._meet_on)
        return sent.contiguous()

    def _gather(self, tensor: Tensor) -> Tensor:
        """Return the tensors (n,) of all processes, (n_processes, n)."""
        self.n_bytes += tensor.numel() * tensor.element_size()
        gathered = tensor.new_empty(self.n_processes, len(tensor))
        dist.all_gather(list(gathered.unbind(0)), tensor, group=self.group)
        return gathered

    def _gather_objects(self, value: T) -> list[T]:
        values: list[Any] = [None] * self.n_processes
        dist.all_gather_object(values, value, group=self.group)
        values[self.rank] = value  # itself, not a copy
        return values

    def _sum_dense(self, parameters: Sequence[Tensor], share: float) -> None:
        """Replace the dense gradients by the mean over all rows."""
        gradients = [cast(Tensor, parameter.grad) for parameter in parameters]
        flat = torch.cat([gradient.flatten() for gradient in gradients]).mul_(share)
        sent = self._on_wire(flat)
        dist.all_reduce(sent, group=self.group)
        self.n_bytes += sent.numel() * sent.element_size()
        parts = sent.to(flat.device).split([gradient.numel() for gradient in gradients])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    def _gather_tables(self, lookups: list[_Lookups], share: float, lengths: list[int]) -> None:
        """Replace the gradients of tables by the rows and sums of all processes."""
        device = lookups[0].rows.device
        own = self._on_wire(_pack(lookups, share))
        padded = own.new_zeros(max(lengths))
        padded[: len(own)] = own
        packed = self._gather(padded).to(device)
        parts = [
            _unpack(numbers[:length], [[s.shape[1] for s in some.sums] for some in lookups])
            for numbers, length in zip(packed, lengths, strict=True)
        ]
        for some, *of_all in zip(lookups, *parts, strict=True):
            rows = torch.cat([rows for rows, _ in of_all]).long()
            for place, table in enumerate(some.tables):
                values = torch.cat([sums[place] for _, sums in of_all]).to(table.dtype)
                table.grad = lookup_gradient(rows, values, table.shape)


class _OutOfStep(ValueError):
    """The processes do different things; all see it at the same time."""


def _sum_lookups(tables: Sequence[Tensor]) -> list[_Lookups]:
    """Sum the gradients of the lookups of equal rows; tables that share theirs stay together."""
    found: dict[tuple[int, int], tuple[Tensor, list[Tensor], list[Tensor]]] = {}
    for table in tables:
        rows, values = split_gradient(cast(Tensor, table.grad))
        key = rows.data_ptr(), len(rows)
        _, together, of_all = found.setdefault(key, (rows, [], []))
        together.append(table)
        of_all.append(values)
    lookups = []
    for rows, together, of_all in found.values():
        distinct, counts, sums = count_and_sum_rows(rows, of_all)
        lookups.append(_Lookups(distinct, counts, together, sums))
    return lookups


def _add_decay(lookups: list[_Lookups], optimizers: Sequence[Optimizer], n_rows: int) -> None:
    """Add to the sums what every lookup of a row costs; see `PerParameterOptimizer`."""
    for some in lookups:
        for table, sums in zip(some.tables, some.sums, strict=True):
            for columns, decay in _decays(table, optimizers):
                shares = (some.counts * decay.index_select(0, some.rows) / n_rows).to(sums.dtype)
                weights = table.index_select(0, some.rows)[:, columns]
                sums[:, columns] += shares[:, None] * weights


def _decays(table: Tensor, optimizers: Sequence[Optimizer]) -> Iterator[tuple[slice, Tensor]]:
    """Yield the decays (V,) of a table and their columns, and let its optimizers leave them out."""
    for optimizer in optimizers:
        if not isinstance(optimizer, PerParameterOptimizer) or table not in optimizer.lookup_decay:
            continue
        optimizer.decayed.add(table)
        for group in optimizer.param_groups:
            if any(table is parameter for parameter in group["params"]):
                first, end = group.get("columns") or (0, table.shape[1])
                yield slice(first, end), optimizer.lookup_decay[table]


def _pack(lookups: list[_Lookups], share: float) -> Tensor:
    """Put the number of rows, the rows and the bits of the sums, times ``share``, in a row."""
    parts = []
    for some in lookups:
        parts += [some.rows.new_tensor([len(some.rows)]).int(), some.rows.int()]
        parts += [(sums.float() * share).flatten().view(torch.int32) for sums in some.sums]
    return torch.cat(parts)


def _unpack(packed: Tensor, widths: list[list[int]]) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """Yield rows (R,) and sums (R, D), as `_pack` has packed them, for tables of these widths."""
    start = 0
    for of_tables in widths:
        n_rows = int(packed[start])
        sizes = [n_rows, *(n_rows * width for width in of_tables)]
        start += 1
        rows, *sums = packed[start : start + sum(sizes)].split(sizes)
        start += sum(sizes)
        yield (
            rows,
            [
                some.view(torch.float32).view(n_rows, width)
                for some, width in zip(sums, of_tables, strict=True)
            ],
        )


_INTEGERS: dict[int, Callable[[Tensor], Tensor]] = {
    2: lambda tensor: tensor.view(torch.int16),
    4: lambda tensor: tensor.view(torch.int32),
    8: lambda tensor: tensor.view(torch.int64),
}


def _digest(tensor: Tensor) -> int:
    """Return a number that changes with any bit of a tensor; no copy of a table is made."""
    return int(_INTEGERS[tensor.element_size()](tensor.detach()).sum(dtype=torch.int64))

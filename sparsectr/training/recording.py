"""Steps of training that a GPU repeats by itself, once they are recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from sparsectr.kernels.fused import fused_on
from sparsectr.training.exchange import current_exchange

# A step of training: takes row numbers of the training set, and perhaps of other rows, trains on
# them and returns the detached loss, shape ().
Step = Callable[..., Tensor]

# Calls with a number of batches before it is recorded: the first makes the state of the optimizers,
# and libraries choose their kernels.
WARM_UP_CALLS = 3


class _Recording(NamedTuple):
    graph: torch.cuda.CUDAGraph
    batches: tuple[Tensor, ...]
    loss: Tensor


class RecordedStep:
    """Call a step; on a GPU, record the kernels it launches and launch them again at once.

    A step launches a hundred small kernels and more, each of which takes the processor longer than
    the GPU. Recorded as a CUDA graph, they are launched together. On a CPU, without fused kernels,
    where several processes train together (what they send has another size in every step), and
    where a step cannot be recorded, it is called as it is.

    A recording repeats what was launched and nothing else. A step must therefore take everything
    that changes from its batches, from tensors that stay where they are, or from ``generators``.
    It must not read a result of the GPU. What changes without that (learning rates) needs
    `forget`. Steps on batches of other sizes have recordings of their own.

    Parameters
    ----------
    step : callable
        Takes tensors, returns one.
    device : torch.device
        Where the batches are.
    generators : sequence of torch.Generator, default=()
        Those that the step may draw from.
    """

    def __init__(
        self, step: Step, device: torch.device, generators: Sequence[torch.Generator] = ()
    ) -> None:
        self.step, self.device, self.generators = step, device, generators
        self._stream = None
        is_alone = current_exchange().n_processes == 1
        if device.type == "cuda" and fused_on() and is_alone:
            self._stream = torch.cuda.Stream(device)
        self._warm: dict[int, int] = {}  # number of batches -> calls so far
        self._recordings: dict[tuple[int, ...], _Recording] = {}

    @property
    def n_recordings(self) -> int:
        """Number of recordings in use."""
        return len(self._recordings)

    def forget(self) -> None:
        """Record anew: something has changed that a recording does not read.

        Such as learning rates, or the state of the optimizers, which the next calls make.
        """
        self._recordings.clear()
        self._warm.clear()

    @contextmanager
    def epoch(self) -> Iterator[Step]:
        """Run the calls inside the block in the stream in which they are recorded.

        Yields what to call for a step: this object, or the step itself where nothing is recorded.
        """
        stream = self._stream
        if stream is None:
            yield self.step
            return
        outside = torch.cuda.current_stream(stream.device)
        stream.wait_stream(outside)
        try:
            with torch.cuda.stream(stream):
                yield self
        finally:
            outside.wait_stream(stream)

    def __call__(self, *batches: Tensor) -> Tensor:
        """Take a step; the loss must be read before the next."""
        if self._stream is None:
            return self.step(*batches)
        if self._warm.get(len(batches), 0) < WARM_UP_CALLS:
            self._warm[len(batches)] = self._warm.get(len(batches), 0) + 1
            return self.step(*batches)
        sizes = tuple(map(len, batches))
        if sizes not in self._recordings:
            recording = self._record(batches)
            if recording is None:
                self._stream = None
                return self.step(*batches)
            self._recordings[sizes] = recording
        recording = self._recordings[sizes]
        for own, batch in zip(recording.batches, batches, strict=True):
            own.copy_(batch)
        recording.graph.replay()
        return recording.loss

    def _record(self, batches: Sequence[Tensor]) -> _Recording | None:
        """Record a step on copies of the batches, without taking it; None if that fails."""
        graph = torch.cuda.CUDAGraph()
        own = tuple(batch.clone() for batch in batches)
        states = [generator.clone_state() for generator in self.generators]
        # Newer versions of torch find out by themselves who draws.
        if hasattr(graph, "register_generator_state"):
            for generator in self.generators:
                graph.register_generator_state(generator)
        try:
            # thread_local: other threads may use the GPU meanwhile.
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                loss = self.step(*own)
        except RuntimeError:
            # Interrupted, they would wait for the end of the recording for ever.
            for generator, state in zip(self.generators, states, strict=True):
                generator.graphsafe_set_state(state)
            return None
        return _Recording(graph, own, loss)

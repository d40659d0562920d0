"""The file from which one run of the loop goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer

from sparsectr.training.exchange import current_exchange
from sparsectr.training.progress import BestEpoch, Progress

# Where epochs are long, the state is written in between, too.
SECONDS_BETWEEN = 600.0


class Trained(NamedTuple):
    """All objects that steps change.

    Attributes
    ----------
    net : nn.Module
    optimizers : sequence of Optimizer
    generators : sequence of torch.Generator
    """

    net: nn.Module
    optimizers: Sequence[Optimizer]
    generators: Sequence[torch.Generator]

    def state(self) -> dict[str, Any]:
        """Return all tensors and learning rates, not copied."""
        return {
            "net": self.net.state_dict(),
            "optimizers": [
                {
                    "rates": [group["lr"] for group in optimizer.param_groups],
                    "states": [dict(optimizer.state.get(p, {})) for p in _parameters(optimizer)],
                }
                for optimizer in self.optimizers
            ],
            "generators": [generator.get_state() for generator in self.generators],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` has returned."""
        self.net.load_state_dict(state["net"])
        for generator, numbers in zip(self.generators, state["generators"], strict=True):
            generator.set_state(numbers)
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            for group, rate in zip(optimizer.param_groups, kept["rates"], strict=True):
                group["lr"] = rate
            # Not by `load_state_dict`: it copies, and moments that lie side by side would be torn
            # apart.
            for parameter, values in zip(_parameters(optimizer), kept["states"], strict=True):
                if values:
                    optimizer.state[parameter] = {
                        name: value.to(parameter.device) if torch.is_tensor(value) else value
                        for name, value in values.items()
                    }


class RunCheckpoint:
    """The file of one run of the loop.

    Parameters
    ----------
    path : Path or None
        The file, which need not be there. None in all processes but the first of those that train
        together: they go on from its file.
    trained : Trained
        What the run trains.
    """

    def __init__(self, path: Path | None, trained: Trained) -> None:
        self.path, self._trained = path, trained
        self._written = time.monotonic()

    def resume(self, beside: Iterator[Any]) -> Progress:
        """Restore all that is trained, and return how far the run has come.

        Parameters
        ----------
        beside : iterator
            Yields something for every step; is moved to where it was.
        """
        state = current_exchange().from_first(_read(self.path))
        if state is None:
            return Progress()
        progress = Progress(**state["progress"])
        progress.best = BestEpoch(**state["progress"]["best"])
        # It may draw from the generators, and must begin where it began.
        for _ in range(0 if progress.is_finished else progress.n_steps):
            next(beside)
        # The optimizers of a finished run are not kept.
        optimizers = [] if progress.is_finished else self._trained.optimizers
        self._trained._replace(optimizers=optimizers).restore(state["trained"])
        return progress

    def is_due(self) -> bool:
        """Tell whether the file was written long ago.

        Within an epoch, processes that train together know their own parts of its loss only.
        """
        if current_exchange().n_processes > 1:
            return False
        return time.monotonic() - self._written >= SECONDS_BETWEEN

    def save(self, progress: Progress) -> None:
        """Write how far the run has come; of a finished one, only what comes later needs."""
        if self.path is None:
            return
        trained, kept = self._trained, dict(vars(progress))
        kept["best"] = dict(vars(progress.best))
        if progress.is_finished:
            trained = trained._replace(optimizers=[])
            kept["best"]["state"] = {}
        with replaced(self.path) as file:
            torch.save({"trained": trained.state(), "progress": kept}, file)
        self._written = time.monotonic()


def _read(path: Path | None) -> Any:
    """Return what a file holds, None where there is none."""
    if path is None or not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its readers raise
        raise ValueError(
            f"the checkpoint {path} cannot be read ({type(error).__name__}); remove its "
            "folder to train from the start."
        ) from error


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside the one with this name, then replace it: either is whole at any time."""
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def _parameters(optimizer: Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]

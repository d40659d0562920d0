"""Which checkpoint belongs to a fit."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from sparsectr.kernels.fused import fused_on
from sparsectr.rows.digest import digest_rows, tensor_bytes
from sparsectr.shared_parameters import SharedParameters
from sparsectr.training.checkpoint import Checkpoint
from sparsectr.training.exchange import current_exchange
from sparsectr.training.task import TrainingTask

# Parameters that leave the trained net as it is. What the encoder does shows in the rows.
UNRELATED = {"cache_dir", "checkpoint", "encoder", "n_interactions", "verbose"}


def open_checkpoint(
    estimator: SharedParameters, task: TrainingTask, start: nn.Module | None, member: int
) -> Checkpoint | None:
    """Return the checkpoint of a training, None if the estimator asks for none.

    Parameters
    ----------
    estimator : SharedParameters
        The estimator that is fitted.
    task : TrainingTask
        Its rows, and the seeds.
    start : nn.Module or None
        The net to go on from.
    member : int
        Number of the fit among those whose mean is taken.
    """
    if estimator.checkpoint is None:
        return None
    exchange = current_exchange()
    if exchange.rank > 0:
        return Checkpoint(None, {})
    description = {
        "estimator": type(estimator).__name__,
        "member": str(member),
        "sparsectr": version("sparsectr"),
        "torch": torch.__version__,
        "device": str(task.device),
        "processes": str(exchange.n_processes),
        "fused kernels": str(fused_on()),
        "seeds": str(task.seeds.entropy),
        "vocabulary sizes": str(task.vocabulary_sizes),
        "start": _digest_net(start),
    }
    for part, rows in (("training", task.train), ("validation", task.validation)):
        digests = {} if rows is None else digest_rows(rows)
        description |= {f"{part} {name}": digest for name, digest in digests.items()}
    parameters = estimator.get_params(deep=False)
    description |= {k: repr(v) for k, v in parameters.items() if k not in UNRELATED}
    return Checkpoint(Path(estimator.checkpoint), description)


def _digest_net(net: nn.Module | None) -> str:
    if net is None:
        return "none"
    digest = hashlib.blake2b(digest_size=16)
    for value in net.state_dict().values():
        digest.update(tensor_bytes(value))
    return digest.hexdigest()

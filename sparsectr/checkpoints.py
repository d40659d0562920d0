"""Which checkpoint belongs to a fit."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from sparsectr.kernels.fused import fused_on
from sparsectr.rows.labelled import PIECE_ROWS, LabelledRows
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
        "training rows": _digest_rows(task.train),
        "validation rows": _digest_rows(task.validation),
        "start": _digest_net(start),
    }
    parameters = estimator.get_params(deep=False)
    description |= {k: repr(v) for k, v in parameters.items() if k not in UNRELATED}
    return Checkpoint(Path(estimator.checkpoint), description)


def _digest_rows(rows: LabelledRows | None) -> str:
    if rows is None:
        return "none"
    digest = hashlib.blake2b(digest_size=16)
    for piece in rows.pieces(PIECE_ROWS):
        for part in (piece.codes, piece.targets, piece.weights):
            digest.update(_bytes(part))
    return digest.hexdigest()


def _digest_net(net: nn.Module | None) -> str:
    if net is None:
        return "none"
    digest = hashlib.blake2b(digest_size=16)
    for value in net.state_dict().values():
        digest.update(_bytes(value))
    return digest.hexdigest()


def _bytes(values: Tensor) -> bytes:
    return values.detach().cpu().numpy().tobytes()

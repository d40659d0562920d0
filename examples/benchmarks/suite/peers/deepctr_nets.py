"""The nets of DeepCTR-Torch, as they are: codes in, logits out."""

from threading import Thread
from unittest import mock

import torch
from torch import nn

# On import the package asks the package index for a newer version, in a thread.
with mock.patch.object(Thread, "start"):
    from deepctr_torch import models
    from deepctr_torch.inputs import SparseFeat


def build_fm(columns, hidden_units, dropout, **options):
    """Build DeepFM without its MLP."""
    return models.DeepFM(columns, columns, dnn_hidden_units=(), **options)


def build_afm(columns, hidden_units, dropout, **options):
    """Build AFM, which has no MLP; dropout is that of what the attention returns."""
    return models.AFM(columns, columns, afm_dropout=dropout, **options)


def build_afn(columns, hidden_units, dropout, **options):
    return models.AFN(
        columns, columns, afn_dnn_hidden_units=hidden_units, dnn_dropout=dropout, **options
    )


def build_pnn(columns, hidden_units, dropout, **options):
    """Build PNN with inner products; it has no linear term."""
    return models.PNN(columns, dnn_hidden_units=hidden_units, dnn_dropout=dropout, **options)


def with_mlp(model, **fixed):
    """Return a builder for a model with a linear term and an MLP."""

    def build(columns, hidden_units, dropout, **options):
        return model(
            columns, columns, dnn_hidden_units=hidden_units, dnn_dropout=dropout, **fixed, **options
        )

    return build


ARCHITECTURES = {
    "FM": build_fm,
    "AFM": build_afm,
    "WDL": with_mlp(models.WDL),
    "DeepFM": with_mlp(models.DeepFM),
    "DCN": with_mlp(models.DCN, cross_parameterization="vector"),
    "DCN-V2": with_mlp(models.DCN, cross_parameterization="matrix"),
    "xDeepFM": with_mlp(models.xDeepFM),
    "AutoInt": with_mlp(models.AutoInt),
    "AFN": build_afn,
    "FiBiNET": with_mlp(models.FiBiNET),
    "PNN": build_pnn,
}


class DeepCTRNet(nn.Module):
    """Hand codes over as the table of floats that DeepCTR-Torch wants."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return self.model(codes.to(torch.float32))


def build_net(architecture, vocabulary_sizes, embedding_dim, hidden_units, dropout, seed):
    """Build a net by its name; "regression" leaves out the sigmoid at the end."""
    columns = [
        SparseFeat(f"f{field}", int(size), embedding_dim)
        for field, size in enumerate(vocabulary_sizes)
    ]
    options = {"seed": seed, "task": "regression", "device": "cpu"}
    return DeepCTRNet(ARCHITECTURES[architecture](columns, hidden_units, dropout, **options))

"""Published nets, put together from the layers of FuxiCTR, whose wheel has no models."""

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import (
    CrossNetV2,
    FactorizationMachine,
    FeatureEmbedding,
    MLP_Block,
)
from torch import nn


def describe_fields(vocabulary_sizes) -> FeatureMap:
    """Describe categorical fields as FuxiCTR's layers want it."""
    fields = FeatureMap("codes", "")
    for field, size in enumerate(vocabulary_sizes):
        fields.features[f"f{field}"] = {
            "type": "categorical",
            "source": "",
            "vocab_size": int(size),
            # No code pads a sequence here.
            "padding_idx": None,
        }
    fields.num_fields = len(vocabulary_sizes)
    return fields


def split_columns(codes: torch.Tensor) -> dict[str, torch.Tensor]:
    """Turn codes (B, F) into one column per field."""
    return {f"f{field}": column for field, column in enumerate(codes.long().unbind(dim=1))}


class FM(nn.Module):
    """Second-order factorization machine with a linear term."""

    def __init__(self, fields, embedding_dim, hidden_units, dropout) -> None:
        super().__init__()
        self.embedding = FeatureEmbedding(fields, embedding_dim)
        self.fm = FactorizationMachine(fields)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        columns = split_columns(codes)
        return self.fm(columns, self.embedding(columns))


class DCNV2(nn.Module):
    """Cross layers with full matrices beside an MLP ("parallel"), as in BARS."""

    def __init__(self, fields, embedding_dim, hidden_units, dropout, n_layers=3) -> None:
        super().__init__()
        n_inputs = fields.num_fields * embedding_dim
        self.embedding = FeatureEmbedding(fields, embedding_dim)
        self.crosses = CrossNetV2(n_inputs, n_layers)
        self.mlp = MLP_Block(n_inputs, list(hidden_units), dropout_rates=dropout)
        self.out = nn.Linear(n_inputs + hidden_units[-1], 1)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        inputs = self.embedding(split_columns(codes), flatten_emb=True)
        return self.out(torch.cat([self.crosses(inputs), self.mlp(inputs)], dim=-1))


class TwoStream(nn.Module):
    """Two MLPs fused by a bilinear form, as in FinalMLP, without its feature gates.

    Both streams see all embeddings; the fusion has one head.
    """

    def __init__(self, fields, embedding_dim, hidden_units, dropout) -> None:
        super().__init__()
        n_inputs, n_outputs = fields.num_fields * embedding_dim, hidden_units[-1]
        self.embedding = FeatureEmbedding(fields, embedding_dim)
        self.streams = nn.ModuleList(
            MLP_Block(n_inputs, list(hidden_units), dropout_rates=dropout) for _ in range(2)
        )
        self.linear = nn.ModuleList(nn.Linear(n_outputs, 1) for _ in range(2))
        self.bilinear = nn.Bilinear(n_outputs, n_outputs, 1, bias=False)
        nn.init.xavier_normal_(self.bilinear.weight)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        inputs = self.embedding(split_columns(codes), flatten_emb=True)
        first, second = (stream(inputs) for stream in self.streams)
        return self.linear[0](first) + self.linear[1](second) + self.bilinear(first, second)


ARCHITECTURES = {"FM": FM, "DCN-V2": DCNV2, "two-stream MLP": TwoStream}


def build_net(architecture, vocabulary_sizes, embedding_dim, hidden_units, dropout, seed):
    """Build a net by its name; its random numbers are drawn by the caller's seed."""
    fields = describe_fields(vocabulary_sizes)
    return ARCHITECTURES[architecture](fields, embedding_dim, hidden_units, dropout)

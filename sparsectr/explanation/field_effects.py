"""What every field of a net does by itself, and in its crosses."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from sparsectr.explanation.fields import Fields
from sparsectr.nn.effects import distinct_codes
from sparsectr.training.packing import count_values, pack_combinations
from sparsectr.training.prediction import logits_of
from sparsectr.training.strengths import (
    EffectNet,
    affordable_rows,
    effects_of,
    strengths_of,
    value_effects,
)

FIELD_MEASURES = ["total", "main", "crosses"]
# Rows times fields whose logits are computed, codes of them, and the fewest rows.
PASSES = 100_000
CELLS = 5_000_000
FEWEST_ROWS = 200


def measure_fields(net: nn.Module, codes: Tensor, fields: Fields, unit: float) -> dict[str, Any]:
    """Measure the fields of a net on training rows.

    With F the logits of a row, a field contributes F(all fields) - F(all others). That is the
    effect of the field by itself, F(field) - F(none), and of all its crosses, listed or not,
    together.

    Parameters
    ----------
    net : nn.Module
        The trained net.
    codes : Tensor of shape (n, C)
        Rows in random order; as many are used as is affordable.
    fields : Fields
        Of the rows.
    unit : float
        What a logit of 1 is in the units of strengths.

    Returns
    -------
    dict
        "field_strengths": by name, standard deviations over rows, each of shape (F,): of the whole
        ("total"), of the field by itself ("main") and of its crosses ("crosses"); "field_values"
        and "field_effects": the most frequent values of every field, and what they do.
    """
    n_fields = len(fields.columns)
    singles = [(field,) for field in range(n_fields)]
    codes = codes[: affordable_rows(cast(EffectNet, net), singles)]
    some = codes[: max(FEWEST_ROWS, min(PASSES // n_fields, CELLS // codes.shape[1] ** 2))]
    logits = logits_of(net, some)
    n_most = count_values(n_fields, sum(weight.numel() for weight in net.parameters()))
    spreads: list[tuple[Tensor, ...]] = []
    values = []
    for field, own in enumerate(fields.columns):
        effects = effects_of_field(net, codes, field, fields)
        single = fields.take_apart(codes, own[:1])
        if single is None:
            values.append(value_effects(codes[:, own[:1]], effects, n_most))
        else:
            of_values = effects_of_field(net, single, field, fields)
            values.append(value_effects(single[:, own[:1]], of_values, n_most))
        without = some.clone()
        without[:, list(own)] = 0
        total = (logits - logits_of(net, without))[None]
        crosses = total - effects[None, : len(some)]
        spreads.append(tuple(map(strengths_of, (total, effects[None], crosses))))
    found = [unit * torch.cat(parts).cpu().numpy() for parts in zip(*spreads, strict=True)]
    return {
        "field_strengths": dict(zip(FIELD_MEASURES, found, strict=True)),
        "field_values": pack_combinations(
            [part.codes.cpu().numpy() for part in values],
            [part.counts.cpu().numpy() for part in values],
        ),
        "field_effects": torch.cat([part.effects for part in values]).float().cpu().numpy(),
    }


def effects_of_field(net: nn.Module, codes: Tensor, field: int, fields: Fields) -> Tensor:
    """Return what a field does by itself to the logits of rows, (n, K); once for each value."""
    own = list(fields.columns[field])
    distinct, rows = distinct_codes(codes[:, own])
    known = codes.new_zeros(len(distinct), codes.shape[1])
    known[:, own] = distinct
    return effects_of(cast(EffectNet, net), known, [(field,)], fields.columns)[0][rows]

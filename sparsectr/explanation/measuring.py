"""What is measured of the crosses of a net, on a sample of training rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from sparsectr.explanation.fields import Fields
from sparsectr.interactions.evidence import CrossEvidence
from sparsectr.interactions.interaction import Interaction
from sparsectr.rows.labelled import Batch
from sparsectr.training.evidence import choose_columns, gather_evidence
from sparsectr.training.packing import count_remembered, pack_combinations
from sparsectr.training.sharing import find_shared
from sparsectr.training.strengths import (
    ROUNDING,
    EffectNet,
    ValueEffects,
    affordable_rows,
    effects_of,
    measure_strengths,
    value_effects,
)

MEASURES = ["strength", "active_share", "strength_error"]


class CrossMeter:
    """Measure crosses on training rows.

    Parameters
    ----------
    fields : Fields
        Of the rows.
    unit : float
        What a logit of 1 is in the units of strengths.
    n_most : int
        Largest number of crosses to list.
    """

    def __init__(self, fields: Fields, unit: float, n_most: int) -> None:
        self.fields = fields
        self.unit = unit
        self.n_most = n_most

    def measure(
        self,
        net: nn.Module,
        codes: Tensor,
        listed: Sequence[tuple[int, ...]],
        generator: torch.Generator,
        *,
        brief: bool = False,
    ) -> dict[str, Any]:
        """Measure the strongest crosses, ties in field order.

        A cross whose effect is the same on all rows, but for rounding, does nothing: it is not
        listed.

        Parameters
        ----------
        net : nn.Module
            The trained net.
        codes : Tensor of shape (n, C)
            Rows in random order; as many are used as is affordable.
        listed : sequence of tuples of int
            The crosses that are worth measuring, as field numbers.
        generator : torch.Generator
            Source of the bootstrap samples.
        brief : bool, default=False
            Whether to return the crosses alone, in less time.

        Returns
        -------
        dict
            What is to be known about them, by name: "crosses" as they are listed, and in the same
            order their measures, and the combinations of their values; "idle" are the names of
            crosses that do nothing; "shares_with" are the places of the crosses that share the
            effect of a listed one; "evidence" has no tests yet.
        """
        nothing: dict[str, Any] = {key: [] for key in ("crosses", "idle", "shares_with")}
        nothing |= {key: [] for key in MEASURES[1:]} | {"evidence": CrossEvidence([], [], [])}
        if not listed:
            return nothing
        known, columns = cast(EffectNet, net), self.fields.columns
        codes = codes[: affordable_rows(known, listed)]
        effects = effects_of(known, codes, listed, columns)
        found = measure_strengths(effects, generator)
        strengths = found.strengths.tolist()
        named = [self.fields.named(cross) for cross in listed]
        at_work = [place for place, strength in enumerate(strengths) if strength > ROUNDING]
        idle = [named[place] for place in sorted(set(range(len(listed))) - set(at_work))]
        at_work.sort(key=lambda place: (-strengths[place], listed[place]))
        kept = at_work[: self.n_most]
        if not kept:
            return nothing | {"idle": idle}
        crosses = [Interaction(named[p], len(listed[p]), self.unit * strengths[p]) for p in kept]
        if brief:
            return nothing | {"crosses": crosses}
        numbers = count_remembered(len(kept), sum(weight.numel() for weight in net.parameters()))
        mains = [[columns[field][0] for field in listed[place]] for place in kept]
        values = [
            self._measure_values(known, codes, listed[place], effects[place], n_most)
            for place, n_most in zip(kept, numbers, strict=True)
        ]
        return {
            "crosses": crosses,
            "idle": idle,
            "shares_with": find_shared(effects[kept], codes, mains),
            "evidence": nothing["evidence"],
            "active_share": found.active_shares[kept].cpu().numpy(),
            "strength_error": self.unit * found.errors[kept].cpu().numpy(),
            "values": pack_combinations(
                [part.codes.cpu().numpy() for part in values],
                [part.counts.cpu().numpy() for part in values],
            ),
            "effects": torch.cat([part.effects for part in values]).float().cpu().numpy(),
        }

    def _measure_values(
        self, net: EffectNet, codes: Tensor, cross: tuple[int, ...], effects: Tensor, n_most: int
    ) -> ValueEffects:
        """Return the most frequent combinations of values of a cross; cells are taken apart."""
        columns = self.fields.columns
        own = [columns[field][0] for field in cross]
        single = self.fields.take_apart(codes, own)
        if single is not None:
            codes, effects = single, effects_of(net, single, [cross], columns)[0]
        return value_effects(codes[:, own], effects, n_most)


def find_evidence(rows: Batch, listed: Iterable[Interaction], fields: Fields) -> CrossEvidence:
    """Test sets of fields for what they hold beyond smaller ones, whatever the net made of them.

    Parameters
    ----------
    rows : Batch
        Training rows in random order.
    listed : iterable of Interaction
        Crosses that are tested in any case.
    fields : Fields
        Of the rows.
    """
    columns = choose_columns(fields.columns, fields.encoder.vocabulary_sizes_.tolist())
    crosses = [fields.places(cross.fields) for cross in listed]
    found = gather_evidence(rows, columns, crosses)
    # Without empty arrays, whose strides a file does not keep: equal fits hash alike.
    found = [tests for tests in found if len(tests.sets)]
    return CrossEvidence(
        [tests.sets.int().numpy() for tests in found],
        [tests.deviates.numpy() for tests in found],
        [tests.n_sets for tests in found],
    )

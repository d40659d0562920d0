"""What a fitted estimator tells about its fields and crosses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from sparsectr.encoding.columns import iterate_columns
from sparsectr.explanation.field_effects import FIELD_MEASURES
from sparsectr.explanation.fields import FieldNames, Fields
from sparsectr.explanation.measuring import MEASURES
from sparsectr.explanation.rows import list_all, rank, tabulate_entries
from sparsectr.interactions.interaction import Interaction
from sparsectr.parameters import check_real, describe
from sparsectr.targets.target import Target
from sparsectr.training.packing import unpack_combinations
from sparsectr.training.prediction import predict_logits
from sparsectr.training.strengths import EffectNet, effects_of


class Explanation:
    """Tell what is measured of a fit, and what its net does with the values of rows.

    `sparsectr.reports.InteractionReports` has the public methods, and says what they return.

    Parameters
    ----------
    fields : Fields
        Of the tables.
    measures : dict
        From `sparsectr.explanation.measuring.CrossMeter.measure`, and what a method adds.
    target : Target
        What is predicted.
    net : callable
        Returns the fitted net. Called only where a net is needed: building one takes time.

    Attributes
    ----------
    crosses : list of Interaction
        The listed crosses, the strongest first.
    """

    def __init__(
        self,
        fields: Fields,
        measures: dict[str, Any],
        target: Target,
        net: Callable[[], nn.Module],
    ) -> None:
        self.fields = fields
        self.measures = measures
        self.target = target
        self.net = net
        self.crosses: list[Interaction] = measures["crosses"]

    # Crosses ----------------------------------------------------------------------------

    def tabulate_crosses(
        self,
        fdr: float,
        crosses: pd.DataFrame | None = None,
        *,
        inactive: Collection[FieldNames] = (),
    ) -> pd.DataFrame:
        """Put the measures of the listed crosses beside what a method knows about all its crosses.

        Parameters
        ----------
        fdr : float
            Rate of false discoveries.
        crosses : DataFrame, optional
            A column "fields", and further columns.
        inactive : set of tuples of str, optional
            Fields of crosses that are known to do nothing.
        """
        table = pd.DataFrame(self.crosses, columns=list(Interaction._fields))
        for name in MEASURES[1:]:
            table[name] = self.measures[name]
        if crosses is not None:
            own = crosses.columns.drop("fields")
            known = dict.fromkeys([*crosses["fields"], *table["fields"]])
            every = pd.DataFrame({"fields": list(known)})
            table = every.merge(crosses, on="fields", how="left").merge(
                table, on="fields", how="left"
            )
            table = table[[*Interaction._fields, *MEASURES[1:], *own]]
        table["order"] = [len(fields) for fields in table["fields"]]
        table = table.astype(dict.fromkeys(MEASURES, np.float64) | {"order": np.int64})
        table.loc[table["fields"].isin({*self.measures["idle"], *inactive}), MEASURES] = 0.0
        self._add_evidence(table, fdr)
        return self._in_scores(
            table.sort_values("strength", ascending=False, kind="stable", ignore_index=True)
        )

    def tabulate_missed(self, fdr: float) -> pd.DataFrame:
        """Return the significant crosses that are not listed, the surest first."""
        listed = {cross.fields for cross in self.crosses}
        missed = [fields for fields in self._significant(fdr) if fields not in listed]
        return pd.DataFrame(
            {
                "fields": missed,
                "order": np.array([len(fields) for fields in missed], dtype=np.int64),
                "evidence": self._evidence_of(missed),
            }
        )

    def _add_evidence(self, table: pd.DataFrame, fdr: float) -> None:
        """Put what the tests say, and which crosses share an effect, into a table of crosses."""
        significant = set(self._significant(fdr))
        shares_with = {
            cross.fields: tuple(self.crosses[place].fields for place in places)
            for cross, places in zip(self.crosses, self.measures["shares_with"], strict=True)
        }
        behind = list(table.columns).index("strength") + 1
        table.insert(behind, "evidence", self._evidence_of(table["fields"]))
        table.insert(behind + 1, "significant", table["fields"].isin(significant).to_numpy())
        behind = list(table.columns).index("strength_error") + 1
        table.insert(behind, "shares_with", [shares_with.get(f, ()) for f in table["fields"]])

    def _significant(self, fdr: float) -> list[FieldNames]:
        """Return the fields of the sets that stand out, the surest first."""
        check_real("fdr", fdr, 0, 1, open_low=True, open_high=True)
        return [self.fields.named(some) for some in self.measures["evidence"].significant(fdr)]

    def _evidence_of(self, crosses: Iterable[FieldNames]) -> npt.NDArray[np.float64]:
        """Return the evidence of crosses, shape (P,); NaN for one that was not tested."""
        places = [self.fields.places(fields) for fields in crosses]
        found: npt.NDArray[np.float64] = self.measures["evidence"].of(places)
        return found

    # Fields and values ------------------------------------------------------------------

    def field_strengths(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the measures of the fields by name, each of shape (F,).

        They are NaN where an older version has stored the estimator.
        """
        unknown = np.full(len(self.fields.names), np.nan)
        found: dict[str, npt.NDArray[np.float64]] = self.measures.get(
            "field_strengths", dict.fromkeys(FIELD_MEASURES, unknown)
        )
        return found

    def tabulate_fields(self) -> pd.DataFrame:
        """Return what every field does, the strongest first."""
        names = self.fields.names
        crosses = {name: [c.fields for c in self.crosses if name in c.fields] for name in names}
        mains = self.fields.main_columns(names)
        table = pd.DataFrame({"field": names, **self.field_strengths()})
        n_values = [self.fields.n_values(column) for column in mains]
        table["n_values"] = np.array(n_values, dtype=np.int64)
        table["strongest_cross"] = [crosses[name][0] if crosses[name] else () for name in names]
        return self._in_scores(
            table.sort_values("total", ascending=False, kind="stable", ignore_index=True)
        )

    def tabulate_values(self, fields: Sequence[str], class_label: Any) -> pd.DataFrame:
        """Return what the values of a field, or of a listed cross, add to the score."""
        self.fields.check(fields, fewest=1)
        if len(fields) == 1:
            if "field_values" not in self.measures:
                raise ValueError(
                    "an older version of sparsectr stored this estimator, without the effects of "
                    "single fields; fit it again."
                )
            known, place = tuple(fields), self.fields.places(fields)[0]
            packed, every = self.measures["field_values"], self.measures["field_effects"]
        else:
            place = self.find_cross(fields)
            known = self.crosses[place].fields
            packed, every = self.measures["values"], self.measures["effects"]
        codes, counts, rows = unpack_combinations(packed, place)
        effects = every[rows].astype(np.float64)
        effect = self.target.to_scores(effects[None], self.target.choose_output(class_label))[0]
        codes = codes[:, [known.index(field) for field in fields]]
        return self._in_scores(self.fields.tabulate(fields, codes, count=counts, effect=effect))

    def find_cross(self, fields: Sequence[str]) -> int:
        """Return the place of a cross among the listed ones.

        Raises
        ------
        ValueError
            If it is not among them.
        """
        self.fields.check(fields)
        known = [set(cross.fields) for cross in self.crosses]
        if set(fields) not in known:
            raise ValueError(
                f"fields must name a cross of selected_interactions_, got {describe(fields)}; "
                "raise n_interactions to list more crosses."
            )
        return known.index(set(fields))

    # Rows -------------------------------------------------------------------------------

    def tabulate_rows(
        self, table: Any, codes: Tensor, top: int | None, class_label: Any, *, complete: bool
    ) -> pd.DataFrame:
        """Return what moved the score of every row most.

        Parameters
        ----------
        table : DataFrame or array-like of shape (n, n_fields)
            The rows, checked.
        codes : Tensor of shape (n, C)
            Their codes.
        top : int or None
            Most crosses per row; None for all of them.
        class_label : object or None
            The class whose score is meant.
        complete : bool
            Whether to add single fields and the rest.
        """
        net, names = self.net(), self.fields.names
        logits = predict_logits(net, codes)
        outputs = self.target.choose_outputs(logits, class_label)
        crosses = [self.fields.places(cross.fields) for cross in self.crosses]
        singles = [(field,) for field in range(len(names))] if complete else []
        effects = np.zeros((0, len(codes)))
        if sets := singles + crosses:
            of_logits = effects_of(cast(EffectNet, net), codes, sets, self.fields.columns)
            effects = self.target.to_scores(of_logits.double().cpu().numpy(), outputs)
        mains, contributions = effects[: len(singles)], effects[len(singles) :]
        columns = [pd.Series(cells).tolist() for cells in iterate_columns(table)]
        found = rank(contributions, len(crosses) if top is None else top, self.target.unit)
        named = [cross.fields for cross in self.crosses]
        parts = [tabulate_entries(found, crosses, columns, named)]
        if complete:
            named = [self.fields.named(single) for single in singles]
            parts.append(tabulate_entries(list_all(mains), singles, columns, named))
            rest = self.target.to_scores(logits[None], outputs)[0] + self.target.offset
            rest -= mains.sum(0)
            np.subtract.at(rest, found.rows, found.values)
            parts.append(tabulate_entries(list_all(rest[None]), [()], columns, [()]))
        entries = pd.concat(parts).sort_values("row", kind="stable", ignore_index=True)
        entries.attrs.update(self._start(net, codes, outputs))
        return self._in_scores(entries)

    def _start(
        self, net: nn.Module, codes: Tensor, outputs: npt.NDArray[np.int64]
    ) -> dict[str, Any]:
        """Return what pictures of rows begin with: the score of a row of which nothing is known.

        Where it is not the same for all rows, because each explains another class, nothing. Of two
        classes also which of them has the probability that log-odds stand for.
        """
        if len(outputs) != 1:
            return {}
        logits = predict_logits(net, torch.zeros_like(codes[:1]))
        start = self.target.to_scores(logits[None], outputs)[0, 0] + self.target.offset
        found: dict[str, Any] = {"start": float(start)}
        if (label := self.target.name_probability(int(outputs[0]))) is not None:
            found["probability_of"] = label
        return found

    def _in_scores(self, table: pd.DataFrame) -> pd.DataFrame:
        """Note in a table what its effects are in, for those who read or draw it."""
        table.attrs["score"] = self.target.score
        return table

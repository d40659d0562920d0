"""What a fitted classifier tells of the evidence for crosses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sparsectr.drafts import on_one_fit
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.interactions.evidence import CrossEvidence
from sparsectr.interactions.interaction import Interaction
from sparsectr.nn.effects import Columns
from sparsectr.parameters import check_real
from sparsectr.persistence import NetStorageMixin
from sparsectr.rows.labelled import Batch
from sparsectr.training.evidence import choose_columns, gather_evidence

FieldNames = tuple[str, ...]


class EvidenceMixin(NetStorageMixin):
    """Test sets of fields on the training rows, and report what the tests say."""

    encoder_: FieldEncoder

    def _measured(self, what: str, attribute: str = "") -> Any:
        """Return something of what is measured; see `ExplanationMixin`."""
        raise NotImplementedError

    def _field_names(self) -> list[str]:
        """Return the names of the fields in column order."""
        return self.encoder_._field_names()

    def _field_columns(self) -> Columns:
        """Return the columns of codes of every field."""
        owners = self.encoder_.code_fields_
        return [
            tuple(np.flatnonzero(owners == field).tolist())
            for field in range(self.encoder_.n_features_in_)
        ]

    def _test_crosses(self, rows: Batch, listed: Iterable[Interaction]) -> CrossEvidence:
        """Test sets of fields.

        Parameters
        ----------
        rows : Batch
            Training rows in random order.
        listed : iterable of Interaction
            Crosses that are tested in any case.
        """
        columns = choose_columns(self._field_columns(), self.encoder_.vocabulary_sizes_.tolist())
        crosses = [self._places(cross.fields) for cross in listed]
        found = gather_evidence(rows, columns, crosses)
        # Without empty arrays, whose strides a file does not keep: equal fits hash alike.
        found = [tests for tests in found if len(tests.sets)]
        return CrossEvidence(
            [tests.sets.int().numpy() for tests in found],
            [tests.deviates.numpy() for tests in found],
            [tests.n_sets for tests in found],
        )

    def _places(self, fields: Iterable[str]) -> tuple[int, ...]:
        """Return the numbers of some fields."""
        names = self._field_names()
        return tuple(names.index(name) for name in fields)

    def _significant(self, fdr: float) -> list[FieldNames]:
        """Return the fields of the sets that stand out, the surest first."""
        check_real("fdr", fdr, 0, 1, open_low=True, open_high=True)
        names, evidence = self._field_names(), self._measured("evidence")
        return [tuple(names[f] for f in fields) for fields in evidence.significant(fdr)]

    def _evidence_of(self, crosses: Iterable[FieldNames]) -> npt.NDArray[np.float64]:
        """Return the evidence of crosses, shape (P,); NaN for one that was not tested."""
        places = [self._places(fields) for fields in crosses]
        found: npt.NDArray[np.float64] = self._measured("evidence").of(places)
        return found

    def _add_evidence(self, table: pd.DataFrame, fdr: float) -> None:
        """Put what the tests say, and which crosses share an effect, into a table of crosses."""
        significant, crosses = set(self._significant(fdr)), self._measured("crosses")
        shares_with = {
            cross.fields: tuple(crosses[place].fields for place in places)
            for cross, places in zip(crosses, self._measured("shares_with"), strict=True)
        }
        behind = list(table.columns).index("strength") + 1
        table.insert(behind, "evidence", self._evidence_of(table["fields"]))
        table.insert(behind + 1, "significant", table["fields"].isin(significant).to_numpy())
        behind = list(table.columns).index("strength_error") + 1
        table.insert(behind, "shares_with", [shares_with.get(f, ()) for f in table["fields"]])

    @on_one_fit
    def missed_interactions(self, *, fdr: float = 0.05) -> pd.DataFrame:
        """Return the crosses that stand out in the training rows, and that the net does not list.

        The net has not learnt them, or it lists a cross that says the same: of a copy of a field,
        for instance. A larger ``n_interactions`` may list them.

        Parameters
        ----------
        fdr : float, default=0.05
            Expected share of false ones among all significant crosses of an order, at most.

        Returns
        -------
        DataFrame
            One row per cross, the surest first: fields (tuple of names), order, evidence; see
            `interaction_table`. Empty after `partial_fit`.

        Raises
        ------
        ValueError
            If ``fdr`` is not between 0 and 1.
        """
        check_is_fitted(self)
        listed = {cross.fields for cross in self._measured("crosses")}
        missed = [fields for fields in self._significant(fdr) if fields not in listed]
        return pd.DataFrame(
            {
                "fields": missed,
                "order": np.array([len(fields) for fields in missed], dtype=np.int64),
                "evidence": self._evidence_of(missed),
            }
        )

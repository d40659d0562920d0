"""What the gates of a fitted OptFeature net do: tables of crosses, of values, of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from sparsectr.base import BaseInteractionClassifier
from sparsectr.encoding.columns import as_table
from sparsectr.interactions.interaction import Interaction
from sparsectr.nn.ablation import closing_strengths, first_order_strengths
from sparsectr.nn.optfeature_net import OptFeatureNet
from sparsectr.parameters import check_integer

# Rows on which the listed crosses are measured, and rows per pass.
MEASURED_ROWS = 10_000
ROWS_AT_ONCE = 4096
# Value combinations of a cross that are remembered, of open and of closed gates each.
MOST_COMBINATIONS = 100


class GateReportsMixin(BaseInteractionClassifier):
    """Report the gates of `OptFeatureClassifier`."""

    keep_rate_: np.ndarray[Any, Any]
    alpha_: np.ndarray[Any, Any]

    def interaction_table(self) -> pd.DataFrame:
        """Describe every cross, selected or not.

        Returns
        -------
        DataFrame
            One row per cross, strongest first: fields (tuple of names); order; strength in log-odds
            (0 for a cross that is never open, NaN for one that is open but not among the
            ``n_interactions`` measured ones); keep_rate (share of training rows with an open
            gate); granularity ("field" or "value", as chosen); alpha.
        """
        check_is_fitted(self)
        net = self._optfeature_net()
        strengths = {cross.fields: cross.strength for cross in self.selected_interactions_}
        crosses = self._crosses(net)
        never = {c: 0.0 for c, rate in zip(crosses, self.keep_rate_, strict=True) if rate == 0}
        table = pd.DataFrame(
            {
                "fields": crosses,
                "order": [len(fields) for fields in crosses],
                "strength": [{**never, **strengths}.get(fields, np.nan) for fields in crosses],
                "keep_rate": self.keep_rate_,
                "granularity": np.where(net.follows_fields().cpu(), "field", "value"),
                "alpha": self.alpha_,
            }
        )
        return table.sort_values("strength", ascending=False, kind="stable", ignore_index=True)

    def selected_values(self, fields: Sequence[str], top: int = 20) -> pd.DataFrame:
        """Show for which values the gate of a cross is open, and for which it is closed.

        Parameters
        ----------
        fields : sequence of str
            Names of the fields of a cross in ``selected_interactions_``.
        top : int, default=20
            Most combinations of values with an open gate, and with a closed one; at most 100.

        Returns
        -------
        DataFrame
            One column per field with the value's name (missing values as None); count, the
            rows with this combination among (up to 100,000) training rows; open; score, the raw
            score of the gate: open if > 0. Open gates first, most frequent combinations first.

        Raises
        ------
        ValueError
            If the cross is not among ``selected_interactions_``.
        """
        check_is_fitted(self)
        check_integer("top", top, 1, MOST_COMBINATIONS)
        net = self._optfeature_net()
        names = self._field_names()
        listed = {frozenset(fields): fields for fields in self.value_counts_}
        if frozenset(fields) not in listed:
            raise ValueError(
                "fields must name a cross of selected_interactions_, "
                f"got {tuple(fields)!r}. Raise n_interactions to list more crosses."
            )
        known = listed[frozenset(fields)]
        places = [names.index(name) for name in known]
        codes, counts = self.value_counts_[known]
        full = np.zeros((len(codes), len(names)), dtype=np.int32)
        full[:, places] = codes
        table = pd.DataFrame(self.encoder_.inverse_transform(full)[:, places], columns=list(known))
        position = self._crosses(net).index(known)
        rows = torch.from_numpy(full).to(net.kept.device)
        with torch.inference_mode():
            scores = net.chosen_scores(net.look_up(rows)[1])[:, position].cpu().numpy()
        table = table.assign(count=counts, open=scores > 0, score=scores)
        table = table.sort_values(["open", "count"], ascending=False, kind="stable")
        return table.groupby("open", sort=False).head(top).reset_index(drop=True)

    def gate(self, X: Any) -> pd.DataFrame:
        """Say for every row and every cross whether the gate is open.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            The columns of `fit`, in the same order.

        Returns
        -------
        DataFrame of bool, shape (n_rows, n_crosses)
            The columns are named by the tuples of the crossed fields.
        """
        check_is_fitted(self)
        table = as_table(X)
        validate_data(self, table, reset=False, skip_check_array=True)
        net = self._optfeature_net()
        columns = pd.Index(self._crosses(net), tupleize_cols=False)
        gates = _open_gates(net, self._encode(table)).cpu().numpy()
        return pd.DataFrame(gates, columns=columns)

    def _optfeature_net(self) -> OptFeatureNet:
        return cast(OptFeatureNet, self._fitted_net())

    def _crosses(self, net: OptFeatureNet) -> list[tuple[str, ...]]:
        """Return the names of the fields of all crosses, in the order of the gates."""
        names = self._field_names()
        return [cross for order in net.config.orders for cross in combinations(names, order)]

    def _list_interactions(self, net: OptFeatureNet, codes: Tensor) -> Iterable[Interaction]:
        gates = _open_gates(net, codes)
        self.keep_rate_ = gates.double().mean(0).cpu().numpy()
        self.alpha_ = net.alphas().cpu().numpy()
        self.value_counts_: dict[tuple[str, ...], tuple[Any, Any]] = {}
        names = self._field_names()
        positions = [
            c for order in net.config.orders for c in combinations(range(len(names)), order)
        ]
        for position, strength in _measure(net, codes[:MEASURED_ROWS], self.n_interactions):
            cross = positions[position]
            fields = tuple(names[field] for field in cross)
            self.value_counts_[fields] = _count_values(codes[:, list(cross)], gates[:, position])
            yield Interaction(fields, len(fields), strength)


@torch.inference_mode()
def _open_gates(net: OptFeatureNet, codes: Tensor) -> Tensor:
    """Return the gates of all crosses for codes (n, F), bool, (n, P)."""
    parts = [net.chosen_gates(net.look_up(rows)[1]) for rows in codes.split(ROWS_AT_ONCE)]
    return torch.cat(parts)


def _measure(net: OptFeatureNet, codes: Tensor, n_crosses: int) -> Iterator[tuple[int, float]]:
    """Yield position and strength of the crosses that matter most at first order."""
    net.eval()
    with torch.no_grad():
        inputs = torch.cat([net.inputs_of(rows) for rows in codes.split(ROWS_AT_ONCE)])
    first_cross = inputs.shape[1] - len(net.kept)
    screened = first_order_strengths(net.mlp, inputs)[first_cross:]
    best = screened.topk(min(n_crosses, len(screened))).indices.sort().values
    strengths = closing_strengths(net.mlp, inputs, first_cross + best)
    yield from zip(net.kept[best].tolist(), strengths.tolist(), strict=True)


def _count_values(
    codes: Tensor, gates: Tensor
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the most frequent combinations of open and of closed gates, and their counts."""
    parts = []
    for rows in (codes[gates], codes[~gates]):
        combinations_, counts = rows.unique(dim=0, return_counts=True)
        order = counts.argsort(descending=True, stable=True)[:MOST_COMBINATIONS]
        parts.append((combinations_[order], counts[order]))
    (some, n_some), (others, n_others) = parts
    return torch.cat([some, others]).cpu().numpy(), torch.cat([n_some, n_others]).cpu().numpy()

"""What the optimizers of embedding tables share."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sparsectr.kernels.rows import split_gradient
from sparsectr.training.optimizers.per_parameter import PerParameterOptimizer


class RowOptimizer(PerParameterOptimizer):
    """Update those rows of tables that the batch has touched.

    Tables whose gradients share their row numbers take their steps together: equal rows are found
    once. A subclass says in `_make_table` what a step needs to know of a table, and in
    `_update_tables` what it does.
    """

    def _update_group(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        lookups: dict[tuple[int, int], Tensor] = {}
        tables: dict[tuple[int, int], list[Any]] = {}
        for parameter in parameters:
            rows, values = split_gradient(parameter.grad)  # type: ignore[arg-type]
            weights = parameter
            if group["columns"] is not None:
                columns = slice(*group["columns"])
                weights, values = weights[:, columns], values[:, columns]
            key = rows.data_ptr(), rows.shape[0]
            lookups[key] = rows  # kept until all are updated, or another would get its memory
            table = self._make_table(weights, values, parameter)
            tables.setdefault(key, []).append(table)
        for key, rows in lookups.items():
            self._update_tables(tables[key], rows, group)

    def _make_table(self, weights: Tensor, values: Tensor, parameter: Tensor) -> Any:
        """Return a table, its gradients, and its state, which is made the first time."""
        raise NotImplementedError

    def _update_tables(self, tables: list[Any], rows: Tensor, group: dict[str, Any]) -> None:
        """Take one step on tables that look the same rows up."""
        raise NotImplementedError

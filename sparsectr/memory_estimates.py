"""How much memory a fit takes, before anything is allocated for it."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from sparsectr.drafts import sibling
from sparsectr.early_stopping import stops_early
from sparsectr.encoding.arrow_source import is_source
from sparsectr.encoding.code_table import CodeTable
from sparsectr.encoding.code_writer import learn_source
from sparsectr.encoding.columns import TableLike
from sparsectr.encoding.given import is_kept, learn_training_rows, own_encoder
from sparsectr.persistence import find_device
from sparsectr.shared_parameters import SharedParameters
from sparsectr.tables import TableReader
from sparsectr.targets.target import Weights
from sparsectr.training.memory import available_on, require_memory
from sparsectr.training.needs import (
    BYTES,
    MEASURED_ROWS,
    MEASURING_BYTES,
    ROW_BYTES,
    VALUE_BYTES,
    MemoryEstimate,
    PhaseNumbers,
    estimate_training,
)
from sparsectr.training.optimizers import state_numbers
from sparsectr.training.task import TrainingTask

# Strings of a vocabulary that are measured.
MEASURED_STRINGS = 1000


class MemoryEstimateMixin(TableReader, SharedParameters):
    """Tell how much memory a fit will take."""

    def _phase_numbers(self, n_outputs: int, n_rows: int, sizes: list[int]) -> list[PhaseNumbers]:
        """Return what the phases of the training hold per value, the last one last.

        Here that is one table, and the state of its optimizer. A method with another table, or with
        more phases, overrides this.

        Parameters
        ----------
        n_outputs : int
            Number K of logits.
        n_rows : int
            Number of training rows.
        sizes : list of int
            Number of codes of every field.
        """
        state = state_numbers(getattr(self, "optimizer", "adam"), self.embedding_dim)
        return [PhaseNumbers(self.embedding_dim, state)]

    def _require_memory(self, task: TrainingTask, *, is_made: bool) -> None:
        """Refuse to train what takes more memory than there is; see `require_memory`."""
        sizes = list(task.vocabulary_sizes)
        require_memory(
            self._phase_numbers(task.n_outputs, len(task.train), sizes),
            sum(sizes),
            len(task.train),
            task.device,
            keeps_best=task.schedule.patience is not None,
            is_made=is_made,
        )

    def estimate_memory(
        self, X: TableLike, y: ArrayLike | None = None, sample_weight: Weights = None
    ) -> MemoryEstimate:
        """Estimate how much memory `fit` takes beyond its rows, without fitting.

        The values of all fields are counted, which takes one pass over the rows; nothing is
        written, and no table is made. Those of a `CodeTable` and of a frozen encoder are known.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            What will be passed to `fit`, streams excepted: they can be read only once.
        y : array-like of shape (n_rows,), or str, optional
            As in `fit`. Without targets two classes are expected.
        sample_weight : array-like of shape (n_rows,) or str, optional
            As in `fit`; only names matter, which are no fields.

        Returns
        -------
        MemoryEstimate
            Bytes of table, optimizer, codes and peak, beside what this process can get.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data do not fit; the message says what must hold.
        """
        draft = sibling(self, dict(vars(self)))  # what is learnt here is no fit
        draft._check_parameters()
        return draft._estimate(X, y, sample_weight)

    def _estimate(self, X: TableLike, y: Any, sample_weight: Any) -> MemoryEstimate:
        own, is_mapped = own_encoder(self.encoder), True
        if isinstance(X, CodeTable):
            own, n_rows, y = X.encoder, len(X), X.y if y is None else y
        elif is_source(X):
            learns = not is_kept(self.encoder)
            n_rows, y = learn_source(own, X, y, sample_weight, fit=learns)
        else:
            is_mapped, table = False, self._check_table(X, reset=True)
            n_rows = table.shape[0]
            own = learn_training_rows(self.encoder, table)
        n_outputs = 1
        if y is not None:
            n_outputs = self._settle_target(y, None, len(y), going_on=False)[0].n_outputs  # type: ignore[attr-defined]
        sizes = own.vocabulary_sizes_.tolist()
        phases = self._phase_numbers(n_outputs, n_rows, sizes)
        keeps_best = stops_early(self, n_rows, None)
        table_bytes, state, copies = estimate_training(
            phases, sum(sizes), keeps_best=keeps_best, n_members=self.n_members
        )
        codes = 0 if is_mapped else BYTES * n_rows * len(sizes)
        vocabularies = sum(map(_bytes_of, own.vocabularies_))
        rows = ROW_BYTES * n_rows
        known = table_bytes + state + copies + vocabularies + codes + rows
        measured = min(n_rows, MEASURED_ROWS) if self.n_interactions else 0
        beside = VALUE_BYTES * sum(sizes) + MEASURING_BYTES * measured
        return MemoryEstimate(
            n_rows=n_rows,
            n_values=sum(sizes),
            table=table_bytes,
            optimizer=state,
            copies=copies,
            vocabularies=vocabularies,
            codes=codes,
            rows=rows,
            peak=max(known + beside, 2 * codes + vocabularies),
            available=available_on(torch.device(find_device(self.device))),
        )


def _bytes_of(values: NDArray[Any] | None) -> int:
    """Return the bytes of distinct values, (m,), objects as those of a sample."""
    if values is None or not len(values):
        return 0
    if values.dtype != object:
        return values.nbytes
    some = values[:: -(-len(values) // MEASURED_STRINGS)]
    return int(values.nbytes + len(values) * np.mean([sys.getsizeof(value) for value in some]))

"""How surely the data hold crosses."""

from collections.abc import Iterable, Sequence
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, norm

from sparsectr.parameters import describe

Cross = tuple[int, ...]


class CrossEvidence:
    """Keep the tests of sets of fields, so that any rate of false discoveries can be asked for.

    Parameters
    ----------
    sets : sequence of ndarray of int32, shape (M, o)
        For each order, the fields of the sets that were tested.
    deviates : sequence of ndarray of float64, shape (M,)
        For each order, the evidence of these sets: the normal deviate that is as unlikely without
        an effect.
    n_sets : sequence of int
        For each order, the number of sets among which these stand out. Those that are not in
        ``sets`` count as tested without success.
    """

    def __init__(
        self,
        sets: Sequence[NDArray[np.int32]],
        deviates: Sequence[NDArray[np.float64]],
        n_sets: Sequence[int],
    ) -> None:
        self.sets = list(sets)
        self.deviates = list(deviates)
        self.n_sets = list(n_sets)

    def of(self, crosses: Iterable[Cross]) -> NDArray[np.float64]:
        """Return the evidence of crosses, shape (P,); NaN for one that was not tested."""
        known = {
            tuple(fields): deviate
            for sets, deviates in zip(self.sets, self.deviates, strict=True)
            for fields, deviate in zip(sets.tolist(), deviates.tolist(), strict=True)
        }
        return np.array([known.get(tuple(cross), np.nan) for cross in crosses], dtype=np.float64)

    def significant(self, fdr: float) -> list[Cross]:
        """Return the sets that stand out, the surest first.

        For each order, the procedure of Benjamini and Hochberg over all sets of that order, with
        the factor of Benjamini and Yekutieli, as tests of sets that share fields depend on each
        other.

        Parameters
        ----------
        fdr : float
            Expected share of false ones among them, at most.

        Returns
        -------
        list of tuples of int
        """
        found: list[tuple[float, Cross]] = []
        for sets, deviates, n_sets in zip(self.sets, self.deviates, self.n_sets, strict=True):
            if not len(sets):
                continue
            # Those without success have chance 1, and change no more than the number of sets.
            dependent = np.log(n_sets) + np.euler_gamma + 0.5 / n_sets  # 1 + 1/2 + ... + 1/n
            rates = false_discovery_control(norm.sf(deviates)) * n_sets / len(sets) * dependent
            kept = rates <= fdr
            kept_sets = map(tuple, sets[kept].tolist())
            found += zip((-deviates[kept]).tolist(), kept_sets, strict=True)
        return [fields for _, fields in sorted(found)]


def significant_fields(estimator: Any, fdr: float) -> set[tuple[str, ...]]:
    """Return the fields of the significant crosses that a fitted estimator lists.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    fdr : float
        Rate of false discoveries.

    Raises
    ------
    ValueError
        If the estimator knows of no evidence.
    """
    tell = getattr(estimator, "interaction_table", None)
    if tell is None or "fdr" not in signature(tell).parameters:
        raise ValueError(
            "fdr needs an estimator that tells the evidence for its crosses, such as "
            f"DynIntClassifier, got {describe(estimator)}. Set fdr=None."
        )
    table = tell(fdr=fdr)
    if len(table) and table["evidence"].isna().all():
        raise ValueError(
            "fdr needs evidence, and partial_fit gives none: fit the estimator on all rows, or set "
            "fdr=None."
        )
    return set(table.loc[table["significant"], "fields"])

"""What the target was where the values of a row occurred together."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sparsectr.drafts import on_a_draft, on_one_fit
from sparsectr.encoding.columns import TableLike, as_table
from sparsectr.encoding.tags import CategoricalInputMixin
from sparsectr.ensembles.cells import (
    deal_folds,
    log_loss_of_means,
    means_out_of_fold,
    shrink,
    sum_cells,
)
from sparsectr.ensembles.columns import Columns
from sparsectr.ensembles.crosses import Cross, choose_crosses
from sparsectr.interactions.crossing import CrossVocabulary
from sparsectr.interactions.interaction import Interaction
from sparsectr.interactions.listed import ListedInteractions
from sparsectr.parameters import ParameterCheck
from sparsectr.stored_state import StoredStateMixin
from sparsectr.targets.labels import as_labels, find_classes, label_numbers
from sparsectr.targets.weights import check_weights

Floats = NDArray[np.float64]
# Values in fewer rows are one value, rare, before they are crossed.
FEWEST_ROWS = 3
# A field of fewer values has no statistics of its own: trees have its values.
FEWEST_VALUES = 7
# Most bins of a column: there is no use in more.
MOST_BINS = 2**16
# Most combinations of a cross before they are hashed.
MOST_CELLS = 2**20


class CrossStatistics(StoredStateMixin, CategoricalInputMixin, TransformerMixin, BaseEstimator):
    """Make columns of target means and counts, of values and of their combinations.

    For every chosen cross, and for every single field of many values, a row gets the shrunk mean of
    the target over the training rows that share its values, and how many they are. Rare
    combinations that no embedding and no tree can learn become one number each. Numbers are
    cut into bins, unless their exact values tell more about the target.

    `fit_transform` takes the statistics of training rows out of fold: no row sees its own label,
    and none counts itself. `transform` uses all training rows. A model must be trained on what
    `fit_transform` returns; a Pipeline does so.

    Parameters
    ----------
    interactions : list of collections of str or of Interaction, or None, default=None
        Crosses that have statistics in any case, as `ListedInteractions` takes them.
    n_pairs : int, default=40
        Number of further pairs: all where there are no more, or else those that
        `screen_interactions` ranks highest.
    n_triples : int, default=15
        Number of further triples: all where there are no more, or else such that the pairs within
        them are ranked high.
    smooth : float, default=5.0
        Rows of the mean of all that are added to each combination.
    n_bins : int, default=24
        Most bins of a column of numbers.
    numeric_features : "auto" or list of str or int, default="auto"
        Names or positions of the columns of numbers; all others are categories. "auto" takes all
        columns of integers or floats: name the others where integers are ids.
    cv : int, default=5
        Number of folds.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds.

    Attributes
    ----------
    interactions_ : list of Interaction
        The crosses; their strength is NaN, since nothing is measured.
    classes_ : ndarray of shape (n_classes,)
        Sorted class labels.
    n_features_in_ : int
        Number of fields.
    feature_names_in_ : ndarray of str, shape (n_fields,)
        Names of the fields, if the table has names that are all strings.

    See Also
    --------
    InteractionFeatures : Columns of crosses that a classifier discovers, with any encoder.
    CrossEnsembleClassifier : Boosted trees on these statistics beside nets.

    Notes
    -----
    The mean of a combination is ``(sum of y + smooth * prior) / (count + smooth)``, the m-estimate
    of Micci-Barreca (2001). With three or more classes every class has a mean.

    Examples
    --------
    >>> from sparsectr import CrossStatistics
    >>> from sparsectr.datasets import make_clicks
    >>> clicks = make_clicks(2_000, 3, 9, crosses=[(0, 1)], random_state=0)
    >>> statistics = CrossStatistics(n_triples=0, random_state=0)
    >>> statistics.fit_transform(clicks.X, clicks.y).shape
    (2000, 12)
    >>> statistics.get_feature_names_out()[6:8].tolist()
    ['mean of f0 × f1', 'count of f0 × f1']
    """

    def __init__(
        self,
        interactions: Collection[Collection[str] | Interaction] | None = None,
        *,
        n_pairs: int = 40,
        n_triples: int = 15,
        smooth: float = 5.0,
        n_bins: int = 24,
        numeric_features: str | Collection[str | int] = "auto",
        cv: int = 5,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.interactions = interactions
        self.n_pairs = n_pairs
        self.n_triples = n_triples
        self.smooth = smooth
        self.n_bins = n_bins
        self.numeric_features = numeric_features
        self.cv = cv
        self.random_state = random_state

    @on_a_draft
    def fit(self, X: TableLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Choose the crosses and learn their statistics.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            One column per field, any types.
        y : array-like of shape (n_rows,)
            Class labels.
        sample_weight : array-like of shape (n_rows,), optional
            Weight of every row in means and counts.

        Returns
        -------
        CrossStatistics
            Itself.

        Raises
        ------
        ValueError
            If a parameter or the data are not as described, or there is no column to make.
        """
        self._fit(X, y, sample_weight)
        return self

    @on_a_draft
    def fit_transform(
        self, X: TableLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Floats:
        """Fit, and return the statistics of the same rows out of fold.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            One column per field, any types.
        y : array-like of shape (n_rows,)
            Class labels.
        sample_weight : array-like of shape (n_rows,), optional
            Weight of every row in means and counts.

        Returns
        -------
        ndarray of shape (n_rows, n_columns)
            As from `transform`.
        """
        return self._fit(X, y, sample_weight)

    @on_one_fit
    def transform(self, X: TableLike) -> Floats:
        """Return the statistics of rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            The columns of `fit`, in the same order.

        Returns
        -------
        ndarray of shape (n_rows, n_columns)
            For every single field and cross, the mean (with three or more classes, of every
            class) and the count. A combination never seen has the mean of all and count 0.
        """
        check_is_fitted(self)
        table = as_table(X)
        validate_data(self, table, reset=False, skip_check_array=True)
        codes = self._bin_codes(self._columns.codes(table), self._columns.numbers(table))
        blocks = []
        for cross, counts, means in zip(self._crosses, self._counts, self._means, strict=True):
            cells = cross.codes(codes)
            blocks.append(np.column_stack([means[cells], counts[cells]]))
        return np.hstack(blocks)

    @on_one_fit
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Name the columns.

        Parameters
        ----------
        input_features : array-like of str, shape (n_fields,), or None, default=None
            Only checked against the fields of `fit`.

        Returns
        -------
        ndarray of str objects, shape (n_columns,)
            Such as ``"mean of month × day"`` and ``"count of month × day"``; with three or more
            classes ``"mean of month × day, late"``.
        """
        check_is_fitted(self)
        self._columns.encoder.get_feature_names_out(input_features)  # raises where they differ
        several = len(self.classes_) > 2
        classes = [f", {label}" for label in self.classes_] if several else [""]
        names = []
        for cross in self._crosses:
            of = " × ".join(self._columns.names[j] for j in cross.positions)
            names += [f"mean of {of}{label}" for label in classes]
            names.append(f"count of {of}")
        return np.array(names, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_means")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    # Fitting --------------------------------------------------------------------------

    def _fit(self, X: TableLike, y: ArrayLike, sample_weight: ArrayLike | None) -> Floats:
        """Fit everything; return the statistics of the training rows, out of fold."""
        self._check_parameters()
        table = as_table(X)
        validate_data(self, table, y, reset=True, skip_check_array=True)
        labels = as_labels(y, n_rows=table.shape[0])
        self.classes_ = find_classes(labels, fewest=1)
        numbers = label_numbers(labels, self.classes_)
        weights = check_weights(sample_weight, len(labels))
        targets = (numbers[:, None] == np.arange(len(self.classes_))).astype(np.float64)
        targets = targets[:, 1:] if len(self.classes_) == 2 else targets
        n_folds = min(self.cv, len(numbers))
        folds = deal_folds(numbers, n_folds, check_random_state(self.random_state))
        self._columns = Columns(self.numeric_features).fit(table)
        codes, columns = self._columns.codes(table), self._columns.numbers(table)
        self._learn_bins(codes, columns, targets, weights, folds)
        codes = self._bin_codes(codes, columns)
        self._learn_crosses(table, codes, numbers)
        self._counts, self._means, blocks = [], [], []
        for cross in self._crosses:
            cells, size = cross.codes(codes), cross.size
            counts, sums = sum_cells(cells, size, targets, weights)
            means = means_out_of_fold(cells, size, targets, weights, folds, self.smooth)
            self._counts.append(counts)
            self._means.append(shrink(counts, sums, self.smooth))
            blocks.append(np.column_stack([means, counts[cells] - weights]))
        return np.hstack(blocks)

    def _check_parameters(self) -> None:
        check = ParameterCheck(self)
        check.integer("n_pairs", 0)
        check.integer("n_triples", 0)
        check.real("smooth", 0, open_low=True)
        check.integer("n_bins", 2, MOST_BINS)
        check.integer("cv", 2)
        check.seed("random_state")

    def _learn_bins(
        self,
        codes: NDArray[np.int32],
        columns: dict[int, Floats],
        targets: Floats,
        weights: Floats,
        folds: NDArray[np.int64],
    ) -> None:
        """Decide which columns of numbers are cut into bins, and where.

        A column of no more values than bins is not; of the others those whose bins predict the
        target better than their values, out of fold.
        """
        sizes = self._columns.encoder.vocabulary_sizes_
        shares = np.linspace(0, 1, self.n_bins + 1)[1:-1]
        self._cuts: dict[int, Floats] = {}
        for j, numbers in columns.items():
            if sizes[j] - 2 <= self.n_bins:
                continue
            cuts = np.unique(np.nanquantile(numbers, shares, method="lower"))
            losses = [
                log_loss_of_means(
                    means_out_of_fold(cells, size, targets, weights, folds, self.smooth),
                    targets,
                    weights,
                )
                for cells, size in ((_bin(numbers, cuts), self.n_bins + 2), (codes[:, j], sizes[j]))
            ]
            if losses[0] <= losses[1]:
                self._cuts[j] = cuts

    def _bin_codes(self, codes: NDArray[np.int32], columns: dict[int, Floats]) -> NDArray[np.int32]:
        """Put the bins of numbers in the place of their exact codes (n, F), where they are cut."""
        for j, cuts in self._cuts.items():
            codes[:, j] = _bin(columns[j], cuts)
        return codes

    def _learn_crosses(
        self, table: Any, codes: NDArray[np.int32], numbers: NDArray[np.int64]
    ) -> None:
        """Choose the crosses and learn their combinations, those of single fields first."""
        sizes = self._columns.encoder.vocabulary_sizes_.copy()
        sizes[list(self._cuts)] = self.n_bins + 2
        singles: list[Cross] = [
            (j,)
            for j, size in enumerate(sizes)
            if size - 2 >= FEWEST_VALUES and j not in self._cuts
        ]
        given: list[Cross] = []
        if self.interactions is not None:
            listed = ListedInteractions(self.interactions).fit(table).selected_interactions_
            names = self._columns.names
            given = [tuple(map(names.index, cross.fields)) for cross in listed]
        merged = _merge_rare(codes)
        chosen = choose_crosses(merged, sizes, numbers, self.n_pairs, self.n_triples)
        crosses = list(dict.fromkeys([*given, *chosen]))
        if not singles and not crosses:
            singles = [(j,) for j in range(len(sizes))]
        self._crosses = [
            CrossVocabulary.learn(codes, sizes, fields, MOST_CELLS) for fields in singles + crosses
        ]
        self.interactions_ = [
            Interaction(tuple(self._columns.names[j] for j in fields), len(fields), float("nan"))
            for fields in crosses
        ]


def _bin(numbers: Floats, cuts: Floats) -> NDArray[np.int32]:
    """Return bins as codes from 2 on, 1 for missing numbers."""
    return np.where(np.isnan(numbers), 1, 2 + np.searchsorted(cuts, numbers)).astype(np.int32)


def _merge_rare(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Make values in few rows one value, with the code of unknown ones."""
    merged = codes.copy()
    for column in merged.T:
        column[np.bincount(column)[column] < FEWEST_ROWS] = 0
    return merged

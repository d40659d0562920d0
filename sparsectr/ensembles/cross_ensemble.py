"""Nets and boosted trees on crosses, blended."""

from __future__ import annotations

import sys
import time
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, validate_data

from sparsectr.drafts import on_a_draft, on_one_fit
from sparsectr.encoding.columns import TableLike, as_table
from sparsectr.encoding.tags import CategoricalInputMixin
from sparsectr.ensembles.cells import deal_folds
from sparsectr.ensembles.columns import with_plain_columns
from sparsectr.ensembles.cross_statistics import CrossStatistics
from sparsectr.ensembles.folds import NET, PARTS, Fold, Recipe, fit_fold
from sparsectr.ensembles.ids import choose_numbers
from sparsectr.ensembles.reports import (
    explain_rows,
    list_interactions,
    make_leaderboard,
    tabulate_crosses,
)
from sparsectr.ensembles.stacking import fit_stack, to_log_odds
from sparsectr.ensembles.trees import LabelledTable
from sparsectr.interactions.interaction import Interaction, lists_crosses
from sparsectr.methods.dynint.classifier import DynIntClassifier
from sparsectr.parameters import ParameterCheck, check_integer, describe
from sparsectr.stored_state import StoredStateMixin
from sparsectr.targets.classes import ClassTarget
from sparsectr.targets.labels import as_labels, find_classes, label_numbers
from sparsectr.targets.weights import check_weights

MOST_JOBS = 2**15


class CrossEnsembleClassifier(
    StoredStateMixin, CategoricalInputMixin, ClassifierMixin, BaseEstimator
):
    """Blend nets, boosted trees, and boosted trees on statistics of crosses.

    The training rows are dealt into folds. For every fold three parts are fitted on the other
    folds, and stopped early by this one: a net that discovers crosses; scikit-learn's
    `HistGradientBoostingClassifier` on the columns as they are; and the same on the columns with
    `CrossStatistics` beside them, of the crosses that the net discovers, and of others that a
    screening finds. What the parts say about the rows that they have not seen is blended: the
    log-odds of the ensemble are a weighted sum of theirs, with weights that are not negative,
    and an intercept. For new rows, the log-odds of a part are the mean over its folds.

    It takes many times as long as one net, see ``time_limit``, and needs no validation rows.

    Parameters
    ----------
    net : classifier of this package or "auto", default="auto"
        The first part; "auto" is ``DynIntClassifier()``. It is cloned for every fold, with a seed
        of its own.
    statistics : CrossStatistics or "auto", default="auto"
        Makes the columns of the third part; "auto" is ``CrossStatistics()``. It is cloned
        for every fold, with a seed of its own and with discovered crosses as ``interactions``.
    n_discovered : int, default=10
        Number of the strongest crosses of each net that have statistics in any case.
    n_folds : int, default=5
        Number of folds.
    time_limit : float or None, default=None
        Seconds after which no fold begins that would, as the folds before, end later. The first
        fold is fitted in any case, so that the limit may be exceeded. None is no limit.
    n_jobs : int or None, default=None
        Folds that are fitted at the same time; None is one.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds and of all parts.
    verbose : int, default=0
        Whether to print one line per fold (1) or nothing (0).

    Attributes
    ----------
    leaderboard_ : DataFrame
        A row per part, and one for the ensemble: part, log_loss (on rows that were held out),
        weight, log_loss_without (of the blend of the other parts), seconds (of all folds).
    selected_interactions_ : list of Interaction
        The crosses of the nets, strongest first. The strength is the mean over the folds, times
        the weight of the nets in the blend; a net that does not list a cross counts as 0.
    fold_models_ : list of dict
        For each fold, the fitted model of every part by its name: "net", "trees",
        "trees on statistics".
    numeric_features_ : list of str
        Columns that trees and statistics take as numbers. Columns of whole numbers that come
        several times may be ids: they are categories here if trees predict clearly better with them
        so, on rows that are set apart. To choose yourself, pass
        ``statistics=CrossStatistics(numeric_features=[...])``.
    stack_ : Stack
        Weights and intercept of the blend.
    classes_ : ndarray of shape (n_classes,)
        Sorted class labels.
    n_features_in_ : int
        Number of fields.
    feature_names_in_ : ndarray of str, shape (n_fields,)
        Names of the fields, if the table has names that are all strings.

    See Also
    --------
    DynIntClassifier : The net alone.
    CrossStatistics : The statistics alone.

    Notes
    -----
    Stacking on held-out predictions: Wolpert (1992), Breiman (1996). The rows that a model is
    measured on have also stopped it, so that ``log_loss`` in the leaderboard is a little too good.

    Examples
    --------
    >>> from sparsectr import CrossEnsembleClassifier
    >>> from sparsectr.datasets import make_clicks
    >>> clicks = make_clicks(12_000, 4, 9, crosses=[(0, 2)], random_state=0)
    >>> clf = CrossEnsembleClassifier(n_folds=2, random_state=0).fit(clicks.X, clicks.y)
    >>> clf.selected_interactions_[0].fields
    ('f0', 'f2')
    >>> clf.leaderboard_["part"].tolist()
    ['net', 'trees', 'trees on statistics', 'ensemble']
    """

    selected_interactions_: list[Interaction]

    def __init__(
        self,
        *,
        net: Any = "auto",
        statistics: CrossStatistics | str = "auto",
        n_discovered: int = 10,
        n_folds: int = 5,
        time_limit: float | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.net = net
        self.statistics = statistics
        self.n_discovered = n_discovered
        self.n_folds = n_folds
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # Training -------------------------------------------------------------------------

    @on_a_draft
    def fit(self, X: TableLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit all parts on all folds, and blend them.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            One column per field, any types; see `FieldEncoder`.
        y : array-like of shape (n_rows,)
            Class labels of any type, at least two classes.
        sample_weight : array-like of shape (n_rows,), optional
            Weight of every row in all parts and in the blend; rows of weight 0 are left out.

        Returns
        -------
        self
            This estimator, fitted.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data do not fit; the message says what must hold.
        """
        started = time.perf_counter()
        recipe = self._check_parameters()
        table = as_table(X)
        validate_data(self, table, y, reset=True, skip_check_array=True)
        labels = as_labels(y, n_rows=table.shape[0])
        self.classes_ = find_classes(labels)
        weights = check_weights(sample_weight, len(labels))
        table = with_plain_columns(table)
        rows = LabelledTable(table, label_numbers(labels, self.classes_), weights)
        rows = rows if weights.all() else rows.take(np.flatnonzero(weights))
        if absent := sorted(set(range(len(self.classes_))) - set(rows.numbers.tolist())):
            label = self.classes_.tolist()[absent[0]]
            raise ValueError(
                "sample_weight must be above 0 for a row of every class, got only zeros for "
                f"{describe(label)}."
            )
        rows = rows._replace(weights=rows.weights / rows.weights.mean())
        folds = self._fit_folds(recipe, rows, started)
        self._blend(folds, rows)
        return self

    def _check_parameters(self) -> Recipe:
        check = ParameterCheck(self)
        check.integer("n_discovered", 0)
        check.integer("n_folds", 2)
        if self.time_limit is not None:
            check.real("time_limit", 0)
        if self.n_jobs is not None:
            check.integer("n_jobs", -MOST_JOBS, MOST_JOBS)
            if self.n_jobs == 0:
                raise ValueError("n_jobs must not be 0, got 0; None is one fold at a time.")
        if not isinstance(self.verbose, bool):
            check.integer("verbose", 0)
        check.seed("random_state")
        net = DynIntClassifier() if isinstance(self.net, str) and self.net == "auto" else self.net
        if isinstance(net, type) or not (lists_crosses(net) and hasattr(net, "predict_proba")):
            raise TypeError(
                f"net must be 'auto' or a classifier of this package, got {describe(self.net)}."
            )
        statistics = self.statistics
        if isinstance(statistics, str) and statistics == "auto":
            statistics = CrossStatistics()
        if not isinstance(statistics, CrossStatistics):
            raise TypeError(
                f"statistics must be 'auto' or a CrossStatistics, got {describe(statistics)}."
            )
        return Recipe(net, statistics, self.n_discovered)

    def _fit_folds(self, recipe: Recipe, rows: LabelledTable, started: float) -> list[Fold]:
        """Fit one fold after another, or some at a time, until all are fitted or time is up."""
        n_rows = len(rows.numbers)
        rng = check_random_state(self.random_state)
        numeric = choose_numbers(recipe.statistics, rows, rng.randint(2**31))
        self.numeric_features_ = list(numeric.values())
        statistics = clone(recipe.statistics).set_params(numeric_features=list(numeric))
        recipe = recipe._replace(statistics=statistics)
        n_folds = min(self.n_folds, n_rows)
        dealt = deal_folds(rows.numbers, n_folds, rng)
        # Every class must be among the rows that train.
        alone = np.bincount(rows.numbers)[rows.numbers] == 1
        parts = [(dealt == fold) & ~alone for fold in range(n_folds)]
        parts = [held for held in parts if held.any()]
        if not parts:
            raise ValueError(
                f"y must hold at least two rows of a class, got {n_rows} classes in {n_rows} rows."
            )
        seeds = rng.randint(2**31, size=len(parts)).tolist()
        parallel = Parallel(n_jobs=self.n_jobs)
        n_at_once = parallel._effective_n_jobs()
        folds, longest = list[Fold](), 0.0
        while len(folds) < len(parts):
            began = time.perf_counter()
            if folds and self._is_over(began - started + longest):
                break
            wave = range(len(folds), min(len(folds) + n_at_once, len(parts)))
            folds += parallel(
                delayed(fit_fold)(
                    recipe, rows, np.flatnonzero(parts[k]), np.flatnonzero(~parts[k]), seeds[k]
                )
                for k in wave
            )
            longest = max(longest, time.perf_counter() - began)
            self._report(f"{len(folds)} of {len(parts)} folds, {longest:.1f} s for the longest")
        return folds

    def _is_over(self, seconds: float) -> bool:
        return self.time_limit is not None and seconds > self.time_limit

    def _blend(self, folds: list[Fold], rows: LabelledTable) -> None:
        """Weigh the parts by what they say about held-out rows; keep what is needed."""
        log_odds = np.concatenate([fold.log_odds for fold in folds], axis=1)
        held = np.concatenate([fold.held for fold in folds])
        numbers, weights = rows.numbers[held], rows.weights[held]
        self.stack_ = fit_stack(log_odds, numbers, weights)
        self.fold_models_ = [fold.models for fold in folds]
        table = make_leaderboard(folds, self.stack_, log_odds, numbers, weights)
        self._leaderboard = table.to_dict("list")  # skops stores no frames
        self.selected_interactions_ = list_interactions(
            [net._crosses_alone() for net in self._nets()], self._weight_of_nets()
        )
        self._report(f"log loss {table['log_loss'].iloc[-1]:.5f} on held-out rows")

    def _report(self, text: str) -> None:
        if self.verbose:
            sys.stdout.write(f"[{type(self).__name__}] {text}\n")

    def _nets(self) -> list[Any]:
        return [models[NET] for models in self.fold_models_]

    def _weight_of_nets(self) -> float:
        return float(self.stack_.weights[PARTS.index(NET)])

    # Prediction -----------------------------------------------------------------------

    @property
    def leaderboard_(self) -> pd.DataFrame:
        """What every part is worth, and the ensemble."""
        return pd.DataFrame(self._leaderboard)

    @on_one_fit
    def predict_proba(self, X: TableLike) -> NDArray[np.float64]:
        """Predict the probability of every class.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            The columns of `fit`, in the same order. Unseen values count as unknown.

        Returns
        -------
        ndarray of shape (n_rows, n_classes), float64
            Columns follow ``classes_``; every row sums to 1.
        """
        check_is_fitted(self)
        return softmax(self.stack_.apply(self._log_odds_of_parts(self._check_table(X))), axis=1)

    @on_one_fit
    def predict(self, X: TableLike) -> NDArray[Any]:
        """Predict the most probable class of every row.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            The columns of `fit`, in the same order.

        Returns
        -------
        ndarray of shape (n_rows,)
            Values of ``classes_``.
        """
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def _check_table(self, X: TableLike) -> Any:
        table = as_table(X)
        validate_data(self, table, reset=False, skip_check_array=True)
        return table

    def _log_odds_of_parts(self, table: Any) -> NDArray[np.float64]:
        """Return the mean log-odds over the folds, (n_parts, n_rows, n_classes)."""
        return np.stack(
            [
                np.mean(
                    [to_log_odds(fold[part].predict_proba(table)) for fold in self.fold_models_],
                    axis=0,
                )
                for part in PARTS
            ]
        )

    # Reports ----------------------------------------------------------------------------

    @on_one_fit
    def interaction_table(self, *, fdr: float = 0.05) -> pd.DataFrame:
        """Return the crosses of all parts as a table.

        Parameters
        ----------
        fdr : float, default=0.05
            Expected share of false ones among the significant crosses of an order of each fold, at
            most.

        Returns
        -------
        DataFrame
            One row per cross, strongest first: fields (tuple of names); order; strength, as in
            ``selected_interactions_``, 0 for crosses that no net lists; evidence (how surely the
            rows hold the cross: the mean over the folds that tell it, see
            `DynIntClassifier.interaction_table`; NaN if none does); significant (whether it stands
            out in more than half of the folds, each on its own rows); net_share (share of the folds
            whose net lists the cross); statistics_share (share of the folds whose trees have
            statistics of it: their part in the log-odds is not told apart by crosses).
        """
        check_is_fitted(self)
        return tabulate_crosses(self.fold_models_, self.selected_interactions_, fdr)

    @on_one_fit
    def explain(
        self,
        X: TableLike,
        top: int | None = 5,
        *,
        class_label: object = None,
        complete: bool = False,
    ) -> pd.DataFrame:
        """List for every row the crosses of the nets that moved its log-odds most.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            The columns of `fit`, in the same order.
        top : int or None, default=5
            Most crosses per row; None for all of them.
        class_label : object, optional
            The class whose log-odds are explained. By default the second of two classes; with
            more classes, the predicted class of each row. The log-odds of one of several classes
            are the log of its probability, less the mean of that over all classes.
        complete : bool, default=False
            Whether to add, with rank 0, what single fields add in the nets, and one entry without
            fields, ``()``, for each part: what else the nets add, what trees add as a whole,
            and the intercept. The contributions of a row then sum to its log-odds.

        Returns
        -------
        DataFrame
            row (position in X, from 0), rank (from 1), part ("net", "trees", "trees on
            statistics", "intercept"), fields (tuple of names), values (tuple of the texts of the
            values in X, None where one is missing), contribution: the mean over the folds, times
            the weight of the part. Of two classes, ``attrs["probability_of"]`` is the text of the
            one whose log-odds these are.

        Raises
        ------
        ValueError
            If X has other columns than in `fit`, or there is no such class.
        """
        check_is_fitted(self)
        if top is not None:
            check_integer("top", top, 1)
        table = self._check_table(X)
        log_odds = self._log_odds_of_parts(table) * self.stack_.weights[:, None, None]
        total = log_odds.sum(axis=0) + self.stack_.intercept
        if class_label is None and len(self.classes_) > 2:
            numbers = total.argmax(axis=1)
        else:
            (number,) = ClassTarget(self.classes_).choose_output(class_label)
            numbers = np.full(len(total), number)
        entries = explain_rows(
            self._nets(), self._weight_of_nets(), table, numbers, log_odds, self.stack_.intercept
        )
        is_cross = entries["fields"].map(len) > 1
        crosses = entries[is_cross].copy()
        strongest = crosses["contribution"].abs().groupby(crosses["row"])
        crosses["rank"] = strongest.rank(method="first", ascending=False).astype(np.int64)
        kept = crosses if top is None else crosses[crosses["rank"] <= top]
        kept = kept.sort_values(["row", "rank"])
        parts = [kept, entries[~is_cross]] if complete else [kept]
        explained = pd.concat(parts).sort_values("row", kind="stable", ignore_index=True)
        if len(self.classes_) == 2:
            explained.attrs["probability_of"] = str(self.classes_[numbers[0]])
        return explained[["row", "rank", "part", "fields", "values", "contribution"]]

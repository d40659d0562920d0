"""What every fitted estimator reports of its fields and crosses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sparsectr.drafts import on_one_fit, sibling
from sparsectr.explanation.explanation import Explanation
from sparsectr.explanation.field_effects import measure_fields
from sparsectr.explanation.fields import Fields
from sparsectr.explanation.later import LaterMeasures
from sparsectr.explanation.measuring import CrossMeter, find_evidence
from sparsectr.interactions.interaction import Interaction
from sparsectr.kernels.threads import with_one_torch_thread
from sparsectr.nn.mean import members_of
from sparsectr.parameters import check_integer
from sparsectr.rows.labelled import Batch, LabelledRows
from sparsectr.rows.sample import RowSample
from sparsectr.tables import TableReader
from sparsectr.targets.target import Target

# Most training rows on which crosses are measured.
STRENGTH_ROWS = 100_000


class InteractionReports(TableReader):
    """Measure the crosses of a net after training, and report them.

    What is measured is kept in ``_measures``: a `LaterMeasures` that measures when it is asked, or,
    of an estimator that comes from a file, a dict. An `Explanation` made of it, of the fields and
    of the net tells everything else.

    Everything comes from one function of the net, ``effects(codes, sets, columns)``: what sets of
    fields do to the logits of rows, all other fields unknown; see `sparsectr.nn.effects`.
    """

    _private_state = (*TableReader._private_state, "_measures")
    n_interactions: int
    _measures: dict[str, Any] | LaterMeasures

    @abstractmethod
    def _fitted_target(self) -> Target:
        """Return what is predicted."""

    @abstractmethod
    def _list_crosses(self, net: Any, codes: Tensor) -> Iterable[tuple[int, ...]]:
        """List the crosses that are worth measuring, as field numbers.

        Parameters
        ----------
        net : nn.Module
            The trained net.
        codes : Tensor of shape (n, C)
            Training rows in random order.
        """

    # After training ---------------------------------------------------------------------

    def _measure(
        self,
        net: nn.Module,
        rows: LabelledRows,
        new_generator: Callable[[], torch.Generator],
        *,
        in_stream: bool,
    ) -> None:
        """Measure the crosses of a net when they are first asked for.

        Parameters
        ----------
        net : nn.Module
            The trained net; its weights must not change any more.
        rows : LabelledRows
            The training rows; a random sample of them is kept until then.
        new_generator : callable
            Returns sources of random numbers.
        in_stream : bool
            Whether the rows of the calls before count as well, of which there are no labels.
        """
        if in_stream:
            seed = new_generator().initial_seed()
            self._measure_stream(net, rows, new_generator(), seed)
            return
        generator = new_generator()
        sample = rows.sample(STRENGTH_ROWS, generator)
        # As it is now: parameters may change before somebody asks.
        frozen = sibling(self, vars(self) | {"_measures": {}})
        self._measures = LaterMeasures(
            partial(frozen._measure_sample, net, sample, generator.get_state())
        )
        if rows.device.type != "cpu":
            self._measures.find()  # leaves no rows in the memory of a GPU

    def _measure_sample(
        self, net: nn.Module, sample: Batch, state: Tensor, brief: bool
    ) -> dict[str, Any]:
        """Measure the crosses of a net on rows in random order, with a generator in this state."""
        generator = torch.Generator(sample.targets.device)
        generator.set_state(state)
        measures = self._measure_crosses(net, sample.codes, generator, brief=brief)
        if self.n_interactions and not brief:
            measures["evidence"] = find_evidence(sample, measures["crosses"], self._fields())
        return measures

    def _measure_stream(
        self, net: nn.Module, rows: LabelledRows, generator: torch.Generator, seed: int
    ) -> None:
        """Measure the crosses of a net, when they are first asked for, on all rows of a stream.

        The rows are those of this call and of the calls before; a sample of them is kept.

        Parameters
        ----------
        net : nn.Module
            The trained net; its weights must not change any more.
        rows : LabelledRows
            The rows of this call.
        generator : torch.Generator
            Source of the sample.
        seed : int
            Seed of what is drawn when crosses are measured.
        """
        past = vars(self).get("_measures")
        sample = past.sample if isinstance(past, LaterMeasures) else None
        sample = (sample or RowSample(STRENGTH_ROWS)).add(rows, generator)
        frozen = sibling(self, vars(self) | {"_measures": {}})
        measure = partial(frozen._measure_from_seed, net, seed, rows.device, sample)
        self._measures = LaterMeasures(measure, sample)

    def _measure_from_seed(
        self, net: nn.Module, seed: int, device: torch.device, sample: RowSample, brief: bool
    ) -> dict[str, Any]:
        generator = torch.Generator(device).manual_seed(seed)
        return self._measure_crosses(net, sample.rows().to(device), generator, brief=brief)

    def _measure_crosses(
        self, net: nn.Module, codes: Tensor, generator: torch.Generator, *, brief: bool = False
    ) -> dict[str, Any]:
        """Measure the crosses that this method lists, and all fields.

        See `CrossMeter.measure` and `measure_fields`.

        Parameters
        ----------
        net : nn.Module
            The trained net.
        codes : Tensor of shape (n, C)
            Training rows in random order.
        generator : torch.Generator
            Source of the bootstrap samples.
        brief : bool, default=False
            Whether only the crosses are wanted.
        """
        listed: list[tuple[int, ...]] = []
        if self.n_interactions:
            each = (self._list_crosses(member, codes) for member in members_of(net))
            listed = list(dict.fromkeys(chain.from_iterable(each)))
        fields, unit = self._fields(), self._fitted_target().unit
        measures = CrossMeter(fields, unit, self.n_interactions).measure(
            net, codes, listed, generator, brief=brief
        )
        return measures if brief else measures | measure_fields(net, codes, fields, unit)

    def _fields(self) -> Fields:
        """Return the fields of the fitted encoder."""
        return Fields(self.encoder_)

    def _explanation(self, attribute: str = "selected_interactions_") -> Explanation:
        """Return what tells about this fit, measuring it first if need be.

        Parameters
        ----------
        attribute : str, default="selected_interactions_"
            The public attribute that is asked for; an estimator that is not fitted has none.
        """
        measures = vars(self).get("_measures")
        if measures is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {attribute!r}")
        found = measures.find() if isinstance(measures, LaterMeasures) else measures
        return Explanation(self._fields(), found, self._fitted_target(), self._fitted_net)

    def _crosses_alone(self) -> list[Interaction]:
        """Return ``selected_interactions_`` without measuring anything else."""
        measures = vars(self)["_measures"]
        if isinstance(measures, LaterMeasures):
            return measures.find_crosses()
        return list(measures["crosses"])

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if isinstance(measures := state.get("_measures"), LaterMeasures):
            state["_measures"] = measures.find()
        return state

    # Reports ----------------------------------------------------------------------------

    @property
    def selected_interactions_(self) -> list[Interaction]:
        """The listed crosses, strongest first."""
        return self._explanation().crosses

    @property
    def field_importances_(self) -> npt.NDArray[np.float64]:
        """What the values of every field change, by themselves and in crosses, (n_fields,)."""
        return self._explanation("field_importances_").field_strengths()["total"]

    @on_one_fit
    def field_table(self) -> pd.DataFrame:
        """Return what every field does by itself and in its crosses.

        Of a row, a field contributes F(all fields) - F(all others), with F the log-odds of a row of
        which only some fields are known. That is the effect of its value alone, F(field) - F(none),
        and the effects of all its crosses, listed or not, in one sum.

        Returns
        -------
        DataFrame
            One row per field, strongest first: field (its name); total (standard deviation over
            training rows of what the field contributes, in log-odds or as ``attrs["score"]`` says;
            also in ``field_importances_``);
            main (that of its value alone); crosses (that of all its crosses together); n_values
            (values that have codes of their own, of numbers bins); strongest_cross (fields of the
            strongest listed cross with it, ``()`` if there is none). The parts hardly ever sum to
            the total: they depend on each other, and standard deviations do not add up. The
            measures are NaN in an estimator that an older version has stored.
        """
        check_is_fitted(self)
        return self._explanation().tabulate_fields()

    @on_one_fit
    def interaction_table(self, *, fdr: float = 0.05) -> pd.DataFrame:
        """Return the listed crosses as a table.

        Parameters
        ----------
        fdr : float, default=0.05
            Expected share of false ones among the significant crosses of an order, at most. Any
            rate can be asked for without another fit.

        Returns
        -------
        DataFrame
            One row per cross, strongest first: fields (tuple of names); order; strength (in
            log-odds; of a regressor in units of the target, or of its logarithm, as
            ``attrs["score"]`` says); evidence (how surely the training rows hold this cross beyond
            what smaller sets explain, whatever the net has made of it, as a normal deviate; NaN if
            it was not tested, as after `partial_fit`); significant (whether it stands out from all
            sets of its order at this rate); active_share (share of the rows whose score the cross
            changes at all); strength_error (standard error of the strength, from a bootstrap of the
            rows on which it was measured; it says nothing about other fits, see
            `interaction_stability`); shares_with (listed crosses that tell the same, such as those
            of a copy of a field: their effects and those of this one correlate by more than .5 over
            the rows on which strengths are measured, where rows with extreme effects weigh most, or
            the values of one tell the effect of the other that well).

        Raises
        ------
        ValueError
            If ``fdr`` is not between 0 and 1.
        """
        check_is_fitted(self)
        return self._explanation().tabulate_crosses(fdr)

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
        return self._explanation().tabulate_missed(fdr)

    @on_one_fit
    @with_one_torch_thread()
    def value_effects(self, fields: Sequence[str], *, class_label: Any = None) -> pd.DataFrame:
        """Show what the values of a field, or of a cross, add to the score: log-odds or prediction.

        Parameters
        ----------
        fields : sequence of str
            Name of one field, or names of the fields of a cross in ``selected_interactions_``, in
            any order.
        class_label : object, optional
            The class whose log-odds are meant; see `explain`. By default the last of
            ``classes_``, which of two classes is the positive one. None for regressors.

        Returns
        -------
        DataFrame
            One column per field with the value, or its text where a field has values of several
            types; for a numeric field the interval of the bin, in an ordered column of dtype
            category, as are ordered categories of text (None, in ordered columns NaN, for unknown,
            rare, missing and hashed values);
            count, the rows with this combination in the sample of training rows on which strengths
            are measured; effect, the mean of what the field, or the cross, adds to their score,
            which ``attrs["score"]`` names. The 400 most frequent combinations, most frequent first;
            in a small net, only 100 of a field, and 50 of crosses that are not among the strongest,
            so that files stay small.
            Where a field has one of these names, an underscore follows ours: ``count_``.

        Raises
        ------
        ValueError
            If there is no such field, no such cross among ``selected_interactions_``, or no such
            class.
        """
        check_is_fitted(self)
        return self._explanation().tabulate_values(fields, class_label)

    @on_one_fit
    @with_one_torch_thread()
    def explain(
        self, X: Any, top: int | None = 5, *, class_label: Any = None, complete: bool = False
    ) -> pd.DataFrame:
        """List for every row the crosses that moved its score most.

        A contribution is the effect of the values of a cross in the whole net: what they do
        together beyond what fewer of them do, with all other fields unknown. With F the log-odds of
        a row of which only some fields are known, that of two fields is F(both) - F(first) -
        F(second) + F(none). Anybody can compute it from `predict_proba` of rows whose other values
        were never seen.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            The columns of `fit`, in the same order.
        top : int or None, default=5
            Most crosses per row, out of ``selected_interactions_``; None for all of them.
        class_label : object, optional
            The class whose log-odds are explained. By default the second of two classes; with
            more classes, the predicted class of each row. The log-odds of one of several
            classes are the log of its probability, less the mean of that over all classes. None
            for regressors.
        complete : bool, default=False
            Whether to add, with rank 0, the effect of every single field, F(field) - F(none), and
            one entry without fields, ``()``, for F(none) and the effects of all crosses that are
            not listed. The contributions of a row then sum to its score.

        Returns
        -------
        DataFrame
            row (position in X, from 0), rank (from 1), fields (tuple of names), values (tuple of
            the texts of the values in X, None where one is missing), contribution. Crosses that do
            not change a row's score are left out. ``attrs["score"]`` names the score,
            ``attrs["start"]`` is F(none), and of two classes ``attrs["probability_of"]`` is the
            text of the one whose log-odds these are; without F(none) where every row explains a
            class of its own.

        Raises
        ------
        ValueError
            If X has other columns than in `fit`, or there is no such class.
        """
        check_is_fitted(self)
        if top is not None:
            check_integer("top", top, 1)
        table = self._check_table(X, reset=False)
        codes, net = self._encode_for_net(table)
        explanation = self._explanation()
        explanation.net = lambda: net
        return explanation.tabulate_rows(table, codes, top, class_label, complete=complete)

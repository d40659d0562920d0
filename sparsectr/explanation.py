"""What a fitted classifier tells about its crosses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from sparsectr.drafts import on_one_fit, sibling
from sparsectr.encoding.columns import as_table, iterate_columns
from sparsectr.evidence import EvidenceMixin
from sparsectr.interactions.evidence import CrossEvidence
from sparsectr.interactions.interaction import Interaction
from sparsectr.kernels.threads import with_one_torch_thread
from sparsectr.nn.mean import members_of
from sparsectr.parameters import check_integer, describe
from sparsectr.rows.labelled import LabelledRows
from sparsectr.rows.sample import RowSample
from sparsectr.targets.target import Target
from sparsectr.training.packing import (
    count_remembered,
    pack_combinations,
    unpack_combinations,
)
from sparsectr.training.prediction import predict_logits
from sparsectr.training.sharing import find_shared
from sparsectr.training.strengths import (
    ROUNDING,
    EffectNet,
    affordable_rows,
    effects_of,
    measure_strengths,
    value_effects,
)

Array = npt.NDArray[Any]
FieldNames = tuple[str, ...]
MEASURES = ["strength", "active_share", "strength_error"]
# Most training rows on which crosses are measured.
STRENGTH_ROWS = 100_000


class _Unmeasured:
    """Measure crosses when somebody asks for them.

    Parameters
    ----------
    measure : callable
        Takes codes (n, F) in random order, returns what is measured by name.
    sample : RowSample
        The rows to measure on. They stay here for the next `partial_fit`, whether or not anybody
        has asked, so that asking changes nothing.
    """

    def __init__(self, measure: Callable[[Tensor], dict[str, Any]], sample: RowSample) -> None:
        self.sample = sample
        self._measure: Callable[[Tensor], dict[str, Any]] | None = measure
        self._found: dict[str, Any] = {}

    @with_one_torch_thread()
    def find(self) -> dict[str, Any]:
        """Return what is measured."""
        # No lock, which a forked process could inherit closed: of two threads that come at the same
        # time, both measure, and find the same.
        measure = self._measure
        if measure is not None:
            self._found = measure(self.sample.rows())
            self._measure = None  # lets the net of then go
        return self._found


class ExplanationMixin(EvidenceMixin):
    """Measure the crosses of a net after training, and report them.

    Everything here comes from one function of the net, ``effects(codes, sets, columns)``: what
    sets of fields do to the logits of rows, all other fields unknown; see `sparsectr.nn.effects`.
    What is measured is kept in ``_measures``: a dict, or an object that measures when it is asked.
    """

    _private_state = (*EvidenceMixin._private_state, "_measures")
    n_interactions: int
    _measures: dict[str, Any] | _Unmeasured

    @abstractmethod
    def _encode(self, X: Any, *, fit: bool = False, warn: bool = True) -> Tensor:
        """Turn columns into codes (n, F) on the device."""

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
        codes : Tensor of shape (n, F)
            Training rows in random order.
        """

    # After training ---------------------------------------------------------------------

    @with_one_torch_thread()
    def _measure_now(self, net: nn.Module, rows: LabelledRows, generator: torch.Generator) -> None:
        """Measure the crosses of a net on a random sample of rows."""
        sample = rows.sample(STRENGTH_ROWS, generator)
        measures = self._measure_crosses(net, sample.codes, generator)
        if self.n_interactions:
            measures["evidence"] = self._test_crosses(sample, measures["crosses"])
        self._measures = measures

    def _measure_later(
        self, net: nn.Module, rows: LabelledRows, generator: torch.Generator, seed: int
    ) -> None:
        """Measure the crosses of a net when they are first asked for.

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
        sample = past.sample if isinstance(past, _Unmeasured) else RowSample(STRENGTH_ROWS)
        # As it is now: parameters may change before somebody asks.
        frozen = sibling(self, vars(self) | {"_measures": {}})
        measure = partial(frozen._measure_from_seed, net, seed, rows.device)
        self._measures = _Unmeasured(measure, sample.add(rows, generator))

    def _measure_from_seed(
        self, net: nn.Module, seed: int, device: torch.device, codes: Tensor
    ) -> dict[str, Any]:
        generator = torch.Generator(device).manual_seed(seed)
        return self._measure_crosses(net, codes.to(device), generator)

    def _measure_crosses(
        self, net: nn.Module, codes: Tensor, generator: torch.Generator
    ) -> dict[str, Any]:
        """Measure the strongest crosses, ties in field order.

        A cross whose effect is the same on all rows, but for rounding, does nothing: it is not
        listed.

        Parameters
        ----------
        net : nn.Module
            The trained net.
        codes : Tensor of shape (n, F)
            Rows in random order; as many are used as is affordable.
        generator : torch.Generator
            Source of the bootstrap samples.

        Returns
        -------
        dict
            What is to be known about them, by name: "crosses" as they are listed, and in the same
            order their measures, and the combinations of their values; "idle" are the names of
            crosses that do nothing; "shares_with" are the places of the crosses that share the
            effect of a listed one; "evidence" has no tests yet.
        """
        listed: list[tuple[int, ...]] = []
        if self.n_interactions:
            each = (self._list_crosses(member, codes) for member in members_of(net))
            listed = list(dict.fromkeys(chain.from_iterable(each)))
        nothing: dict[str, Any] = {key: [] for key in ("crosses", "idle", "shares_with")}
        nothing |= {key: [] for key in MEASURES[1:]} | {"evidence": CrossEvidence([], [], [])}
        if not listed:
            return nothing
        known = cast(EffectNet, net)
        codes = codes[: affordable_rows(known, listed)]
        effects = effects_of(known, codes, listed, self._field_columns())
        found = measure_strengths(effects, generator)
        strengths = found.strengths.tolist()
        names, columns = self._field_names(), self._field_columns()
        named = [tuple(names[field] for field in fields) for fields in listed]
        at_work = [place for place, strength in enumerate(strengths) if strength > ROUNDING]
        idle = [named[place] for place in sorted(set(range(len(listed))) - set(at_work))]
        at_work.sort(key=lambda place: (-strengths[place], listed[place]))
        kept = at_work[: self.n_interactions]
        if not kept:
            return nothing | {"idle": idle}
        unit = self._fitted_target().unit
        crosses = [Interaction(named[p], len(listed[p]), unit * strengths[p]) for p in kept]
        numbers = count_remembered(len(kept), sum(weight.numel() for weight in net.parameters()))
        values = [
            value_effects(
                codes[:, [columns[field][0] for field in listed[place]]], effects[place], n_most
            )
            for place, n_most in zip(kept, numbers, strict=True)
        ]
        return {
            "crosses": crosses,
            "idle": idle,
            "shares_with": find_shared(effects[kept]),
            "evidence": nothing["evidence"],
            "active_share": found.active_shares[kept].cpu().numpy(),
            "strength_error": unit * found.errors[kept].cpu().numpy(),
            "values": pack_combinations(
                [part.codes.cpu().numpy() for part in values],
                [part.counts.cpu().numpy() for part in values],
            ),
            "effects": torch.cat([part.effects for part in values]).float().cpu().numpy(),
        }

    def _measured(self, what: str, attribute: str = "") -> Any:
        """Return something of what is measured, measuring it first if need be.

        Parameters
        ----------
        what : str
            Its name in what `_measure_crosses` returns.
        attribute : str, optional
            The public attribute that is asked for; an estimator that is not fitted has none.
        """
        measures = vars(self).get("_measures")
        if measures is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {attribute!r}")
        return (measures.find() if isinstance(measures, _Unmeasured) else measures)[what]

    @property
    def selected_interactions_(self) -> list[Interaction]:
        """The listed crosses, strongest first."""
        crosses: list[Interaction] = self._measured("crosses", "selected_interactions_")
        return crosses

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if isinstance(measures := state.get("_measures"), _Unmeasured):
            state["_measures"] = measures.find()
        return state

    # Reports ----------------------------------------------------------------------------

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
            One row per cross, strongest first: fields (tuple of names); order; strength in
            log-odds; evidence (how surely the training rows hold this cross beyond what smaller
            sets explain, whatever the net has made of it, as a normal deviate; NaN if it was not
            tested, as after `partial_fit`); significant (whether it stands out from all sets of its
            order at this rate); active_share (share of the rows whose log-odds the cross changes
            at all); strength_error (standard error of the strength, from a bootstrap of the rows on
            which it was measured; it says nothing about other fits, see `interaction_stability`);
            shares_with (listed crosses whose contribution correlates with that of this one by more
            than .5: of a copy of a field, for instance).

        Raises
        ------
        ValueError
            If ``fdr`` is not between 0 and 1.
        """
        check_is_fitted(self)
        return self._tabulate(fdr)

    def _tabulate(
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
        table = pd.DataFrame(self.selected_interactions_, columns=list(Interaction._fields))
        for name in MEASURES[1:]:
            table[name] = self._measured(name)
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
        table.loc[table["fields"].isin({*self._measured("idle"), *inactive}), MEASURES] = 0.0
        self._add_evidence(table, fdr)
        return table.sort_values("strength", ascending=False, kind="stable", ignore_index=True)

    @on_one_fit
    @with_one_torch_thread()
    def value_effects(self, fields: Sequence[str], *, class_label: Any = None) -> pd.DataFrame:
        """Show what the values of a cross add to the log-odds.

        Parameters
        ----------
        fields : sequence of str
            Names of the fields of a cross in ``selected_interactions_``, in any order.
        class_label : object, optional
            The class whose log-odds are meant; see `explain`. By default the last of
            ``classes_``, which of two classes is the positive one.

        Returns
        -------
        DataFrame
            One column per field with the value, or its text where a field has values of several
            types; for a numeric field the interval of the bin, in an ordered column of dtype
            category (None, in numeric fields NaN, for unknown, rare, missing and hashed values);
            count, the rows with this combination in the sample of training rows on which strengths
            are measured; effect, the mean of what the cross adds to their log-odds. The 400 most
            frequent combinations, most frequent first; in a small net, only 50 of crosses that are
            not among the strongest, so that files stay small.
            Where a field has one of these names, an underscore follows ours: ``count_``.

        Raises
        ------
        ValueError
            If the cross is not among ``selected_interactions_``, or there is no such class.
        """
        check_is_fitted(self)
        place = self._find_cross(fields)
        known = self.selected_interactions_[place].fields
        codes, counts, rows = unpack_combinations(self._measured("values"), place)
        effects, target = self._measured("effects")[rows].astype(np.float64), self._fitted_target()
        effect = target.to_scores(effects[None], target.choose_output(class_label))[0]
        codes = codes[:, [known.index(field) for field in fields]]
        return self._tabulate_values(fields, codes, count=counts, effect=effect)

    def _find_cross(self, fields: Sequence[str]) -> int:
        """Return the place of a cross in ``selected_interactions_``."""
        names = self._field_names()
        listed = isinstance(fields, list | tuple | np.ndarray | pd.Index)
        if not (listed and all(isinstance(field, str) for field in fields)):
            raise ValueError(
                "fields must be the names of the fields of a cross, such as "
                f"{describe(tuple(names[:2]))}, got {describe(fields)}."
            )
        if strangers := [field for field in fields if field not in names]:
            raise ValueError(
                f"fields must name fields of X, {describe(names)}, got {describe(strangers)}."
            )
        if len(set(fields)) < max(2, len(fields)):
            raise ValueError(
                f"fields must name two or more different fields, got {describe(fields)}."
            )
        known = [set(cross.fields) for cross in self.selected_interactions_]
        if set(fields) not in known:
            raise ValueError(
                f"fields must name a cross of selected_interactions_, got {describe(fields)}; "
                "raise n_interactions to list more crosses."
            )
        return known.index(set(fields))

    def _tabulate_values(
        self, fields: Sequence[str], codes: Array, **columns: Array
    ) -> pd.DataFrame:
        """Put columns beside the values that codes (M, o) of some fields stand for.

        The name of a column that a field has, too, gets underscores.
        """
        places = self._main_columns(fields)
        shown = [self.encoder_._show(j, part) for j, part in zip(places, codes.T, strict=True)]
        table = pd.concat(shown, axis=1, keys=list(fields))
        for field in fields:
            # Values of one type only can go into a Parquet file.
            if pd.api.types.infer_dtype(table[field]).startswith(("mixed", "complex")):
                table[field] = table[field].map(_as_text)
        for name, column in columns.items():
            while name in table.columns:
                name += "_"
            table[name] = column
        return table

    def _widen(self, fields: Sequence[str], codes: Array) -> Array:
        """Make whole rows (M, C) of codes (M, o) of some fields; the other columns are unknown."""
        full = np.zeros((len(codes), len(self.encoder_.code_fields_)), dtype=np.int32)
        full[:, self._main_columns(fields)] = codes
        return full

    def _main_columns(self, fields: Sequence[str]) -> list[int]:
        """Return for some fields the columns of codes that stand for them."""
        columns = self._field_columns()
        return [columns[field][0] for field in self._places(fields)]

    # Single rows ------------------------------------------------------------------------

    @on_one_fit
    @with_one_torch_thread()
    def explain(
        self, X: Any, top: int | None = 5, *, class_label: Any = None, complete: bool = False
    ) -> pd.DataFrame:
        """List for every row the crosses that moved its log-odds most.

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
            classes are the log of its probability, less the mean of that over all classes.
        complete : bool, default=False
            Whether to add, with rank 0, the effect of every single field, F(field) - F(none), and
            one entry without fields, ``()``, for F(none) and the effects of all crosses that are
            not listed. The contributions of a row then sum to its log-odds.

        Returns
        -------
        DataFrame
            row (position in X, from 0), rank (from 1), fields (tuple of names), values (tuple of
            the texts of the values in X, None where one is missing), contribution. Crosses that do
            not change a row's log-odds are left out.

        Raises
        ------
        ValueError
            If X has other columns than in `fit`, or there is no such class.
        """
        check_is_fitted(self)
        if top is not None:
            check_integer("top", top, 1)
        table = as_table(X)
        validate_data(self, table, reset=False, skip_check_array=True)
        codes, net = self._encode(table), self._fitted_net()
        logits = predict_logits(net, codes)
        target = self._fitted_target()
        outputs = target.choose_outputs(logits, class_label)
        names = self._field_names()
        crosses = [
            tuple(names.index(f) for f in cross.fields) for cross in self.selected_interactions_
        ]
        fields = [(field,) for field in range(len(names))] if complete else []
        effects = np.zeros((0, len(codes)))
        if sets := fields + crosses:
            of_logits = effects_of(cast(EffectNet, net), codes, sets, self._field_columns())
            effects = target.to_scores(of_logits.double().cpu().numpy(), outputs)
        mains, contributions = effects[: len(fields)], effects[len(fields) :]
        columns = [pd.Series(cells).tolist() for cells in iterate_columns(table)]
        found = _rank(contributions, len(crosses) if top is None else top, target.unit)
        parts = [_make_entries(*found, crosses, columns, names)]
        if complete:
            parts.append(_make_entries(*_list_all(mains), fields, columns, names))
            rest = target.to_scores(logits[None], outputs)[0] + target.offset - mains.sum(0)
            np.subtract.at(rest, found[0], found[3])
            parts.append(_make_entries(*_list_all(rest[None]), [()], columns, names))
        return pd.concat(parts).sort_values("row", kind="stable", ignore_index=True)


def _rank(contributions: Array, top: int, unit: float) -> tuple[Array, Array, Array, Array]:
    """Return rows, ranks, places and values of the largest contributions (P, n) of every row."""
    order = np.argsort(-np.abs(contributions), axis=0, kind="stable")[:top]
    positions: Array = np.indices(order.shape)
    ranks, rows = positions
    values = np.take_along_axis(contributions, order, axis=0)
    kept = (np.abs(values) > unit * ROUNDING).T
    return rows.T[kept], ranks.T[kept] + 1, order.T[kept], values.T[kept]


def _list_all(contributions: Array) -> tuple[Array, Array, Array, Array]:
    """Return rows, ranks (0), places and values of all contributions (P, n)."""
    positions: Array = np.indices(contributions.shape)
    places, rows = positions
    return rows.T.ravel(), np.zeros(rows.size, int), places.T.ravel(), contributions.T.ravel()


def _make_entries(
    rows: Array,
    ranks: Array,
    places: Array,
    values: Array,
    crosses: Sequence[tuple[int, ...]],
    columns: Sequence[list[Any]],
    names: Sequence[str],
) -> pd.DataFrame:
    """Name the fields of every entry and look up their values in the columns of X."""
    named = [tuple(names[f] for f in cross) for cross in crosses]
    entries = list(zip(rows.tolist(), places.tolist(), strict=True))
    # As text: values of one type only can go into a Parquet file.
    cells = [tuple(_as_text(columns[f][row]) for f in crosses[place]) for row, place in entries]
    return pd.DataFrame(
        {
            "row": rows,
            "rank": ranks,
            "fields": [named[place] for _, place in entries],
            "values": cells,
            "contribution": values,
        }
    )


def _as_text(value: Any) -> str | None:
    """Return what a value prints, None if it is missing."""
    if isinstance(value, str):
        return value
    return None if pd.isna(value) is True else str(value)

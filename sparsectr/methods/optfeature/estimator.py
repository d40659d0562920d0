"""OptFeature: keep a cross, or drop it, by its fields or by the values of a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.stats import loguniform
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor
from torch.optim import Optimizer

from sparsectr.base import BaseInteractionEstimator
from sparsectr.drafts import on_one_fit
from sparsectr.encoding.columns import as_table
from sparsectr.kernels.threads import with_one_torch_thread
from sparsectr.methods.optfeature.crosses import check_orders
from sparsectr.methods.optfeature.gate_measures import MOST_COMBINATIONS, measure_gates, open_gates
from sparsectr.methods.optfeature.net import OptFeatureConfig, OptFeatureNet
from sparsectr.methods.optfeature.search import (
    GateStep,
    count_numbers,
    make_selection_optimizers,
    with_gates,
)
from sparsectr.nn.effects import FieldSet, fields_of
from sparsectr.nn.mean import members_of
from sparsectr.parameters import ParameterCheck, check_integer
from sparsectr.training.descent import descend, pool_batch
from sparsectr.training.memory import check_first_layer
from sparsectr.training.needs import PhaseNumbers
from sparsectr.training.optimizers import continuing, make_optimizers
from sparsectr.training.packing import pack_combinations, unpack_combinations
from sparsectr.training.prior import add_embedding_prior, automatic_l2
from sparsectr.training.progress import EpochRecord
from sparsectr.training.strengths import MOST_ROWS_BEHIND_MLP, strongest_sets
from sparsectr.training.task import TrainingTask

# Sets that are measured of every order; of order 4 where the net has such crosses.
MOST_MEASURED = {2: 500, 3: 50, 4: 20}
MOST_COMPARED = 2_000  # triples
COMPARING_BUDGET = 100_000
FEWEST_COMPARED_ROWS = 32


class BaseOptFeature(BaseInteractionEstimator):
    """Train the net of `OptFeatureClassifier`, whatever the target; see there for parameters."""

    _net_class = OptFeatureNet
    _net_parameters = (
        *BaseInteractionEstimator._net_parameters,
        *(field.name for field in dataclasses.fields(OptFeatureConfig)),
    )
    _automatic: ClassVar[tuple[str, ...]] = ("embedding_l2",)
    param_distributions: ClassVar[dict[str, Any]] = {
        "granularity": ["field", "value", "hybrid"],
        "hidden_units": [(), (64, 32), (256, 128)],
        "dropout": [0.0, 0.2, 0.4],
        "optimizer": ["adagrad", "adam"],
        "embedding_dim": [8, 16, 32],
        "embedding_l2": loguniform(1e-4, 1e-1),
        "learning_rate": loguniform(5e-4, 1e-2),
    }
    granularity: str
    combine: str
    search: str
    field_share: float | str
    search_fraction: float
    search_epochs: int
    gate_price: float | str
    retrain_init: str
    orders: Sequence[int]
    operator: str
    selection_dim: int
    selection_rank: int
    selection_learning_rate: float
    alpha_learning_rate: float
    hidden_units: Sequence[int]
    dropout: float
    optimizer: str

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check = ParameterCheck(self)
        check.choice("granularity", ["field", "value", "hybrid"])
        check.choice("combine", ["paper", "raw"])
        check.choice("search", ["bilevel", "joint", "paper"])
        check.real("field_share", 0, 1, open_low=True, open_high=True, or_auto=True)
        check.real("search_fraction", 0, 1, open_low=True, open_high=True)
        check.integer("search_epochs", 1)
        check.real("gate_price", 0, or_auto=True)
        check.choice("retrain_init", ["init", "random", "search"])
        check.integers("orders", 2)
        check.choice("orders", [(2,), (3,), (4,), (2, 3), (2, 4), (3, 4), (2, 3, 4)])
        check.choice("operator", ["inner", "outer"])
        if self.operator == "outer" and self.orders != (2,):
            raise ValueError(f"operator='outer' needs orders=(2,), got orders={self.orders!r}.")
        check.integer("selection_dim", 1)
        check.integer("selection_rank", self.selection_dim + 1)
        check.real("selection_learning_rate", 0, open_low=True)
        check.real("alpha_learning_rate", 0, open_low=True)
        check.integers("hidden_units", 1)
        check.real("dropout", 0, 1, open_high=True)
        check.choice("optimizer", ["adagrad", "adam"])

    def _most_epochs(self) -> int | None:
        if not isinstance(self.max_epochs, int) or not isinstance(self.search_epochs, int):
            return None
        return self.max_epochs + min(self.search_epochs, self.max_epochs)

    def _phase_numbers(self, n_outputs: int, n_rows: int, sizes: list[int]) -> list[PhaseNumbers]:
        n_gates = (self.granularity != "field") * self.selection_dim
        return count_numbers(self.optimizer, self.embedding_dim, n_gates)

    def _train_net(
        self, task: TrainingTask, net: OptFeatureNet | None
    ) -> tuple[OptFeatureNet, list[EpochRecord]]:
        if net is not None:
            net.mlp.seed_dropout(task.new_generator())
            kind = continuing(self.optimizer)
            return net, self._train_weights(task, net, "train", kind=kind)
        net = self._make_net(task)
        weights_generator = task.new_generator()
        start = weights_generator.get_state()
        net.reset_weights(weights_generator, task.prior_logits())
        share = 0.5 if isinstance(self.field_share, str) else self.field_share
        net.reset_selection(task.new_generator(), share)
        history = self._search(task, net)
        # From here on, the selection does not change: not even for values without a row.
        counts = task.train.count(net.embedding.vocabulary_sizes, weighted=True)
        net.embedding.fill_untrained(counts)
        if self.retrain_init != "search":
            weights_generator = task.new_generator()
            if self.retrain_init == "init":
                # The same numbers again, instead of a copy of a table that may be huge.
                weights_generator.set_state(start)
            net.reset_weights(weights_generator, task.prior_logits())
        self.alpha_ = net.alphas().cpu().numpy()
        net = net.prune()
        return net, history + self._train_weights(task, net, "retrain")

    def _make_net(self, task: TrainingTask) -> OptFeatureNet:
        n_fields, orders = len(task.vocabulary_sizes), tuple(self.orders)
        check_orders(orders, n_fields)
        check_first_layer(n_fields, self.embedding_dim, orders, self.hidden_units, task.device)
        names = [field.name for field in dataclasses.fields(OptFeatureConfig)]
        config = OptFeatureConfig(**{name: getattr(self, name) for name in names})
        shape = task.vocabulary_sizes, self.embedding_dim, task.n_outputs
        return OptFeatureNet(*shape, config).to(task.device)

    def _search(self, task: TrainingTask, net: OptFeatureNet) -> list[EpochRecord]:
        """Train weights and gates."""
        # NOTE[DIFF] a fixed number of epochs: the best weights come long before the best gates.
        schedule = dataclasses.replace(
            task.schedule.of_search(len(task.train)),
            max_epochs=min(self.search_epochs, task.schedule.max_epochs),
            patience=None,
        )
        as_in_paper = self.search == "paper"
        rate = self.selection_learning_rate
        of_alpha = self.alpha_learning_rate if isinstance(self.field_share, str) else None
        selection = make_selection_optimizers(net, rate, of_alpha, as_in_paper=as_in_paper)
        evaluate = with_gates(task.evaluate, net, task.train)
        task = dataclasses.replace(task, evaluate=evaluate, schedule=schedule)
        if self.search == "joint":
            return self._train_weights(task, net, "search", selection=selection)
        task, search_rows = task.split_off(self.search_fraction)
        if shortage := search_rows.loss.shortage(search_rows.targets):
            raise ValueError(
                f"the rows set apart for the search must hold {shortage} in "
                f"{len(search_rows)} rows. Pass more rows or raise search_fraction."
            )
        price = None if isinstance(self.gate_price, str) else self.gate_price
        gates = GateStep(task, net, search_rows, selection, price, as_in_paper=as_in_paper)
        n_steps = -(-len(task.train) // schedule.batch_size) * schedule.max_epochs
        return self._train_weights(
            task, net, "search", before=gates, gate_rows=gates.beside(n_steps)
        )

    def _train_weights(
        self,
        task: TrainingTask,
        net: OptFeatureNet,
        phase: str,
        *,
        kind: str | None = None,
        before: GateStep | None = None,
        gate_rows: Iterator[Sequence[Tensor]] | None = None,
        selection: Sequence[Optimizer] = (),
    ) -> list[EpochRecord]:
        """Train embeddings and predictor.

        Gates stay as they are, apart from what ``before`` does to them ahead of every step that
        ``gate_rows`` has a batch for; or they are trained on the same batches by the ``selection``
        optimizers.
        """
        of_weights = make_optimizers(
            [net.embedding.weight],
            [*net.mlp.parameters(), *(net.outer.parameters() if net.outer else ())],
            kind or self.optimizer,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            columns=(0, self.embedding_dim),
        )
        l2 = self.embedding_l2
        if l2 == "auto":
            l2 = automatic_l2(net.embedding, task.train, self.hidden_units)
        self.embedding_l2_ = l2
        add_embedding_prior(of_weights, net.embedding, task.train, l2)
        optimizers = [*of_weights, *selection]

        def step(rows: Tensor, *gate_rows: Tensor) -> Tensor:
            if before is not None:
                for some_rows in gate_rows:
                    before(some_rows)
            batch = pool_batch(net, task.train.take(rows))
            if selection:  # gates and weights follow one gradient
                loss = batch.mean_loss(net(batch.codes))
            else:
                with torch.no_grad():
                    gates = net.gates_of(batch.codes)
                loss = net.loss(batch, gates)
            descend(loss, optimizers, len(rows), batch.bags)
            return loss.detach()

        return task.run(
            net,
            step,
            phase=phase,
            optimizers=[*optimizers, *(before.optimizers if before else ())],
            annealed=optimizers,
            beside=gate_rows,
        )

    # Reports --------------------------------------------------------------------------

    @on_one_fit
    def interaction_table(self, *, fdr: float = 0.05) -> pd.DataFrame:
        """Describe every cross, selected or not.

        Parameters
        ----------
        fdr : float, default=0.05
            Expected share of false ones among the significant crosses of an order, at most.

        Returns
        -------
        DataFrame
            One row per cross with a gate or in ``selected_interactions_``, strongest first. The
            columns of every method: fields (tuple of names), order, strength, evidence,
            significant, active_share, strength_error and shares_with, as `DynIntClassifier`
            describes them (the measures are NaN for a cross that is not among the
            ``n_interactions`` listed ones; 0 for one that was measured and changes no log-odds or
            all of them alike, and, without hidden units, for one that is never open). And keep_rate
            (share of training rows with an open gate; where a strong cross has 0, hidden units do
            its work); granularity ("field" or "value", as chosen); alpha. These three are NaN for a
            cross without a gate, such as a triple of hidden units where ``orders`` is (2,).
        """
        check_is_fitted(self)
        net = self._optfeature_net()
        columns = {
            "fields": self._gated(net),
            "keep_rate": self.keep_rate_,
            "granularity": np.where(net.follows_fields().cpu(), "field", "value"),
            "alpha": self.alpha_,
        }
        crosses = pd.DataFrame(columns)
        # Of a field with several columns of codes, the first one stands for all.
        crosses = crosses[crosses["fields"].map(len) > 1].drop_duplicates("fields")
        closed = crosses.loc[crosses["keep_rate"] == 0, "fields"]
        inactive = () if net.config.hidden_units else closed
        return self._explanation().tabulate_crosses(fdr, crosses, inactive=inactive)

    @on_one_fit
    @with_one_torch_thread()
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
            score of the gate: open if > 0. Open gates first, most frequent combinations first. A
            cross without a gate, whose order is not in ``orders``, is always open: hidden units see
            all fields. Its scores are NaN.
            Where a field has one of these names, an underscore follows ours: ``count_``.

        Raises
        ------
        ValueError
            If the cross is not among ``selected_interactions_``.
        """
        check_is_fitted(self)
        check_integer("top", top, 1, MOST_COMBINATIONS)
        net = self._optfeature_net()
        explanation = self._explanation()
        place = explanation.find_cross(fields)
        known = explanation.crosses[place].fields
        codes, counts, _ = unpack_combinations(explanation.measures["combinations"], place)
        gated = self._gated(net)
        scores, opened = np.full(len(codes), np.nan), np.ones(len(codes), bool)
        if known in gated:
            rows = torch.from_numpy(explanation.fields.widen(known, codes)).to(net.kept.device)
            with torch.inference_mode():
                every = net.chosen_scores(net.look_up(rows)[1])
            scores = every[:, gated.index(known)].cpu().numpy()
            opened = scores > 0
        order = np.argsort(-counts, kind="stable")
        shown = [order[opened[order] == is_open][:top] for is_open in (True, False)]
        columns = {"count": counts, "open": opened, "score": scores}
        table = explanation.fields.tabulate(known, codes, **columns)
        return table.iloc[np.concatenate(shown)].reset_index(drop=True)

    @on_one_fit
    @with_one_torch_thread()
    def gate(self, X: Any) -> pd.DataFrame:
        """Say for every row and every cross whether the gate is open.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            The columns of `fit`, in the same order.

        Returns
        -------
        DataFrame of bool, shape (n_rows, n_crosses)
            The columns are named by the tuples of the crossed fields, or columns of codes where a
            field has several.
        """
        check_is_fitted(self)
        table = as_table(X)
        validate_data(self, table, reset=False, skip_check_array=True)
        codes, wide = self._encode_for_net(table)
        net = self._optfeature_net(wide)
        names = self.encoder_.get_feature_names_out().astype(str).tolist()
        crosses = [tuple(names[column] for column in cross) for cross in net.crosses()]
        columns = pd.Index(crosses, tupleize_cols=False)
        gates = open_gates(net, codes).cpu().numpy()
        return pd.DataFrame(gates, columns=columns)

    def _optfeature_net(self, net: Any = None) -> OptFeatureNet:
        """Return the net whose gates are told about: of several members the first."""
        return cast(OptFeatureNet, members_of(net or self._fitted_net())[0])

    def _gated(self, net: OptFeatureNet) -> list[tuple[str, ...]]:
        """Return the names of the fields of all crosses, in the order of the gates."""
        fields = self._fields()
        return [fields.named(fields_of(cross, fields.columns)) for cross in net.crosses()]

    def _list_crosses(self, net: OptFeatureNet, codes: Tensor) -> Iterable[FieldSet]:
        columns = self._fields().columns
        if not net.config.hidden_units:
            # A cross has no other way to the logits than its gate.
            kept = (fields_of(cross, columns) for cross in net.kept_crosses())
            return dict.fromkeys(fields for fields in kept if len(fields) > 1)

        def effects(rows: Tensor, sets: Sequence[FieldSet]) -> Tensor:
            return net.effects(rows, sets, columns)

        return strongest_sets(
            effects,
            codes,
            len(columns),
            {order: n for order, n in MOST_MEASURED.items() if order < 4 or 4 in self.orders},
            budget=COMPARING_BUDGET,
            fewest_rows=FEWEST_COMPARED_ROWS,
            most_compared=MOST_COMPARED,
        )

    def _measure_crosses(
        self, net: Any, codes: Tensor, generator: torch.Generator, *, brief: bool = False
    ) -> dict[str, Any]:
        found = super()._measure_crosses(net, codes[:MOST_ROWS_BEHIND_MLP], generator, brief=brief)
        if brief:
            return found
        fields = self._fields()
        crosses = [tuple(fields.main_columns(cross.fields)) for cross in found["crosses"]]
        keep_rate, some = measure_gates(cast(Any, members_of(net)[0]), codes, crosses)
        return found | {"keep_rate": keep_rate, "combinations": pack_combinations(*some)}

    @property
    def keep_rate_(self) -> npt.NDArray[np.float64]:
        """Share of rows on which the gate of each cross is open."""
        return cast(Any, self._explanation("keep_rate_").measures["keep_rate"])

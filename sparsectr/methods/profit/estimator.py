"""PROFIT: crosses of every order, found by a progressive search in a distilled space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import loguniform
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sparsectr.base import BaseInteractionEstimator
from sparsectr.drafts import on_one_fit
from sparsectr.methods.profit.net import ProfitConfig, ProfitNet, without_crosses
from sparsectr.methods.profit.ranking import RANKING_ROWS, count_crosses, rank_crosses
from sparsectr.methods.profit.search import CrossSearch, SearchSettings, make_weight_optimizers
from sparsectr.methods.profit.search_net import CrossSearchNet
from sparsectr.methods.profit.search_spaces import make_space, rebuild_space
from sparsectr.nn.effects import FieldSet, fields_of
from sparsectr.parameters import ParameterCheck, check_integer
from sparsectr.training.descent import descend, pool_batch
from sparsectr.training.needs import PhaseNumbers
from sparsectr.training.optimizers import RowAdagrad, continuing, state_numbers
from sparsectr.training.prior import add_embedding_prior, l2_by_rows
from sparsectr.training.progress import EpochRecord
from sparsectr.training.strengths import MOST_ROWS_BEHIND_MLP
from sparsectr.training.task import TrainingTask

# Adagrad's share of the learning rate: whole steps are too long for plain sums of products.
ADAGRAD_SHARE = 0.5
# Rows per value from which embeddings of a sum of products are long, and how long they are.
FREQUENT, LONG, SHORT = 100, 32, 16
# Weight of the prior of embeddings where there are rows enough.
USUAL_L2 = 1e-4
# Triples pay on most tables; orders above them have not been seen to (docs/decisions.md).
DEFAULT_ORDER = 3
# Numbers of the searched weights of an order.
LARGEST_TENSOR = 10_000_000


class BaseProfit(BaseInteractionEstimator):
    """Train the net of `ProfitClassifier`, whatever the target; see there for parameters."""

    _net_class = ProfitNet
    _net_parameters = (
        *BaseInteractionEstimator._net_parameters,
        "max_order",
        "n_crosses",
        "predictor",
        "hidden_units",
        "dropout",
        "retrain_weights",
    )
    _automatic = ("embedding_dim", "embedding_l2")
    param_distributions: ClassVar[dict[str, Any]] = {
        "max_order": [2, 3],
        "predictor": ["linear", "mlp"],
        "hidden_units": [(64, 32), (256, 128)],
        "dropout": [0.0, 0.2, 0.4],
        "optimizer": ["adagrad", "adam"],
        "embedding_dim": [8, 16, 32],
        # A sum of crosses wants a weak prior, an MLP a strong one.
        "embedding_l2": loguniform(1e-5, 1e-1),
        "learning_rate": loguniform(1e-3, 1e-2),
    }
    max_order: int | str
    n_crosses: int | Mapping[int, int] | str
    rank: int
    space: str
    coupling: str
    repeats: bool
    search: str
    screening: str | None
    search_epochs: int | dict[int, int]
    search_patience: int
    search_fraction: float
    architecture_learning_rate: float
    ranking: str
    predictor: str
    hidden_units: Sequence[int]
    dropout: float
    retrain_weights: str
    retrain_from: str
    optimizer: str

    @on_one_fit
    def interaction_table(self, *, fdr: float = 0.05) -> pd.DataFrame:
        """Return the kept crosses as a table.

        Parameters
        ----------
        fdr : float, default=0.05
            Expected share of false ones among the significant crosses of an order, at most.

        Returns
        -------
        DataFrame
            One row per kept cross, strongest first. The columns of every method: fields (tuple of
            names), order, strength, evidence, significant, active_share, strength_error and
            shares_with, as `DynIntClassifier` describes them (the measures are 0 where a cross
            changes no log-odds or all of them alike, NaN beyond the ``n_interactions`` listed
            ones). And of the search: rank (within the order, from 1), weight (A_c), contribution
            (``|A_c|`` times the standard deviation of the product of the embeddings), phase in
            which it was found: "screening", if the search started from it, or "search".
        """
        check_is_fitted(self)
        columns = ["fields", "rank", "weight", "contribution", "phase"]
        crosses = pd.DataFrame(self.crosses_, columns=columns)
        # Of a field with several columns of codes, the best cross stands for all.
        crosses = crosses[crosses["fields"].map(len) > 1].drop_duplicates("fields")
        return self._explanation().tabulate_crosses(fdr, crosses)

    @on_one_fit
    def architecture_tensor(self, order: int) -> NDArray[np.float32]:
        """Return what the search weighed the sets of an order by.

        Its singular values, as those of a matrix with one row per column, tell how many components
        the sets need (figure 2 of the paper).

        Parameters
        ----------
        order : int
            Number of fields in a set, from 1 to the largest of the search.

        Returns
        -------
        ndarray of float32, shape (n_columns,) * order
            Symmetric; zero where a column stands twice. Columns are the columns of codes: as many
            as fields, unless a field has several, see `FieldEncoder.code_fields_`.

        Raises
        ------
        ValueError
            If the search had no such order, or the tensor would have more than 10 million numbers.
        """
        check_is_fitted(self)
        check_integer("order", order, 1, len(self.architecture_))
        n_columns = len(self.encoder_.vocabulary_sizes_)
        if n_columns**order > LARGEST_TENSOR:
            raise ValueError(
                f"a tensor of order {order} over {n_columns} columns has {n_columns**order:,} "
                f"numbers, and at most {LARGEST_TENSOR:,} are returned."
            )
        space = rebuild_space(self.architecture_, n_columns, self.coupling, self.repeats)
        return space.tensor(order).numpy()

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check = ParameterCheck(self)
        check.integer("max_order", 2, or_auto=True)
        check.integer_per_order("n_crosses", 2, 0, or_auto=True)
        check.integer("rank", 1)
        check.choice("space", ["auto", "cp", "full"])
        check.choice("coupling", ["symmetric", "stacked"])
        check.choice("repeats", [True, False])
        check.choice("search", ["progressive", "one_step", "random"])
        check.choice("screening", ["residual", None])
        check.integer_per_order("search_epochs", 1, 1)
        check.integer("search_patience", 1)
        check.real("search_fraction", 0, 1, open_low=True, open_high=True)
        check.real("architecture_learning_rate", 0, open_low=True)
        check.choice("ranking", ["contribution", "weight"])
        check.choice("predictor", ["linear", "mlp"])
        check.integers("hidden_units", 1)
        check.real("dropout", 0, 1, open_high=True)
        check.choice("retrain_weights", ["learn", "fixed", "ones"])
        check.choice("retrain_from", ["auto", "search", "scratch"])
        check.choice("optimizer", ["adagrad", "adam"])

    def _most_epochs(self) -> int | None:
        return None  # the search may end an order early

    def _snapshot(self, net: nn.Module) -> dict[str, Any]:
        # What a callback can see before the crosses are chosen.
        return super()._snapshot(without_crosses(net) if isinstance(net, CrossSearchNet) else net)

    # Training -------------------------------------------------------------------------

    def _phase_numbers(self, n_outputs: int, n_rows: int, sizes: list[int]) -> list[PhaseNumbers]:
        tables = (self._embedding_length(n_rows * len(sizes), sum(sizes)), n_outputs)
        kind = continuing(self.optimizer) if self._starts_at_search() else self.optimizer
        of_search, state = (
            sum(state_numbers(name, width) for width in tables) for name in ("adam", kind)
        )
        # The net of the search stays until the kept crosses are trained.
        search = PhaseNumbers(sum(tables), of_search)
        return [search, PhaseNumbers(sum(tables), state, others=sum(tables))]

    def _train_net(
        self, task: TrainingTask, net: ProfitNet | None
    ) -> tuple[ProfitNet, list[EpochRecord]]:
        history: list[EpochRecord] = []
        kind = continuing(self.optimizer)
        if net is None:
            search = self._make_search(task)
            history = search.run()
            self.search_history_ = history
            self.architecture_ = [
                value.detach().cpu().numpy() for value in search.net.space.architecture
            ]
            net = self._keep_crosses(task, search)
            if self._starts_at_search():
                net.take_over(search.net)
            else:
                kind = self.optimizer
        self.embedding_dim_ = net.embedding.weight.shape[1]
        return net, history + self._retrain(task, net, kind)

    def _count_crosses(self, n_fields: int) -> dict[int, int]:
        """Return how many crosses to keep of every order from 2 to the largest."""
        if self.max_order != "auto":
            max_order = int(self.max_order)
        elif isinstance(self.n_crosses, Mapping):
            max_order = max(self.n_crosses, default=2)
        else:
            max_order = max(2, min(DEFAULT_ORDER, n_fields))
        return count_crosses(self.n_crosses, n_fields, max_order)

    def _epochs_per_order(self, max_order: int) -> dict[int, int]:
        """Return the most epochs of the search of every order."""
        orders = range(1, max_order + 1)
        if not isinstance(self.search_epochs, Mapping):
            return dict.fromkeys(orders, self.search_epochs)
        if missing := [order for order in orders if order not in self.search_epochs]:
            raise ValueError(
                f"search_epochs must name every order from 1 to {max_order}, got none of {missing}."
            )
        return self.search_epochs

    def _make_search(self, task: TrainingTask) -> CrossSearch:
        n_fields = len(task.vocabulary_sizes)
        n_crosses = self._count_crosses(n_fields)
        space = make_space(
            self.space, n_fields, max(n_crosses), self.rank, self.coupling, self.repeats
        )
        n_values = sum(task.vocabulary_sizes) - task.train.n_sets
        net = CrossSearchNet(
            task.vocabulary_sizes,
            self._embedding_length(task.train.n_lookups, n_values),
            task.n_outputs,
            space,
        )
        net = net.to(task.device)
        net.reset_parameters(task.new_generator(), task.prior_logits())
        settings = SearchSettings(
            search=self.search,
            fraction=self.search_fraction,
            epochs=self._epochs_per_order(max(n_crosses)),
            patience=self.search_patience,
            architecture_learning_rate=self.architecture_learning_rate,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            embedding_l2=self._settle_l2(net, task),
            most_screened={order: min(n, self.rank) for order, n in n_crosses.items()}
            if self.screening
            else {},
        )
        return CrossSearch(net, task, settings)

    def _embedding_length(self, n_lookups: int, n_values: int) -> int:
        if self.embedding_dim != "auto":
            return int(self.embedding_dim)
        frequent = n_lookups / n_values >= FREQUENT
        return LONG if self.predictor == "linear" and frequent else SHORT

    def _settle_l2(self, net: CrossSearchNet | ProfitNet, task: TrainingTask) -> float:
        """Return the weight of the prior of the embeddings, and keep it."""
        l2 = self.embedding_l2
        if l2 == "auto":
            l2 = l2_by_rows(USUAL_L2, net.embedding, task.train)
        self.embedding_l2_ = float(l2)
        return self.embedding_l2_

    def _keep_crosses(self, task: TrainingTask, search: CrossSearch) -> ProfitNet:
        """Rank the searched crosses and build the net that has only the best."""
        n_per_order = self._count_crosses(len(task.vocabulary_sizes))
        codes = task.train.sample(RANKING_ROWS, task.new_generator()).codes
        ranked = rank_crosses(search.net, codes, n_per_order, by=self.ranking)
        fields = self._fields()
        self.crosses_ = [
            cross._asdict()
            | {
                "fields": fields.named(fields_of(cross.fields, fields.columns)),
                "order": len(cross.fields),
                "phase": "screening" if search.has_screened(cross.fields) else "search",
            }
            for cross in ranked
        ]
        config = ProfitConfig(
            crosses=tuple(cross.fields for cross in ranked),
            predictor=self.predictor,
            hidden_units=tuple(self.hidden_units),
            dropout=self.dropout,
            learn_weights=self.retrain_weights == "learn",
        )
        length = search.net.embedding.weight.shape[1]
        net = ProfitNet(task.vocabulary_sizes, length, task.n_outputs, config)
        net = net.to(task.device)
        ones = self.retrain_weights == "ones"
        weights = np.array([1.0 if ones else cross.weight for cross in ranked], np.float32)
        prior = task.prior_logits()
        net.reset_parameters(task.new_generator(), prior, torch.from_numpy(weights))
        return net

    def _starts_at_search(self) -> bool:
        if self.retrain_from == "auto":
            return self.optimizer == "adam"
        return self.retrain_from == "search"

    def _retrain(self, task: TrainingTask, net: ProfitNet, kind: str) -> list[EpochRecord]:
        rate = self.learning_rate * (ADAGRAD_SHARE if kind == "adagrad" else 1)
        optimizers = make_weight_optimizers(net, rate, self.weight_decay, kind)
        net.predictor.seed(task.new_generator())
        l2 = self._settle_l2(net, task)
        add_embedding_prior(optimizers, net.embedding, task.train, l2)
        for optimizer in optimizers:
            if isinstance(optimizer, RowAdagrad):
                optimizer.gradient_scales[net.predictor.linear.table.weight] = task.gradient_scale()

        def step(rows: Tensor) -> Tensor:
            batch = pool_batch(net, task.train.take(rows))
            loss = net.loss(batch)
            descend(loss, optimizers, len(rows), batch.bags)
            return loss.detach()

        return task.run(net, step, phase="retrain", optimizers=optimizers, annealed=optimizers)

    def _measure_crosses(
        self, net: nn.Module, codes: Tensor, generator: torch.Generator, *, brief: bool = False
    ) -> dict[str, Any]:
        n_rows = len(codes) if self.predictor == "linear" else MOST_ROWS_BEHIND_MLP
        return super()._measure_crosses(net, codes[:n_rows], generator, brief=brief)

    def _list_crosses(self, net: ProfitNet, codes: Tensor) -> Iterable[FieldSet]:
        columns = self._fields().columns
        crosses = (fields_of(cross, columns) for cross in net.config.crosses)
        return dict.fromkeys(fields for fields in crosses if len(fields) > 1)

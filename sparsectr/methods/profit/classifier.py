"""PROFIT: crosses of every order, found by a progressive search in a distilled space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from scipy.stats import loguniform
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sparsectr.base import BaseInteractionClassifier
from sparsectr.drafts import on_one_fit
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.methods.profit.net import ProfitConfig, ProfitNet, without_crosses
from sparsectr.methods.profit.ranking import RANKING_ROWS, count_crosses, rank_crosses
from sparsectr.methods.profit.search import CrossSearch, SearchSettings, make_weight_optimizers
from sparsectr.methods.profit.search_net import CrossSearchNet
from sparsectr.methods.profit.search_spaces import make_space
from sparsectr.parameters import ParameterCheck, check_integer
from sparsectr.training.descent import descend
from sparsectr.training.loop import EpochRecord
from sparsectr.training.losses import log_loss
from sparsectr.training.optimizers import RowAdagrad, continuing
from sparsectr.training.prior import add_embedding_prior
from sparsectr.training.strengths import MOST_ROWS_BEHIND_MLP
from sparsectr.training.task import TrainingTask

# Adagrad's share of the learning rate: whole steps are too long for plain sums of products.
ADAGRAD_SHARE = 0.5
# Rows per value from which embeddings of a sum of products are long, and how long they are.
FREQUENT, LONG, SHORT = 100, 32, 16
# Triples pay on most tables; orders above them have not been seen to (docs/decisions.md).
DEFAULT_ORDER = 3


class ProfitClassifier(BaseInteractionClassifier):
    """Find the best crosses of every order, then train a light model that uses only those.

    A search net adds up all crosses of a table, weighted by a tensor per order that is distilled
    to ``rank`` vectors: the weight of a set c of fields is ``A_c = sum_r prod_{m in c}
    beta_r[m]``. It is searched order by order, in alternating steps on the betas (on rows of
    their own) and on the embeddings. The strongest crosses of every order are kept, and a net
    with only these is trained on all rows.

    Parameters
    ----------
    max_order : int or "auto", default="auto"
        Largest number of fields in a cross, at most the number of fields. "auto": the largest order
        that a dict of ``n_crosses`` names; without one 3, or 2 if there are two fields.
    n_crosses : int, dict or "auto", default="auto"
        Crosses kept per order: one number for all orders from 2 on (all sets of a higher order
        that has fewer), or a dict from every order to a number. "auto" keeps
        ``min(2 F, 15 % of the sets)`` of order 2 and F of each higher order, with F fields.
    rank : int, default=4
        Number of components of the distilled space (R in eq. 6).
    space : {"auto", "cp", "full"}, default="auto"
        "cp" is the distilled space, "full" has one free weight for every set. "auto" takes
        "full" up to 200 sets.
    coupling : {"symmetric", "stacked"}, default="symmetric"
        Whether order o has betas of its own for all its factors, or multiplies those of the lower
        orders by one new beta.
    repeats : bool, default=False
        Whether a field may occur in a product more than once during the search ("cp" only).
    search : {"progressive", "one_step", "random"}, default="progressive"
        Order by order; or, for comparison, all orders at once, or random architectures on shared
        weights, of which the best of 20 is kept.
    screening : {"residual", None}, default="residual"
        "residual" starts every order of the progressive search at up to ``rank`` sets whose joint
        values explain the residuals of the lower orders. None starts it at random, as in the
        paper: crosses without traces in lower orders are then often missed.
    search_epochs : int, default=8
        Most epochs per order in the search (``max_epochs``, if smaller).
    search_patience : int, default=2
        Epochs without improvement after which the search of an order ends.
    search_fraction : float, default=0.2
        Share of the training rows, in (0, 1), that the search uses for the betas. Each step takes
        as large a share of a batch of them, but no fewer than 512 rows if batches have so many.
    architecture_learning_rate : float, default=1e-2
        Learning rate of the betas.
    ranking : {"contribution", "weight"}, default="contribution"
        Rank crosses by ``|A_c|`` times the standard deviation over rows of the product of their
        embeddings, or by ``|A_c|``, which depends on how embeddings and betas share their scale.
    predictor : {"linear", "mlp"}, default="linear"
        Whether the kept crosses are added up or enter an MLP together with the embeddings.
    hidden_units : tuple of int, default=(64, 32)
        Hidden layers of the "mlp" predictor.
    dropout : float, default=0.0
        Share of its hidden units dropped in training, in [0, 1).
    retrain_weights : {"learn", "fixed", "ones"}, default="learn"
        Weights of the kept crosses: trained from the searched values, kept at them, or 1.
    retrain_from : {"auto", "search", "scratch"}, default="auto"
        Where the kept net starts: at the searched embeddings or at random. "auto": at random with
        "adagrad", at the searched ones with "adam".
    optimizer : {"adagrad", "adam"}, default="adagrad"
        What trains the embeddings of the kept net: Adagrad with one step length per row, or Adam
        on touched rows. All else follows Adam. Where training goes on with trained embeddings, by
        ``retrain_from="search"``, ``partial_fit`` or ``warm_start``, "adagrad" gives way to "adam".
    embedding_dim : int or "auto", default="auto"
        Length D of an embedding. "auto": 32 for the linear predictor where a value has 100 rows or
        more on average, 16 otherwise.
    embedding_l2 : float, default=1e-4
        Weight of ``|e|^2 / 2``, summed over all values, beside the mean log loss.
    learning_rate : float, default=5e-3
        Step size of the optimizers. The betas have one of their own. Under "adagrad" the kept net
        takes steps half as long, and its embeddings steps 15 times as long.
    weight_decay : float, default=1e-6
        L2 penalty per step of the optimizers.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto": the power of two that gives about 400 steps per epoch, from 32 to
        4,096.
    max_epochs : int, default=30
        Maximum number of passes over the training rows. It holds for every phase.
    early_stopping : bool or "auto", default="auto"
        Whether training stops when the validation metric stops improving; the weights of the best
        epoch are restored. "auto": if there are at least 500 rows, or validation rows are passed to
        `fit`.
    monitor : {"log_loss", "roc_auc"}, default="log_loss"
        The validation metric that early stopping watches.
    validation_fraction : float, default=0.1
        Share of the rows set apart for early stopping, if no ``X_val`` is passed to `fit`.
    n_iter_no_change : int, default=4
        Number of epochs in a row without improvement before training stops. From the second of them
        on, each lowers the learning rate to a tenth, and the next epoch starts from the weights of
        the best one.
    n_interactions : int, default=50
        Maximum number of crosses in ``selected_interactions_``.
    class_weight : dict, "balanced" or None, default=None
        Factor of every class in the loss; "balanced": the inverse of the summed weight of its rows.
    encoder : FieldEncoder, FrozenEstimator or "auto", default="auto"
        Turns columns into codes; "auto" is ``FieldEncoder()``. A given encoder is cloned and fitted
        anew, a fitted one too; ``FrozenEstimator(fitted)`` keeps its vocabularies.
    warm_start : bool, default=False
        Whether `fit` goes on from the fitted net, with the same vocabularies. Parameters that shape
        the net must not have changed. The kept net is trained further; nothing is searched again.
    device : str, default="auto"
        Where to train: "cpu", "cuda", ...; "auto" takes a GPU if there is one.
    random_state : int, RandomState or None, default=None
        Source of all random numbers: validation split, initial weights, order of the rows.
    verbose : int, default=0
        Whether to print one line per epoch (1) or nothing (0).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    encoder_ : FieldEncoder
        The fitted encoder.
    selected_interactions_ : list of Interaction
        Kept crosses of all orders that have an effect, the strongest first.
    crosses_ : list of dict
        The kept crosses by order and rank, see `interaction_table`.
    architecture_ : list of ndarray
        Searched betas (rank, F) of the orders 1, 2, ..., or free weights of all sets.
    search_history_ : list of dict
        One record per epoch of the search.
    history_ : list of dict
        One record per epoch of all phases, "search" and "retrain".
    epoch_seconds_ : ndarray of float64, shape (n_epochs,)
        Seconds that every epoch took; NaN for those before the estimator was copied or read from
        a file. Files and copies hold none.
    n_parameters_ : dict of str to int
        Numbers of weights: "embedding", "architecture" (the kept crosses), "predictor".
    n_iter_ : int
        Number of epochs over all phases.
    embedding_dim_ : int
        The length of an embedding.
    batch_size_ : int
        Rows per step.
    early_stopping_ : bool
        Whether validation could end a phase.
    device_ : str
        Device of training.
    n_features_in_ : int
        Number of fields.
    feature_names_in_ : ndarray of shape (n_fields,)
        Names of the fields, if they are strings.
    param_distributions : dict
        A space of settings for a random search, the same for all objects of the class: lists, and
        log-uniform distributions of scipy. Without ``max_epochs``, which may be the resource of a
        successive halving, and without ``n_crosses``, whose range depends on the table.

    Notes
    -----
    Source: C. Gao, Y. Li, Q. Yao, D. Jin and Y. Li, "Progressive feature interaction
    search for deep sparse network", NeurIPS 2021, equations 4 and 6, algorithm 1. Differences:

    * sets hold distinct fields (``repeats=False``), and a set counts once, not in all its orders;
    * crosses are ranked by a contribution that does not change when an embedding is scaled and
      its beta scaled back; the paper's weight is ``ranking="weight"``;
    * before every order, sets are screened by residuals (``screening``);
    * batches of the architecture are shuffled, epochs are chosen on rows of their own;
    * the betas have no weight decay;
    * Adagrad's sums for the linear term start at the size of a lookup's gradient, not at 0;
    * at the end of `fit` the intercept alone goes to the minimum of the training loss, where the
      mean prediction is the share of the class.

    Examples
    --------
    >>> from sparsectr.datasets import make_clicks
    >>> from sparsectr.methods.profit.classifier import ProfitClassifier
    >>> clicks = make_clicks(5_000, n_fields=5, cardinality=10, random_state=0)
    >>> clf = ProfitClassifier(n_crosses=1, random_state=0).fit(clicks.X, clicks.y)
    >>> sorted(cross.fields for cross in clf.selected_interactions_)  # the planted ones
    [('f0', 'f1'), ('f2', 'f3', 'f4')]
    """

    _net_class = ProfitNet
    _net_parameters = (
        *BaseInteractionClassifier._net_parameters,
        "max_order",
        "n_crosses",
        "predictor",
        "hidden_units",
        "dropout",
        "retrain_weights",
    )
    _automatic = ("embedding_dim",)
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

    def __init__(
        self,
        *,
        max_order: int | str = "auto",
        n_crosses: int | Mapping[int, int] | str = "auto",
        rank: int = 4,
        space: str = "auto",
        coupling: str = "symmetric",
        repeats: bool = False,
        search: str = "progressive",
        screening: str | None = "residual",
        search_epochs: int = 8,
        search_patience: int = 2,
        search_fraction: float = 0.2,
        architecture_learning_rate: float = 1e-2,
        ranking: str = "contribution",
        predictor: str = "linear",
        hidden_units: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        retrain_weights: str = "learn",
        retrain_from: str = "auto",
        optimizer: str = "adagrad",
        embedding_dim: int | str = "auto",
        embedding_l2: float = 1e-4,
        learning_rate: float = 5e-3,
        weight_decay: float = 1e-6,
        batch_size: int | str = "auto",
        max_epochs: int = 30,
        early_stopping: bool | str = "auto",
        monitor: str = "log_loss",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 4,
        n_interactions: int = 50,
        class_weight: dict[Any, float] | str | None = None,
        encoder: FieldEncoder | str = "auto",
        warm_start: bool = False,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            embedding_dim=embedding_dim,
            embedding_l2=embedding_l2,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            max_epochs=max_epochs,
            early_stopping=early_stopping,
            monitor=monitor,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            n_interactions=n_interactions,
            class_weight=class_weight,
            encoder=encoder,
            warm_start=warm_start,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.max_order = max_order
        self.n_crosses = n_crosses
        self.rank = rank
        self.space = space
        self.coupling = coupling
        self.repeats = repeats
        self.search = search
        self.screening = screening
        self.search_epochs = search_epochs
        self.search_patience = search_patience
        self.search_fraction = search_fraction
        self.architecture_learning_rate = architecture_learning_rate
        self.ranking = ranking
        self.predictor = predictor
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.retrain_weights = retrain_weights
        self.retrain_from = retrain_from
        self.optimizer = optimizer

    @on_one_fit
    def interaction_table(self) -> pd.DataFrame:
        """Return the kept crosses as a table.

        Returns
        -------
        DataFrame
            One row per kept cross, strongest first. The columns of every method: fields (tuple of
            names), order, strength, active_share, strength_error (0 where a cross changes no
            log-odds or all of them alike, NaN beyond the ``n_interactions`` listed ones). And of
            the search: rank (within the order, from 1), weight (A_c), contribution (``|A_c|`` times
            the standard deviation of the product of the embeddings), phase in which it was found:
            "screening", if the search started from it, or "search".
        """
        check_is_fitted(self)
        columns = ["fields", "rank", "weight", "contribution", "phase"]
        return self._tabulate(pd.DataFrame(self.crosses_, columns=columns))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check = ParameterCheck(self)
        check.integer("max_order", 2, or_auto=True)
        if isinstance(self.n_crosses, Mapping):
            self.n_crosses = {
                check_integer("every order of n_crosses", order, 2): check_integer(
                    f"n_crosses[{order}]", n, 0
                )
                for order, n in self.n_crosses.items()
            }
        else:
            check.integer("n_crosses", 0, or_auto=True)
        check.integer("rank", 1)
        check.choice("space", ["auto", "cp", "full"])
        check.choice("coupling", ["symmetric", "stacked"])
        check.choice("repeats", [True, False])
        check.choice("search", ["progressive", "one_step", "random"])
        check.choice("screening", ["residual", None])
        check.integer("search_epochs", 1)
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

    def _make_search(self, task: TrainingTask) -> CrossSearch:
        n_fields = len(task.vocabulary_sizes)
        n_crosses = self._count_crosses(n_fields)
        settings = SearchSettings(
            search=self.search,
            fraction=self.search_fraction,
            epochs=self.search_epochs,
            patience=self.search_patience,
            architecture_learning_rate=self.architecture_learning_rate,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            embedding_l2=self.embedding_l2,
            most_screened={order: min(n, self.rank) for order, n in n_crosses.items()}
            if self.screening
            else {},
        )
        space = make_space(
            self.space, n_fields, max(n_crosses), self.rank, self.coupling, self.repeats
        )
        net = CrossSearchNet(
            task.vocabulary_sizes, self._embedding_length(task), task.n_outputs, space
        )
        net = net.to(task.device)
        net.reset_parameters(task.new_generator(), task.prior_logits())
        return CrossSearch(net, task, settings)

    def _embedding_length(self, task: TrainingTask) -> int:
        if self.embedding_dim != "auto":
            return int(self.embedding_dim)
        n_per_value = task.train.n_lookups / sum(task.vocabulary_sizes)
        return LONG if self.predictor == "linear" and n_per_value >= FREQUENT else SHORT

    def _keep_crosses(self, task: TrainingTask, search: CrossSearch) -> ProfitNet:
        """Rank the searched crosses and build the net that has only the best."""
        n_per_order = self._count_crosses(len(task.vocabulary_sizes))
        codes = task.train.sample(RANKING_ROWS, task.new_generator()).codes
        ranked = rank_crosses(search.net, codes, n_per_order, by=self.ranking)
        names = self._field_names()
        self.crosses_ = [
            cross._asdict()
            | {
                "fields": tuple(names[f] for f in cross.fields),
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
        add_embedding_prior(optimizers, net.embedding, task.train, self.embedding_l2)
        for optimizer in optimizers:
            if isinstance(optimizer, RowAdagrad):
                optimizer.gradient_scales[net.predictor.linear.table.weight] = task.gradient_scale()

        def step(rows: Tensor) -> Tensor:
            batch = task.train.take(rows)
            loss = net.loss(batch)
            if loss is None:
                loss = log_loss(net(batch.codes), batch)
            descend(loss, optimizers, len(rows))
            return loss.detach()

        return task.run(net, step, phase="retrain", annealed=optimizers)

    def _measure_crosses(
        self, net: nn.Module, codes: Tensor, generator: torch.Generator
    ) -> dict[str, Any]:
        n_rows = len(codes) if self.predictor == "linear" else MOST_ROWS_BEHIND_MLP
        return super()._measure_crosses(net, codes[:n_rows], generator)

    def _list_crosses(self, net: ProfitNet, codes: Tensor) -> Iterable[tuple[int, ...]]:
        return net.config.crosses

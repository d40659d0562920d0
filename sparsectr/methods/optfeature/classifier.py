"""OptFeature: keep a cross, or drop it, by its fields or by the values of a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.stats import loguniform
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor
from torch.optim import Optimizer

from sparsectr.base import BaseInteractionClassifier
from sparsectr.drafts import on_one_fit
from sparsectr.encoding.columns import as_table
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.kernels.threads import with_one_torch_thread
from sparsectr.methods.optfeature.gate_measures import MOST_COMBINATIONS, measure_gates, open_gates
from sparsectr.methods.optfeature.net import OptFeatureConfig, OptFeatureNet
from sparsectr.methods.optfeature.search import GateStep, make_selection_optimizers
from sparsectr.parameters import ParameterCheck, check_integer
from sparsectr.training.descent import descend
from sparsectr.training.loop import EpochRecord, Schedule
from sparsectr.training.losses import log_loss
from sparsectr.training.memory import check_first_layer
from sparsectr.training.optimizers import continuing, make_optimizers
from sparsectr.training.packing import pack_combinations, unpack_combinations
from sparsectr.training.prior import add_embedding_prior, automatic_l2
from sparsectr.training.strengths import MOST_MEASURED, MOST_ROWS_BEHIND_MLP, screen_crosses
from sparsectr.training.task import TrainingTask


class OptFeatureClassifier(BaseInteractionClassifier):
    """Select crosses by their fields or by the values of a row, and classify with what is left.

    A search learns a gate for every cross, on rows of its own: open or closed for a set of fields,
    or for every combination of their values. Then the gates are frozen, crosses that are closed
    for good are removed from the net, and the weights are trained again. See `OptFeatureNet` for
    the net and `Selection` for the gates.

    Parameters
    ----------
    granularity : {"field", "value", "hybrid"}, default="field"
        What a gate depends on: the fields of its cross, the values in a row, or a choice
        between both, learnt for every cross ("hybrid"). Only field gates make a net smaller and
        faster; value gates tell more. Which is more accurate depends on the table.
    combine : {"paper", "raw"}, default="paper"
        How a hybrid gate mixes while searching: the opened gates, or their scores.
    search : {"bilevel", "joint"}, default="bilevel"
        "bilevel" trains gates and weights in turn, on different rows. "joint" trains both on the
        same batch; gates then have no reason to close, and hardly any does.
    search_fraction : float, default=0.2
        Share of the training rows on which the gates are trained ("bilevel"). The retraining
        uses all rows.
    search_epochs : int, default=10
        Passes of the search over the other rows; at most ``max_epochs``.
    gate_price : float or "auto", default="auto"
        What an open gate costs while searching, in nats per row: a cross that lowers the log
        loss by less is dropped. "auto": 4 divided by the number of search rows, about the smallest
        gain that they can tell from chance. 0 leaves the fate of useless crosses to chance.
    retrain_init : {"init", "random", "search"}, default="init"
        Weights with which the retraining starts: those with which the search started, newly
        drawn ones, or those that the search ended with.
    orders : sequence of int, default=(2,)
        Orders of the crosses: 2, 3 or both.
    operator : {"inner", "outer"}, default="inner"
        A cross is the inner product of its embeddings, or a learnt bilinear form of two.
    selection_dim : int, default=16
        Length of the selection embeddings (d-hat).
    selection_rank : int, default=32
        Rank of the selection tensors (d'), larger than ``selection_dim``.
    selection_learning_rate : float, default=2e-3
        Step size of the selection embeddings; their networks take steps a hundredth as long.
    alpha_learning_rate : float, default=1e-2
        Step size of the choice between field and value gates.
    hidden_units : sequence of int, default=(256, 128)
        Widths of the hidden layers of the predictor. Empty: a linear predictor.
    dropout : float, default=0.0
        Share of the hidden units that are dropped in training, in [0, 1).
    optimizer : {"adagrad", "adam"}, default="adagrad"
        What trains the embeddings: Adagrad with one step length per row, or Adam on touched rows.
        All else follows Adam. Where ``partial_fit`` or ``warm_start`` goes on with trained
        embeddings, "adagrad" gives way to "adam".
    embedding_dim : int, default=16
        Length D of an embedding.
    embedding_l2 : float or "auto", default="auto"
        Weight of ``|e|^2 / 2``, summed over all values, beside the mean log loss. "auto": 0.01
        where a value has 200 rows or more on average, in proportion less where it has fewer; and
        1e-4 without hidden units. The stronger it is, the more crosses are left to the hidden
        units, and the more gates are closed.
    learning_rate : float, default=2e-3
        Step size of the optimizers. Embeddings take steps 30 times as long under "adagrad".
    weight_decay : float, default=1e-6
        L2 penalty per step of the optimizers.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto": the power of two that gives about 400 steps per epoch, from 32 to
        4,096.
    max_epochs : int, default=30
        Maximum number of passes over the training rows. It holds for the search and for the
        retraining each.
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
        the net must not have changed.
    device : str, default="auto"
        Where to train: "cpu", "cuda", ...; "auto" takes a GPU if there is one.
    random_state : int, RandomState or None, default=None
        Source of all random numbers: validation split, initial weights, order of the rows.
    verbose : int, default=0
        Whether to print one line per epoch (1) or nothing (0).

    Attributes
    ----------
    selected_interactions_ : list of Interaction
        The crosses whose values the net takes together most, strongest first: by open gates, by
        hidden units, or both. Strength is the standard deviation, over up to 10,000 training rows,
        of what the values of a cross do to the log-odds beyond what fewer of them do; see
        `explain`. For more than two classes: root mean square over the logits. More than 1,000
        crosses are screened on fewer rows first. Without hidden units, only crosses with open
        gates are listed.
    keep_rate_ : ndarray of shape (n_crosses,)
        Share of (up to 100,000) training rows on which the gate of each cross is open, in the
        order of `interaction_table`.
    alpha_ : ndarray of shape (n_crosses,)
        Learnt choice of each cross: field gate if > 0, else value gate. NaN if not "hybrid".
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    encoder_ : FieldEncoder
        The fitted encoder.
    history_ : list of dict
        One record per epoch: phase ("search", "retrain" or "train"), epoch, train_loss,
        validation_log_loss, validation_roc_auc.
    epoch_seconds_ : ndarray of float64, shape (n_epochs,)
        Seconds that every epoch took; NaN for those before the estimator was copied or read from
        a file. Files and copies hold none.
    n_iter_ : int
        Number of epochs, over all phases.
    n_parameters_ : dict of str to int
        Number of weights by part: embedding (with the selection embeddings), selections, mlp.
    embedding_l2_ : float
        The weight of the prior that was used last.
    batch_size_ : int
        The batch size used.
    early_stopping_ : bool
        Whether early stopping was used.
    device_ : str
        Where the net was trained.
    n_features_in_ : int
        Number of fields.
    feature_names_in_ : ndarray of shape (n_fields,)
        Names of the columns, if all are strings.
    param_distributions : dict
        A space of settings for a random search, the same for all objects of the class: lists, and
        log-uniform distributions of scipy. Without ``max_epochs``, which may be the resource of a
        successive halving.

    See Also
    --------
    FieldEncoder : Turns columns into codes.

    Notes
    -----
    With `warm_start` or `partial_fit`, the first call searches and retrains; later calls train the
    weights and leave the gates as they are.

    Source: F. Lyu et al., "Towards Hybrid-grained Feature Interaction Selection for Deep Sparse
    Network", NeurIPS 2023. Beside the differences listed in `OptFeatureNet`:

    * while a gate is trained, its cross is scaled by a random level between 0 and 1. The mean of
      that gradient is the difference between an open and a closed gate; the gradient at
      the open gate alone vanishes as soon as the weights have found the best scale of a cross;
    * open gates have a small price;
    * selection networks learn a hundred times as slowly as selection embeddings;
    * the search runs a fixed number of epochs and keeps the last gates;
    * the retraining uses the rows of the search as well;
    * at the end of `fit` the intercept alone goes to the minimum of the training loss, where the
      mean prediction is the share of the class.

    Examples
    --------
    >>> from sparsectr.methods.optfeature.classifier import OptFeatureClassifier
    >>> from sparsectr.datasets import make_clicks
    >>> clicks = make_clicks(5000, 4, 10, crosses=[(0, 2)], cross_effect=1.5, random_state=0)
    >>> clf = OptFeatureClassifier(random_state=0).fit(clicks.X, clicks.y)
    >>> clf.selected_interactions_[0].fields
    ('f0', 'f2')
    """

    _net_class = OptFeatureNet
    _net_parameters = (
        *BaseInteractionClassifier._net_parameters,
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

    def __init__(
        self,
        *,
        granularity: str = "field",
        combine: str = "paper",
        search: str = "bilevel",
        search_fraction: float = 0.2,
        search_epochs: int = 10,
        gate_price: float | str = "auto",
        retrain_init: str = "init",
        orders: Sequence[int] = (2,),
        operator: str = "inner",
        selection_dim: int = 16,
        selection_rank: int = 32,
        selection_learning_rate: float = 2e-3,
        alpha_learning_rate: float = 1e-2,
        hidden_units: Sequence[int] = (256, 128),
        dropout: float = 0.0,
        optimizer: str = "adagrad",
        embedding_dim: int = 16,
        embedding_l2: float | str = "auto",
        learning_rate: float = 2e-3,
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
        self.granularity = granularity
        self.combine = combine
        self.search = search
        self.search_fraction = search_fraction
        self.search_epochs = search_epochs
        self.gate_price = gate_price
        self.retrain_init = retrain_init
        self.orders = orders
        self.operator = operator
        self.selection_dim = selection_dim
        self.selection_rank = selection_rank
        self.selection_learning_rate = selection_learning_rate
        self.alpha_learning_rate = alpha_learning_rate
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.optimizer = optimizer

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check = ParameterCheck(self)
        check.choice("granularity", ["field", "value", "hybrid"])
        check.choice("combine", ["paper", "raw"])
        check.choice("search", ["bilevel", "joint"])
        check.real("search_fraction", 0, 1, open_low=True, open_high=True)
        check.integer("search_epochs", 1)
        check.real("gate_price", 0, or_auto=True)
        check.choice("retrain_init", ["init", "random", "search"])
        check.integers("orders", 2)
        check.choice("orders", [(2,), (3,), (2, 3)])
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
        net.reset_selection(task.new_generator())
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
        if n_fields < max(orders):
            raise ValueError(
                f"X must have at least {max(orders)} columns for crosses of order {max(orders)}, "
                f"got {n_fields} feature(s)."
            )
        check_first_layer(n_fields, self.embedding_dim, orders, self.hidden_units, task.device)
        config = OptFeatureConfig(
            granularity=self.granularity,
            combine=self.combine,
            orders=orders,
            operator=self.operator,
            selection_dim=self.selection_dim,
            selection_rank=self.selection_rank,
            hidden_units=tuple(self.hidden_units),
            dropout=self.dropout,
        )
        sizes = task.vocabulary_sizes
        return OptFeatureNet(sizes, self.embedding_dim, task.n_outputs, config).to(task.device)

    def _search(self, task: TrainingTask, net: OptFeatureNet) -> list[EpochRecord]:
        """Train weights and gates."""
        # NOTE[DIFF] a fixed number of epochs: the best weights come long before the best gates.
        schedule = dataclasses.replace(
            task.schedule,
            max_epochs=min(self.search_epochs, task.schedule.max_epochs),
            patience=None,
        )
        rates = self.selection_learning_rate, self.alpha_learning_rate
        if self.search == "joint":
            return self._train_weights(
                task, net, "search", schedule, selection=make_selection_optimizers(net, *rates)
            )
        task, search_rows = task.split_off(self.search_fraction)
        if len(search_rows.targets.unique()) < 2:
            raise ValueError(
                "the rows set apart for the search must hold at least two classes, got one in "
                f"{len(search_rows)} rows. Pass more rows or raise search_fraction."
            )
        price = None if isinstance(self.gate_price, str) else self.gate_price
        gates = GateStep(task, net, search_rows, make_selection_optimizers(net, *rates), price)
        n_steps = -(-len(task.train) // schedule.batch_size) * schedule.max_epochs
        return self._train_weights(
            task, net, "search", schedule, before=gates, gate_rows=gates.beside(n_steps)
        )

    def _train_weights(
        self,
        task: TrainingTask,
        net: OptFeatureNet,
        phase: str,
        schedule: Schedule | None = None,
        *,
        kind: str | None = None,
        before: Callable[[Tensor], None] | None = None,
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
            batch = task.train.take(rows)
            if selection:  # gates and weights follow one gradient
                loss = log_loss(net(batch.codes), batch)
            else:
                with torch.no_grad():
                    gates = net.gates_of(batch.codes)
                loss = net.loss(batch, gates)
            descend(loss, optimizers, len(rows))
            return loss.detach()

        return task.run(
            net, step, phase=phase, schedule=schedule, annealed=optimizers, beside=gate_rows
        )

    # Reports --------------------------------------------------------------------------

    @on_one_fit
    def interaction_table(self) -> pd.DataFrame:
        """Describe every cross, selected or not.

        Returns
        -------
        DataFrame
            One row per cross, strongest first. The columns of every method: fields (tuple of
            names), order, strength, active_share, strength_error (NaN for a cross that is not among
            the ``n_interactions`` listed ones; 0 for one that was measured and changes no log-odds
            or all of them alike, and, without hidden units, for one that is never open).
            And keep_rate (share of training rows with an open gate; where a strong cross has 0,
            hidden units do its work); granularity ("field" or "value", as chosen); alpha.
        """
        check_is_fitted(self)
        net = self._optfeature_net()
        crosses = pd.DataFrame(
            {
                "fields": self._crosses(net),
                "keep_rate": self.keep_rate_,
                "granularity": np.where(net.follows_fields().cpu(), "field", "value"),
                "alpha": self.alpha_,
            }
        )
        inactive = (self.keep_rate_ == 0) & (not net.config.hidden_units)
        return self._tabulate(crosses, inactive=inactive)

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
            score of the gate: open if > 0. Open gates first, most frequent combinations first.
            Where a field has one of these names, an underscore follows ours: ``count_``.

        Raises
        ------
        ValueError
            If the cross is not among ``selected_interactions_``.
        """
        check_is_fitted(self)
        check_integer("top", top, 1, MOST_COMBINATIONS)
        net = self._optfeature_net()
        place = self._find_cross(fields)
        known = self.selected_interactions_[place].fields
        codes, counts, _ = unpack_combinations(self._measured("combinations"), place)
        position = self._crosses(net).index(known)
        rows = torch.from_numpy(self._widen(known, codes)).to(net.kept.device)
        with torch.inference_mode():
            scores = net.chosen_scores(net.look_up(rows)[1])[:, position].cpu().numpy()
        opened = scores > 0
        order = np.argsort(-counts, kind="stable")
        shown = [order[opened[order] == is_open][:top] for is_open in (True, False)]
        table = self._tabulate_values(known, codes, count=counts, open=opened, score=scores)
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
            The columns are named by the tuples of the crossed fields.
        """
        check_is_fitted(self)
        table = as_table(X)
        validate_data(self, table, reset=False, skip_check_array=True)
        net = self._optfeature_net()
        columns = pd.Index(self._crosses(net), tupleize_cols=False)
        gates = open_gates(net, self._encode(table)).cpu().numpy()
        return pd.DataFrame(gates, columns=columns)

    def _optfeature_net(self) -> OptFeatureNet:
        return cast(OptFeatureNet, self._fitted_net())

    def _crosses(self, net: OptFeatureNet) -> list[tuple[str, ...]]:
        """Return the names of the fields of all crosses, in the order of the gates."""
        names = self._field_names()
        return [tuple(names[field] for field in cross) for cross in net.crosses()]

    def _list_crosses(self, net: OptFeatureNet, codes: Tensor) -> Iterable[tuple[int, ...]]:
        # Without hidden units, a cross has no other way to the logits than its gate.
        crosses = net.crosses() if net.config.hidden_units else net.kept_crosses()
        yield from screen_crosses(net, codes, crosses, MOST_MEASURED)

    def _measure_crosses(
        self, net: Any, codes: Tensor, generator: torch.Generator
    ) -> dict[str, Any]:
        measures = super()._measure_crosses(net, codes[:MOST_ROWS_BEHIND_MLP], generator)
        crosses = [tuple(self._places(cross.fields)) for cross in measures["crosses"]]
        keep_rate, combinations = measure_gates(net, codes, crosses)
        packed = pack_combinations(*combinations)
        return measures | {"keep_rate": keep_rate, "combinations": packed}

    @property
    def keep_rate_(self) -> npt.NDArray[np.float64]:
        """Share of rows on which the gate of each cross is open."""
        rates: npt.NDArray[np.float64] = self._measured("keep_rate", "keep_rate_")
        return rates

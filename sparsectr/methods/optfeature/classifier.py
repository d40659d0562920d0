"""OptFeature: keep a cross, or drop it, by its fields or by the values of a row."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from sparsectr.classification import BaseInteractionClassifier
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.methods.optfeature.estimator import BaseOptFeature


class OptFeatureClassifier(BaseInteractionClassifier, BaseOptFeature):
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
    field_share : float or "auto", default="auto"
        Share of the field gate in a hybrid one while searching, in (0, 1), the same for all
        crosses; after the search they follow fields if it is above .5, else values. "auto" learns
        it for every cross.
    search : {"bilevel", "joint", "paper"}, default="bilevel"
        "bilevel" trains gates and weights in turn, on different rows. "joint" trains both on the
        same batch; gates then have no reason to close, and hardly any does. "paper" is "bilevel"
        without the differences of the notes: Algorithm 1 as it is printed.
    search_fraction : float, default=0.2
        Share of the training rows on which the gates are trained ("bilevel"). The retraining
        uses all rows.
    search_epochs : int, default=10
        Passes of the search over the other rows; at most ``max_epochs``. With
        ``batch_size="auto"``, its batches are four times as large, up to 512 rows or a thirtieth of
        these, whichever is less.
    gate_price : float or "auto", default="auto"
        What an open gate costs while searching, in nats per row: a cross that lowers the log
        loss by less is dropped. "auto": 4 divided by the number of search rows, about the smallest
        gain that they can tell from chance; 0 in the search of the paper. 0 leaves the fate of
        useless crosses to chance.
    retrain_init : {"init", "random", "search"}, default="init"
        Weights with which the retraining starts: those with which the search started, newly
        drawn ones, or those that the search ended with.
    orders : sequence of int, default=(2,)
        Orders of the crosses: 2, 3, 4 or several of them. Sets of four, of up to 27 columns, are
        slow: the first layer has an input for each.
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
        Weight of ``|e|^2 / 2``, summed over all values, beside the mean loss. "auto": 0.01
        where a value has 200 rows or more on average, in proportion less where it has fewer, and
        less where one of two classes is rare; and 1e-4 without hidden units. The stronger it is,
        the more crosses are left to the hidden units, and the more gates are closed.
    learning_rate : float, default=2e-3
        Step size of the optimizers. Embeddings take steps 30 times as long under "adagrad".
    weight_decay : float, default=1e-6
        L2 penalty per step of the optimizers.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto": the power of two with which an epoch has about 400 steps, or a step
        about one row of the rarer of two classes, whichever is larger; from 32 to 4,096. See
        ``n_iter_no_change`` for how it grows.
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
    validation : {"random", "last"}, default="random"
        Which rows are set apart for early stopping, if no ``X_val`` is passed to `fit`: random
        ones, of whole groups where `fit` is told ``validation_groups``, or the last ones in time.
    time_column : str, int or None, default=None
        Name or position of the column that says when a row was, for ``validation="last"``. It is
        also a field that is learnt from. None: the rows are in the order of time.
    n_iter_no_change : int, default=3
        Number of epochs in a row without improvement (of .02 % at least) before training stops.
        From the second of them on, each lowers the learning rate to a tenth, and the next epoch
        starts from the weights of the best one. With ``batch_size="auto"``, each also makes batches
        eight times as large, up to 512 rows or a thirtieth of the training rows, whichever is less;
        batches that are larger from the start stay as they are.
    n_members : int, default=1
        Number of fits whose logits are averaged. They share the encoder, and differ in random
        numbers and in the random rows set apart for early stopping. Means predict better, most of
        all where fits of the same rows differ, and take as many times as long.
    n_interactions : int, default=50
        Maximum number of crosses in ``selected_interactions_``.
    class_weight : dict, "balanced" or None, default=None
        Factor of every class in the loss; "balanced": the inverse of the summed weight of its rows.
    negative_sampling_rate : float, default=1.0
        Share of the negative rows, those of ``classes_[0]``, that was kept when the training rows
        were sampled. Predictions are of the full stream: the logarithm of the rate is added to the
        log-odds after the last epoch. Two classes only.
    encoder : FieldEncoder, FrozenEstimator or "auto", default="auto"
        Turns columns into codes; "auto" is ``FieldEncoder()``. A given encoder is cloned and fitted
        anew, a fitted one too; ``FrozenEstimator(fitted)`` keeps its vocabularies.
    warm_start : bool, default=False
        Whether `fit` goes on from the fitted net, with the same vocabularies. Parameters that shape
        the net must not have changed.
    cache_dir : str, path or None, default=None
        Where `fit` keeps the codes of files, so that later fits on the same files find them; None
        keeps none. See `FieldEncoder.encode_dataset`.
    device : str, default="auto"
        Where to train: "cpu", "cuda", ...; "auto" takes a GPU if there is one.
    random_state : int, RandomState or None, default=None
        Source of all random numbers: validation split, initial weights, order of the rows.
    checkpoint : str, path or None, default=None
        Folder in which the state of the training is written after every epoch, and every ten
        minutes of a longer one. A fit that was ended from outside goes on from there when it is
        started again with the same parameters and rows, and ends with the same bits. Needs an
        integer ``random_state``. Fits with other parameters or rows, such as those of a search,
        share the folder.
    verbose : int, default=0
        Whether to print nothing (0), one line per epoch (1), or also (2) how many rows of an epoch
        or of a file are done.

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
        order of `interaction_table`. This, ``alpha_``, `gate` and `selected_values` are about the
        first of several members.
    alpha_ : ndarray of shape (n_crosses,)
        Learnt choice of each cross: field gate if > 0, else value gate. NaN if not "hybrid".
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    field_importances_ : ndarray of float64, shape (n_fields,)
        Strength of every field in log-odds, by itself and in its crosses; see `field_table`.
    encoder_ : FieldEncoder
        The fitted encoder.
    history_ : list of dict
        One record per epoch: phase ("search", "retrain" or "train"), epoch, train_loss,
        validation_log_loss, validation_roc_auc. In the search also keep_rate, the
        share of some training rows on which the gate of each cross is open, and alpha of hybrid
        gates, both lists with a number per cross.
        With several members, each record names its ``member``, from 0 on.
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
        Rows per step, of the first ones where batches grow.
    early_stopping_ : bool
        Whether early stopping was used.
    device_ : str
        Where the net was trained.
    world_size_ : int
        Number of processes that trained it together; see `distributed`.
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
    >>> from sparsectr import OptFeatureClassifier
    >>> from sparsectr.datasets import make_clicks
    >>> clicks = make_clicks(5000, 4, 10, crosses=[(0, 2)], cross_effect=1.5, random_state=0)
    >>> clf = OptFeatureClassifier(random_state=0).fit(clicks.X, clicks.y)
    >>> clf.selected_interactions_[0].fields
    ('f0', 'f2')
    """

    def __init__(
        self,
        *,
        granularity: str = "field",
        combine: str = "paper",
        field_share: float | str = "auto",
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
        validation: str = "random",
        time_column: str | int | None = None,
        n_iter_no_change: int = 3,
        n_members: int = 1,
        n_interactions: int = 50,
        class_weight: dict[Any, float] | str | None = None,
        negative_sampling_rate: float = 1.0,
        encoder: FieldEncoder | str = "auto",
        warm_start: bool = False,
        cache_dir: str | PathLike[str] | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        checkpoint: str | PathLike[str] | None = None,
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
            validation_fraction=validation_fraction,
            validation=validation,
            time_column=time_column,
            n_iter_no_change=n_iter_no_change,
            n_members=n_members,
            n_interactions=n_interactions,
            encoder=encoder,
            warm_start=warm_start,
            cache_dir=cache_dir,
            device=device,
            random_state=random_state,
            checkpoint=checkpoint,
            verbose=verbose,
        )
        self.monitor = monitor
        self.class_weight = class_weight
        self.negative_sampling_rate = negative_sampling_rate
        self.granularity = granularity
        self.combine = combine
        self.field_share = field_share
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

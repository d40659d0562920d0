"""PROFIT: crosses of every order, found by a progressive search in a distilled space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from sparsectr.classification import BaseInteractionClassifier
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.methods.profit.estimator import BaseProfit


class ProfitClassifier(BaseInteractionClassifier, BaseProfit):
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
    search_epochs : int or dict of int to int, default=8
        Most epochs per order in the search (``max_epochs``, if smaller): one number for all, or a
        dict from every order, from 1 on, to a number.
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
        Weights of the kept crosses: trained from the searched values, kept at them, or 1. The
        factor of all effects multiplies them at the end.
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
    embedding_l2 : float or "auto", default="auto"
        Weight of ``|e|^2 / 2``, summed over all values, beside the mean loss. "auto": 1e-4, or
        15 / n (at most 1e-2) if that is more, with n training rows: so the prior does not fade
        with few of them.
    learning_rate : float, default=5e-3
        Step size of the optimizers. The betas have one of their own. Under "adagrad" the kept net
        takes steps half as long, and its embeddings steps 15 times as long.
    weight_decay : float, default=1e-6
        L2 penalty per step of the optimizers.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto": the power of two with which an epoch has about 400 steps, or a step
        about one row of the rarer of two classes, whichever is larger; from 32 to 4,096. See
        ``n_iter_no_change`` for how it grows.
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
        the net must not have changed. The kept net is trained further; nothing is searched again.
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
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    field_importances_ : ndarray of float64, shape (n_fields,)
        Strength of every field in log-odds, by itself and in its crosses; see `field_table`.
    encoder_ : FieldEncoder
        The fitted encoder.
    selected_interactions_ : list of Interaction
        Kept crosses of all orders that have an effect, the strongest first.
    crosses_ : list of dict
        The kept crosses by order and rank, see `interaction_table`; of several members those of
        the first.
    architecture_ : list of ndarray
        Searched betas (rank, F) of the orders 1, 2, ..., or free weights of all sets.
    search_history_ : list of dict
        One record per epoch of the search.
    history_ : list of dict
        One record per epoch of all phases, "search" and "retrain".
        With several members, each record names its ``member``, from 0 on.
    epoch_seconds_ : ndarray of float64, shape (n_epochs,)
        Seconds that every epoch took; NaN for those before the estimator was copied or read from
        a file. Files and copies hold none.
    n_parameters_ : dict of str to int
        Numbers of weights: "embedding", "architecture" (the kept crosses), "predictor".
    n_iter_ : int
        Number of epochs over all phases.
    embedding_dim_ : int
        The length of an embedding.
    embedding_l2_ : float
        The weight of the prior used.
    batch_size_ : int
        Rows per step.
    early_stopping_ : bool
        Whether validation could end a phase.
    device_ : str
        Device of training.
    world_size_ : int
        Number of processes that trained it together; see `distributed`.
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
    >>> from sparsectr import ProfitClassifier
    >>> clicks = make_clicks(5_000, n_fields=5, cardinality=10, random_state=0)
    >>> # The automatic prior of so few rows leaves triples out.
    >>> clf = ProfitClassifier(n_crosses=1, embedding_l2=1e-4, random_state=0)
    >>> clf = clf.fit(clicks.X, clicks.y)
    >>> sorted(cross.fields for cross in clf.selected_interactions_)  # the planted ones
    [('f0', 'f1'), ('f2', 'f3', 'f4')]
    """

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
        search_epochs: int | dict[int, int] = 8,
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
        embedding_l2: float | str = "auto",
        learning_rate: float = 5e-3,
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

"""DynInt for numbers: polynomial interactions whose weights depend on the instance."""

from __future__ import annotations

from os import PathLike
from typing import Literal

import numpy as np

from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.methods.dynint.estimator import BaseDynInt
from sparsectr.regression import BaseInteractionRegressor


class DynIntRegressor(BaseInteractionRegressor, BaseDynInt):
    """Predict numbers by polynomial interactions of the embeddings of categorical fields.

    Every layer multiplies the embeddings of a row by linear combinations of them, so that L
    layers hold crosses of up to L + 1 fields. In the dynamic variants the combinations depend on
    the row through small gate networks. See `DynIntNet` for the formulas.

    The method weighs crosses but selects none: ``selected_interactions_`` is a ranking.

    Parameters
    ----------
    loss : {"squared_error", "poisson"}, default="squared_error"
        What is minimised. "squared_error": half the squared error of the target, standardised.
        "poisson": the negative log-likelihood of counts, of which the logarithm of the mean is
        modelled. For rates, pass count / exposure as y and the exposure as ``sample_weight``.
    variant : {"pin", "da", "dgp", "dwp"}, default="pin"
        What depends on the row: nothing ("pin"), a gate per interaction row (dynamic activation,
        "da"), the singular values of the weights (dynamic generated parameters, "dgp"), or a
        low-rank factor on the weights (dynamic weighted parameters, "dwp").
    n_layers : int, default=2
        Number L of interaction layers. 0: a linear model of the embeddings, without crosses.
    n_subspaces : int, default=1
        Number of parts that every embedding is cut into; crosses then run between parts. A
        divisor of ``embedding_dim``.
    rank : int or "auto", default="auto"
        Rank of the generated weights. "auto": 1 for "dwp"; half the number of interaction
        rows, but 2 to 16, for "dgp". At most the number of interaction rows.
    reduction_ratio : int, default=8
        Gate networks have ``n_fields * embedding_dim / reduction_ratio`` hidden units, at least 8.
    orthogonal_penalty : float, default=1e-3
        Weight of the absolute cosines between the rank's vectors ("dgp", "dwp").
    optimizer : {"adagrad", "adam", "ftrl"}, default="adagrad"
        What trains the embedding table: Adagrad with one step length per row, Adam on touched
        rows, or FTRL with a group lasso on the rows, which sets the embeddings of uninformative
        values to zero. The other weights follow Adam, with "ftrl" FTRL. Where ``partial_fit`` or
        ``warm_start`` goes on with trained embeddings, "adagrad" gives way to "adam".
    ftrl_l1 : float, default=0.1
        Strength of the group lasso, only with ``optimizer="ftrl"``. An embedding is exactly zero
        while its gradients, summed over all rows and epochs, and the pull towards its first value
        have a norm of at most ``ftrl_l1 * sqrt(embedding_dim)``. The default zeroes next to
        nothing; from about 1 on, values without information and rare values go.
    ftrl_l2 : float, default=0.1
        Weight of ``|e|^2 / 2``, once for the whole training and on the scale of the loss summed
        over all rows, only with ``optimizer="ftrl"``. ``embedding_l2`` acts beside it.
    ftrl_beta : float, default=1.0
        How firmly embeddings hold on to their first values, only with ``optimizer="ftrl"``. Larger
        values make the first steps shorter, and need a larger ``ftrl_l1`` for the same zeros.
    embedding_dim : int, default=16
        Length D of an embedding.
    embedding_l2 : float or "auto", default="auto"
        Weight of ``|e|^2 / 2``, summed over all values, beside the mean loss. "auto": 1e-3, or
        15 / n (at most 1e-2) if that is more, with n training rows: so the prior does not fade
        with few of them.
    learning_rate : float, default=5e-3
        Step size of the optimizers. Embeddings take steps 30 times as long under "adagrad". Under
        "ftrl" all weights take steps 20 times as long.
    weight_decay : float, default=1e-6
        L2 penalty per step of the optimizers.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto": the power of two with which an epoch has about 400 steps, or a step
        about one row of the rarer of two classes, whichever is larger; from 32 to 4,096. See
        ``n_iter_no_change`` for how it grows.
    max_epochs : int, default=30
        Maximum number of passes over the training rows.
    early_stopping : bool or "auto", default="auto"
        Whether training stops when the validation metric stops improving; the weights of the best
        epoch are restored. "auto": if there are at least 500 rows, or validation rows are passed to
        `fit`.
    monitor : {"auto", "squared_error", "poisson_deviance", "absolute_error"}, default="auto"
        The validation metric that early stopping watches. "auto": the one of the loss; that of the
        other loss is not measured.
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
        The strongest crosses of two and three fields, strongest first. Strength is the standard
        deviation, over training rows, of what all monomials of exactly these fields add to
        the prediction, with the gates of each row: in units of the target or, with
        ``loss="poisson"``, of the logarithm of its mean.
    target_mean_ : float
        What is subtracted from the target before training; 0 with ``loss="poisson"``.
    target_scale_ : float
        What the target is divided by: its standard deviation or, with ``loss="poisson"``, its
        dispersion: the mean of ``(y - m)^2 / m`` with m the mean of y.
    field_importances_ : ndarray of float64, shape (n_fields,)
        Strength of every field, by itself and in its crosses, in units of the target or of its
        logarithm; see `field_table`.
    encoder_ : FieldEncoder
        The fitted encoder.
    history_ : list of dict
        One record per epoch: phase, epoch, train_loss, validation_squared_error (or
        validation_poisson_deviance), validation_absolute_error.
    epoch_seconds_ : ndarray of float64, shape (n_epochs,)
        Seconds that every epoch took; NaN for those before the estimator was copied or read from
        a file. Files and copies hold none.
    n_iter_ : int
        Number of epochs.
    n_parameters_ : dict of str to int
        Number of weights by part: embedding, layers, gates, output.
    embedding_l2_ : float
        The weight of the prior used.
    rank_ : int
        The rank used.
    zero_row_share_ : float
        Share of embeddings that are exactly zero. Only with ``optimizer="ftrl"``.
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
    DynIntClassifier : The same net for classes.
    FieldEncoder : Turns columns into codes.

    Notes
    -----
    Source: Y. Yan and L. Li, "DynInt: Dynamic Interaction Modeling for Large-scale
    Click-Through Rate Prediction", DLP-KDD 2022. Beside the differences listed in `DynIntNet`:

    * embeddings have a normal prior that counts every value once (``embedding_l2``);
    * row-wise Adagrad is the default optimizer of embeddings and Adam that of all else, the paper's
      FTRL is optional; its first proximal term is centred at the random initial weights instead of
      at 0, which would forget them, and it updates only the rows of a batch;
    * values that training never saw take the mean embedding of their field;
    * at the end of `fit` the intercept alone goes to the minimum of the training loss, where the
      mean prediction is the mean of the target.

    Examples
    --------
    >>> from sparsectr import DynIntRegressor
    >>> from sparsectr.datasets import make_clicks
    >>> clicks = make_clicks(5000, 4, 10, crosses=[(0, 2)], random_state=0)
    >>> reg = DynIntRegressor(random_state=0).fit(clicks.X, clicks.log_odds)
    >>> reg.selected_interactions_[0].fields
    ('f0', 'f2')
    """

    def __init__(
        self,
        *,
        loss: str = "squared_error",
        variant: str = "pin",
        n_layers: int = 2,
        n_subspaces: int = 1,
        rank: int | str = "auto",
        reduction_ratio: int = 8,
        orthogonal_penalty: float = 1e-3,
        optimizer: Literal["adagrad", "adam", "ftrl"] = "adagrad",
        ftrl_l1: float = 0.1,
        ftrl_l2: float = 0.1,
        ftrl_beta: float = 1.0,
        embedding_dim: int = 16,
        embedding_l2: float | str = "auto",
        learning_rate: float = 5e-3,
        weight_decay: float = 1e-6,
        batch_size: int | str = "auto",
        max_epochs: int = 30,
        early_stopping: bool | str = "auto",
        monitor: str = "auto",
        validation_fraction: float = 0.1,
        validation: str = "random",
        time_column: str | int | None = None,
        n_iter_no_change: int = 3,
        n_members: int = 1,
        n_interactions: int = 50,
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
        self.loss = loss
        self.monitor = monitor
        self.variant = variant
        self.n_layers = n_layers
        self.n_subspaces = n_subspaces
        self.rank = rank
        self.reduction_ratio = reduction_ratio
        self.orthogonal_penalty = orthogonal_penalty
        self.optimizer = optimizer
        self.ftrl_l1 = ftrl_l1
        self.ftrl_l2 = ftrl_l2
        self.ftrl_beta = ftrl_beta

"""The constructor parameters that all estimators share."""

from __future__ import annotations

from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator

from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.encoding.given import check_encoder
from sparsectr.parameters import ParameterCheck, describe


class SharedParameters(BaseEstimator):
    """Hold, check and set the parameters that depend on neither method nor target.

    Parameters
    ----------
    embedding_dim : int, default=16
        Length D of an embedding.
    embedding_l2 : float, default=1e-3
        Weight of ``|e|^2 / 2``, summed over all values, beside the mean loss.
    learning_rate : float, default=1e-3
        Step size of the optimizers.
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
    """

    # What watches the validation rows; the choices are those of the target.
    monitor: str
    _net_parameters: ClassVar[tuple[str, ...]] = ("embedding_dim", "n_members")
    # Those of embedding_dim and embedding_l2 that may be "auto".
    _automatic: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        embedding_dim: int | str = 16,
        embedding_l2: float | str = 1e-3,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-6,
        batch_size: int | str = "auto",
        max_epochs: int = 30,
        early_stopping: bool | str = "auto",
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
        self.embedding_dim: Any = embedding_dim
        self.embedding_l2: Any = embedding_l2
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.validation = validation
        self.time_column = time_column
        self.n_iter_no_change = n_iter_no_change
        self.n_members = n_members
        self.n_interactions = n_interactions
        self.encoder = encoder
        self.warm_start = warm_start
        self.cache_dir = cache_dir
        self.device = device
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    def _check_parameters(self) -> None:
        """Check the constructor parameters; subclasses add theirs."""
        check, automatic = ParameterCheck(self), self._automatic
        check.integer("embedding_dim", 1, or_auto="embedding_dim" in automatic)
        check.real("embedding_l2", 0, or_auto="embedding_l2" in automatic)
        check.real("learning_rate", 0, open_low=True)
        check.real("weight_decay", 0)
        check.integer("batch_size", 1, or_auto=True)
        check.integer("max_epochs", 1)
        check.choice("early_stopping", ["auto", True, False])
        check.real("validation_fraction", 0, 1, open_low=True, open_high=True)
        check.choice("validation", ["random", "last"])
        if not (self.time_column is None or isinstance(self.time_column, str)):
            check.integer("time_column", 0)
        check.integer("n_iter_no_change", 1)
        check.integer("n_members", 1)
        check.integer("n_interactions", 0)
        check.choice("warm_start", [True, False])
        if not (self.cache_dir is None or isinstance(self.cache_dir, str | PathLike)):
            raise ValueError(
                f"cache_dir must be None, a str or a path, got {describe(self.cache_dir)}."
            )
        if not isinstance(self.verbose, bool):
            check.integer("verbose", 0)
        check.seed("random_state")
        check_encoder(self.encoder)
        check.folder("checkpoint")
        if self.checkpoint is not None and not isinstance(self.random_state, int):
            raise ValueError(
                "random_state must be an int where there is a checkpoint, so that a fit that goes "
                f"on draws the same numbers, got {describe(self.random_state)}."
            )

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those of the encoder as ``encoder__min_frequency``.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self
            This estimator.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        nested = [name for name in params if name.startswith("encoder__")]
        encoder = params.get("encoder", self.encoder)
        if nested and isinstance(encoder, str):
            raise ValueError(
                f"{nested[0]} needs an encoder to set it on, got encoder={encoder!r}; pass "
                "encoder=FieldEncoder(...)."
            )
        super().set_params(**params)
        return self

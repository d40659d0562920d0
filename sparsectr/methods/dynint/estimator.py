"""DynInt: polynomial interactions whose weights depend on the instance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

from scipy.stats import loguniform
from torch import Tensor

from sparsectr.base import BaseInteractionEstimator
from sparsectr.methods.dynint.net import (
    VARIANTS,
    DynIntConfig,
    DynIntNet,
)
from sparsectr.nn.effects import FieldSet
from sparsectr.parameters import ParameterCheck
from sparsectr.training.descent import descend, pool_batch
from sparsectr.training.optimizers import (
    OPTIMIZERS,
    continuing,
    make_optimizers,
    zero_row_share,
)
from sparsectr.training.prior import add_embedding_prior, l2_by_rows
from sparsectr.training.progress import EpochRecord
from sparsectr.training.strengths import strongest_sets
from sparsectr.training.task import TrainingTask

# Weight of the prior of embeddings where there are rows enough.
USUAL_L2 = 1e-3
# Crosses of higher orders exist in deeper nets, but are too many to list.
LARGEST_LISTED_ORDER = 4
# The paper has at most 4; thousands would take minutes to build and more to train.
MOST_LAYERS = 100


class BaseDynInt(BaseInteractionEstimator):
    """Train the net of `DynIntClassifier`, whatever the target; see there for parameters."""

    _net_class = DynIntNet
    _net_parameters = (
        *BaseInteractionEstimator._net_parameters,
        "variant",
        "n_layers",
        "n_subspaces",
        "rank",
        "reduction_ratio",
    )
    _automatic = ("embedding_l2",)
    param_distributions: ClassVar[dict[str, Any]] = {
        "variant": VARIANTS,
        "n_layers": [1, 2, 3],
        "n_subspaces": [1, 2, 4],  # each divides every embedding_dim
        "embedding_dim": [8, 16, 32],
        "embedding_l2": loguniform(1e-5, 1e-1),
        "learning_rate": loguniform(1e-3, 2e-2),
    }
    variant: str
    n_layers: int
    n_subspaces: int
    rank: int | str
    reduction_ratio: int
    orthogonal_penalty: float
    optimizer: Literal["adagrad", "adam", "ftrl"]
    ftrl_l1: float
    ftrl_l2: float
    ftrl_beta: float

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check = ParameterCheck(self)
        check.choice("variant", VARIANTS)
        check.integer("n_layers", 0, MOST_LAYERS)
        check.integer("n_subspaces", 1)
        if self.embedding_dim % self.n_subspaces:
            raise ValueError(
                f"n_subspaces must divide embedding_dim = {self.embedding_dim}, "
                f"got {self.n_subspaces}."
            )
        check.integer("rank", 1, or_auto=True)
        check.integer("reduction_ratio", 1)
        check.real("orthogonal_penalty", 0)
        check.choice("optimizer", OPTIMIZERS)
        check.real("ftrl_l1", 0)
        check.real("ftrl_l2", 0)
        check.real("ftrl_beta", 0, open_low=True)

    def _train_net(
        self, task: TrainingTask, net: DynIntNet | None
    ) -> tuple[DynIntNet, list[EpochRecord]]:
        going_on = net is not None
        kind = continuing(self.optimizer) if going_on else self.optimizer
        if net is None:
            net = self._make_net(task)
        optimizers = make_optimizers(
            [net.embedding.weight],
            [p for name, p in net.named_parameters() if not name.startswith("embedding.")],
            kind,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            ftrl={"l1": self.ftrl_l1, "l2": self.ftrl_l2, "beta": self.ftrl_beta},
            going_on=going_on,
        )
        l2 = self.embedding_l2
        if l2 == "auto":
            l2 = l2_by_rows(USUAL_L2, net.embedding, task.train)
        self.embedding_l2_ = float(l2)
        add_embedding_prior(optimizers, net.embedding, task.train, l2)

        def step(rows: Tensor) -> Tensor:
            batch = pool_batch(net, task.train.take(rows))
            penalty = self.orthogonal_penalty if self.variant in ("dgp", "dwp") else 0.0
            loss = net.loss(batch, penalty)
            descend(loss, optimizers, len(rows), batch.bags)
            return loss.detach()

        # FTRL shortens its steps itself.
        annealed = optimizers if self.optimizer != "ftrl" else ()
        history = task.run(net, step, optimizers=optimizers, annealed=annealed)
        self.rank_ = net.config.rank
        if self.optimizer == "ftrl":
            self.zero_row_share_ = zero_row_share(net.embedding.weight)
        return net, history

    def _make_net(self, task: TrainingTask) -> DynIntNet:
        n_rows = len(task.vocabulary_sizes) * self.n_subspaces
        if isinstance(self.rank, str):
            rank = 1 if self.variant == "dwp" else min(16, max(2, n_rows // 2))
        else:
            rank = self.rank
        n_inputs = len(task.vocabulary_sizes) * self.embedding_dim
        config = DynIntConfig(
            self.variant,
            self.n_layers,
            self.n_subspaces,
            rank=min(rank, n_rows),  # a larger rank adds parameters but no freedom
            hidden_units=max(8, n_inputs // self.reduction_ratio),
        )
        net = DynIntNet(task.vocabulary_sizes, self.embedding_dim, task.n_outputs, config)
        net = net.to(task.device)
        net.reset_parameters(task.new_generator(), task.prior_logits())
        return net

    def _list_crosses(self, net: DynIntNet, codes: Tensor) -> Iterable[FieldSet]:
        columns = self._fields().columns
        highest = min(self.n_layers + 1, LARGEST_LISTED_ORDER)

        def effects(rows: Tensor, sets: Sequence[FieldSet]) -> Tensor:
            return net.rough_effects(rows, sets, columns)

        n_best = dict.fromkeys(range(2, highest + 1), self.n_interactions)
        return strongest_sets(effects, codes, len(columns), n_best)

"""Nets of other libraries, trained by the loop, stopping rule and batches of our estimators."""

import importlib
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from scipy.stats import loguniform
from torch import nn

from sparsectr.classification import BaseInteractionClassifier
from sparsectr.losses import log_loss

# Library -> the module here that knows how to build its nets.
LIBRARIES = {
    "deepctr": "suite.peers.deepctr_nets",
    "fuxictr": "suite.peers.fuxictr_nets",
}


class PeerNet(nn.Module):
    """Codes (B, F) to logits (B, 1), through a net of another library."""

    # None, so that `fit` scales nothing after the last epoch.
    output_weights: ClassVar[list[torch.Tensor]] = []

    def __init__(self, library: str, architecture: str, shape: dict[str, Any]) -> None:
        super().__init__()
        self.arguments = {"library": library, "architecture": architecture, "shape": shape}
        build = importlib.import_module(LIBRARIES[library]).build_net
        self.net = build(architecture, **shape)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return self.net(codes)

    @property
    def intercept(self) -> torch.Tensor:
        """Return a number that is added to nothing.

        `fit` moves the intercept of our nets after the last epoch. Logits of other libraries stay
        as training left them.
        """
        return torch.zeros(1)

    def embedding_tables(self) -> list[nn.Parameter]:
        """Return all embedding tables, those of a linear term too."""
        return [module.weight for module in self.modules() if isinstance(module, nn.Embedding)]


class NetPeer(BaseInteractionClassifier):
    """Train a net of DeepCTR-Torch or FuxiCTR as our estimators are trained.

    The net, its initialisation and its dropout are the library's. Encoding, batches, Adam, the
    learning rate drop and early stopping are ours. What our nets do after the last epoch, to their
    intercept and to the size of their effects, these do not. ``embedding_l2`` weighs ``|w|^2 / 2``
    over all embedding tables beside the mean loss, which is FuxiCTR's ``embedding_regularizer``,
    and DeepCTR's ``l2_reg_embedding`` times two, over the batch size.

    Parameters
    ----------
    library : {"deepctr", "fuxictr"}
        Whose net.
    architecture : str
        Which net, see ``ARCHITECTURES`` in the module of the library.
    hidden_units : sequence of int
        Widths of its MLP.
    dropout : float
        Share of hidden units dropped in training.
    The others : see our estimators.
    """

    param_distributions: ClassVar[dict[str, Any]] = {
        "embedding_dim": [8, 16, 32],
        "embedding_l2": loguniform(1e-5, 1e-1),
        "learning_rate": loguniform(3e-4, 1e-2),
        "hidden_units": [(64, 32), (256, 128), (400, 400, 400)],
        "dropout": [0.0, 0.2, 0.4],
    }
    _net_class = PeerNet
    # Its shift would go into an intercept that these nets do not have.
    negative_sampling_rate = 1.0

    def __init__(
        self,
        *,
        library: str = "deepctr",
        architecture: str = "DeepFM",
        hidden_units: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        embedding_dim: int = 16,
        embedding_l2: float = 1e-3,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int | str = "auto",
        max_epochs: int = 30,
        early_stopping: bool | str = "auto",
        monitor: str = "log_loss",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 3,
        n_interactions: int = 0,
        class_weight: Any = None,
        encoder: Any = "auto",
        warm_start: bool = False,
        device: str = "auto",
        random_state: Any = None,
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
            n_iter_no_change=n_iter_no_change,
            n_interactions=n_interactions,
            encoder=encoder,
            warm_start=warm_start,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.monitor = monitor
        self.class_weight = class_weight
        self.library = library
        self.architecture = architecture
        self.hidden_units = hidden_units
        self.dropout = dropout

    def _train_net(self, task, net):
        # These nets draw their weights and their dropout from torch's global source.
        seed = task.new_generator().initial_seed()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            shape = {
                "vocabulary_sizes": tuple(task.vocabulary_sizes),
                "embedding_dim": self.embedding_dim,
                "hidden_units": tuple(self.hidden_units),
                "dropout": self.dropout,
                "seed": seed % 2**31,
            }
            net = net or PeerNet(self.library, self.architecture, shape).to(task.device)
            adam = torch.optim.Adam(
                net.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
            )
            tables = net.embedding_tables()

            def step(rows):
                batch = task.train.take(rows)
                loss = log_loss(net(batch.codes), batch)
                penalty = sum(table.square().sum() for table in tables)
                adam.zero_grad(set_to_none=True)
                (loss + self.embedding_l2 / 2 * penalty).backward()
                adam.step()
                return loss.detach()

            return net, task.run(net, step, annealed=[adam])

    def _measure(self, net, rows, new_generator, *, later):
        """Measure no crosses: these nets do not tell effects, and only predictions are compared."""

    def _list_crosses(self, net, codes):
        return []

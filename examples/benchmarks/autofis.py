"""AutoFIS as a baseline of the searches: a weight for every pair, sparse by GRDA.

After B. Liu et al., "AutoFIS: Automatic feature interaction selection in factorization models for
click-through rate prediction", KDD 2020: embeddings and the weights of all pairs follow one
gradient of one batch. The weights are trained by generalised regularised dual averaging (S.-K. Chao
et al., "Directional pruning of deep neural networks", NeurIPS 2020), which sets some to zero. Pairs
with a weight are kept, and the net is trained again, as after the other searches of
`ProfitClassifier`. Differences: products are not normalised over the batch, and the search stops as
those of PROFIT do.
"""

import torch
from torch.optim import Optimizer

from sparsectr import ProfitClassifier
from sparsectr.methods.profit.search import CrossSearch, make_weight_optimizers
from sparsectr.training.descent import descend
from sparsectr.training.prior import add_embedding_prior

START = 0.6


class GRDA(Optimizer):
    """Shrink the sum of all steps so far towards zero, the more the longer training goes.

    The weight after t steps of size g is the sum of the start and all steps, with its size reduced
    by ``c * g ** (1 / 2 + mu) * t ** mu``.
    """

    def __init__(self, params, lr, c=5e-4, mu=0.8):
        super().__init__(params, {"lr": lr, "c": c, "mu": mu})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            rate, mu = group["lr"], group["mu"]
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["t"], state["sum"] = 0, parameter.clone()
                state["t"] += 1
                total = state["sum"].sub_(parameter.grad, alpha=rate)
                shrinkage = group["c"] * rate ** (0.5 + mu) * state["t"] ** mu
                parameter.copy_(total.sign() * (total.abs() - shrinkage).clamp(min=0))


class OneLevelSearch(CrossSearch):
    """Train weights of pairs and embeddings together, on the rows of the weights."""

    def __init__(self, net, task, settings, c, mu):
        super().__init__(net, task, settings)
        self.c, self.mu = c, mu

    def run(self):
        net, settings = self.net, self.settings
        pairs = net.space.architecture[1]
        with torch.no_grad():
            net.space.architecture[0].zero_()
            pairs.fill_(START)
        pairs.requires_grad_(True)
        net.order = 2
        optimizers = make_weight_optimizers(net, settings.learning_rate, settings.weight_decay)
        add_embedding_prior(optimizers, net.embedding, self.task.train, settings.embedding_l2)
        # `make_weight_optimizers` takes all that wants a gradient.
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["params"] = [p for p in group["params"] if p is not pairs]
        grda = GRDA([pairs], settings.architecture_learning_rate, self.c, self.mu)
        optimizers.append(grda)

        def step(rows):
            batch = self.task.train.take(rows)
            loss = batch.mean_loss(net(batch.codes))
            descend(loss, optimizers, len(rows))
            return loss.detach()

        history = self.task.run(net, step, phase="search", optimizers=optimizers)
        pairs.requires_grad_(False)
        for record in history:
            record["order"] = 2
        return history


class AutoFISClassifier(ProfitClassifier):
    """`ProfitClassifier` behind the search of AutoFIS, for pairs.

    Parameters
    ----------
    c, mu : float
        How strongly, and how much more with time, GRDA shrinks; see `GRDA`.
    architecture_learning_rate : float
        That of GRDA. The default is of AutoFIS. At the smaller one of `ProfitClassifier`, gradients
        hardly move a weight from its start, and all of them reach zero together.
    **settings
        Other parameters of `ProfitClassifier`.
    """

    def __init__(self, *, c=5e-4, mu=0.8, architecture_learning_rate=1.0, **settings):
        fixed = {"space": "full", "ranking": "weight", "max_order": 2}
        super().__init__(architecture_learning_rate=architecture_learning_rate, **fixed | settings)
        self.c, self.mu = c, mu
        self.searched = None

    def _make_search(self, task):
        plain = super()._make_search(task)
        self.searched = OneLevelSearch(plain.net, task, plain.settings, self.c, self.mu)
        return self.searched

    def _count_crosses(self, n_fields):
        if self.searched is None:  # how many orders there are
            return {2: 1}
        weights = self.searched.net.space.architecture[1]
        return {2: int((weights != 0).sum())}

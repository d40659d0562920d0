"""The weights of all possible crosses, as few numbers or as one number each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import reduce
from itertools import combinations, permutations
from math import comb, factorial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparsectr.methods.profit.symmetric import (
    elementary_symmetric,
    power_of_sum,
    stacked_symmetric,
    symmetric_sums,
)
from sparsectr.nn.cross_products import Cross, WeightedCrosses
from sparsectr.nn.linear import undrawn

# Start of a beta, and the spread that makes components different.
BETA_START = 0.5
BETA_SPREAD = 0.1
SINGLE_SPREAD = 1e-3
# "auto" gives every set a free weight up to this number of sets of two or more fields.
MOST_FREE_SETS = 200
# A screened set starts with this weight at every order, all other sets near zero.
SCREENED_WEIGHT = 0.25
OTHER_SPREAD = 0.02


class SearchSpace(nn.Module):
    """Hold the architecture: a weight for every set of 1 to ``max_order`` distinct fields.

    A subclass has one parameter per order in ``architecture`` and says how the weights of the
    sets follow from them.

    Parameters
    ----------
    n_fields : int
        Number F of fields.
    max_order : int
        Largest order O.
    """

    architecture: nn.ParameterList

    def __init__(self, n_fields: int, max_order: int) -> None:
        super().__init__()
        self.n_fields = n_fields
        self.max_order = max_order

    @abstractmethod
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw the architecture of every order."""

    @abstractmethod
    def forward(self, embeddings: Tensor, order: int) -> Tensor:
        """Sum the weighted products of all sets of an order: (B, F, D) to (B, D)."""

    def sum_orders(self, embeddings: Tensor, max_order: int) -> Tensor:
        """Sum the weighted products of all sets of 1 to ``max_order`` fields: (B, D)."""
        total = self(embeddings, 1)
        for order in range(2, max_order + 1):
            total = total + self(embeddings, order)
        return total  # type: ignore[no-any-return]

    @property
    def is_symmetric(self) -> bool:
        """Whether the space has betas as `symmetric_sums` takes them."""
        return False

    def symmetric_betas(self, max_order: int) -> list[Tensor] | None:
        """Return the betas (R, F) of the orders 1 to ``max_order``, see `symmetric_sums`.

        None if the space is not of that kind.
        """
        return None

    @abstractmethod
    def set_weights(self, sets: Tensor) -> Tensor:
        """Return the weights (P,) of the sets (P, o)."""

    @torch.no_grad()
    def tensor(self, order: int) -> Tensor:
        """Return the weights of all sets of an order as a symmetric tensor, (F,) * order.

        Entries with the same field twice are zero: no set has them.
        """
        device = self.architecture[order - 1].device
        fields = torch.arange(self.n_fields, dtype=torch.int64, device=device)
        sets = torch.combinations(fields, order)
        weights = self.set_weights(sets)
        tensor = weights.new_zeros((self.n_fields,) * order)
        for permutation in permutations(range(order)):
            tensor[tuple(sets[:, list(permutation)].T)] = weights
        return tensor

    @abstractmethod
    def partial_weights(self, sets: Tensor, order: int) -> Tensor:
        """Return weights (P,) of sets (P, k), k <= order, as far as they are known."""

    @abstractmethod
    def start_at(self, sets: Sequence[Cross], order: int, generator: torch.Generator) -> None:
        """Start the architecture of an order at a few sets, the strongest first."""


class SymmetricSpace(SearchSpace):
    """Weigh a set by ``A_c = sum_r prod_{m in c} beta_r[m]``, with a beta (R, F) per order.

    Parameters
    ----------
    n_fields, max_order : int
        See `SearchSpace`.
    rank : int
        Number R of components.
    repeats : bool
        Whether a product may hold a field more than once, see `power_of_sum`. A set of distinct
        fields then stands in the sum in all its o! orders, and its weight is o! times as large.
    """

    def __init__(self, n_fields: int, max_order: int, rank: int, repeats: bool = False) -> None:
        super().__init__(n_fields, max_order)
        self.repeats = repeats
        self.architecture = nn.ParameterList(undrawn(rank, n_fields) for _ in range(max_order))

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw every beta around 0.5; several components must differ to be of use."""
        for beta in self.architecture:
            spread = BETA_SPREAD if len(beta) > 1 else SINGLE_SPREAD
            beta.normal_(BETA_START, spread, generator=generator)

    def forward(self, embeddings: Tensor, order: int) -> Tensor:
        """Sum the weighted products of all sets of an order: (B, F, D) to (B, D)."""
        combine = power_of_sum if self.repeats else elementary_symmetric
        return combine(embeddings, self.architecture[order - 1], order)

    def sum_orders(self, embeddings: Tensor, max_order: int) -> Tensor:
        """Sum the weighted products of all sets of 1 to ``max_order`` fields: (B, D)."""
        betas = self.symmetric_betas(max_order)
        if betas is None:
            return super().sum_orders(embeddings, max_order)
        return symmetric_sums(embeddings, betas)

    @property
    def is_symmetric(self) -> bool:
        """Whether products hold distinct fields."""
        return not self.repeats

    def symmetric_betas(self, max_order: int) -> list[Tensor] | None:
        """Return the betas of the orders 1 to ``max_order``; None if products repeat fields."""
        return None if self.repeats else list(self.architecture)[:max_order]

    def set_weights(self, sets: Tensor) -> Tensor:
        """Return the weights (P,) of the sets (P, o)."""
        return self.partial_weights(sets, sets.shape[1])

    def partial_weights(self, sets: Tensor, order: int) -> Tensor:
        """Return the weights (P,) of sets (P, k) of any size by the beta of one order."""
        weights = self.architecture[order - 1][:, sets].prod(2).sum(0)
        return weights * factorial(order) if self.repeats else weights

    @torch.no_grad()
    def start_at(self, sets: Sequence[Cross], order: int, generator: torch.Generator) -> None:
        """Start every component at one of the sets; sets beyond the rank share components."""
        beta = self.architecture[order - 1]
        beta.normal_(0.0, OTHER_SPREAD, generator=generator)
        for place, fields in enumerate(sets):
            beta[place % len(beta), list(fields)] = SCREENED_WEIGHT ** (1 / order)


class StackedSpace(SymmetricSpace):
    """Weigh a set by ``A_c = sum_r sum_p prod_k beta^k_r[c_p(k)]`` over the permutations p.

    Order o multiplies o different linear forms; only its last beta is new, the others are those
    of the lower orders.
    """

    def forward(self, embeddings: Tensor, order: int) -> Tensor:
        """Sum the weighted products of all sets of an order: (B, F, D) to (B, D)."""
        betas = list(self.architecture)[:order]
        if not self.repeats:
            return stacked_symmetric(embeddings, betas)
        return reduce(torch.mul, [beta @ embeddings for beta in betas]).sum(1)

    @property
    def is_symmetric(self) -> bool:
        """Return False: a set's weight takes betas of several orders."""
        return False

    def symmetric_betas(self, max_order: int) -> None:
        """Return None: a set's weight takes betas of several orders."""

    def partial_weights(self, sets: Tensor, order: int) -> Tensor:
        """Return the weights (P,) of sets (P, k) by the betas of the orders up to k."""
        size = sets.shape[1]
        betas = torch.stack(list(self.architecture)[:size])[:, :, sets]  # (k, R, P, k)
        total = betas.new_zeros(len(sets))
        for permutation in permutations(range(size)):
            factors = [betas[k, :, :, place] for k, place in enumerate(permutation)]
            total = total + torch.stack(factors).prod(0).sum(0)
        return total

    def start_at(self, sets: Sequence[Cross], order: int, generator: torch.Generator) -> None:
        """Leave the beta as it is: beside those of the lower orders it cannot name a set."""


class FullSpace(SearchSpace):
    """Give every set a free weight.

    Parameters
    ----------
    n_fields, max_order : int
        See `SearchSpace`.
    """

    def __init__(self, n_fields: int, max_order: int) -> None:
        super().__init__(n_fields, max_order)
        self.crosses = nn.ModuleList(
            WeightedCrosses(list(combinations(range(n_fields), order)))
            for order in range(1, max_order + 1)
        )
        self.architecture = nn.ParameterList(layer.weight for layer in self.crosses)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw every weight around that of a set in the symmetric space."""
        for weight in self.architecture:
            weight.normal_(SCREENED_WEIGHT, SCREENED_WEIGHT * BETA_SPREAD, generator=generator)

    def forward(self, embeddings: Tensor, order: int) -> Tensor:
        """Sum the weighted products of all sets of an order: (B, F, D) to (B, D)."""
        return self.crosses[order - 1].sum(embeddings)  # type: ignore[operator, no-any-return]

    def set_weights(self, sets: Tensor) -> Tensor:
        """Return the weights (P,) of the sets (P, o)."""
        order = sets.shape[1]
        fields = torch.arange(self.n_fields, dtype=torch.int64, device=sets.device)
        every = torch.combinations(fields, order)
        powers = torch.arange(order - 1, -1, -1, dtype=torch.int64, device=sets.device)
        digits = self.n_fields**powers
        # combinations come in rising order of these numbers.
        places = torch.searchsorted((every * digits).sum(1), (sets * digits).sum(1))
        return self.architecture[order - 1][places]

    def partial_weights(self, sets: Tensor, order: int) -> Tensor:
        """Return the weights (P,) of sets (P, o) of full size."""
        return self.set_weights(sets)

    @torch.no_grad()
    def start_at(self, sets: Sequence[Cross], order: int, generator: torch.Generator) -> None:
        """Start the weights of the sets at 1/4 and all others near zero."""
        weight = self.architecture[order - 1]
        weight.normal_(0.0, OTHER_SPREAD, generator=generator)
        chosen = set(sets)
        for place, fields in enumerate(combinations(range(self.n_fields), order)):
            if fields in chosen:
                weight[place] = SCREENED_WEIGHT


def make_space(
    kind: str, n_fields: int, max_order: int, rank: int, coupling: str, repeats: bool
) -> SearchSpace:
    """Build a search space.

    Parameters
    ----------
    kind : {"auto", "cp", "full"}
        "auto" takes "full" where there are at most 200 sets.
    n_fields, max_order, rank, repeats
        See the spaces.
    coupling : {"symmetric", "stacked"}
        Whether "cp" is a `SymmetricSpace` or a `StackedSpace`.
    """
    if kind == "auto":
        n_sets = sum(comb(n_fields, order) for order in range(2, max_order + 1))
        kind = "full" if n_sets <= MOST_FREE_SETS else "cp"
    if kind == "full":
        return FullSpace(n_fields, max_order)
    return (StackedSpace if coupling == "stacked" else SymmetricSpace)(
        n_fields, max_order, rank, repeats
    )


def rebuild_space(
    architecture: Sequence[NDArray[np.float32]], n_fields: int, coupling: str, repeats: bool
) -> SearchSpace:
    """Build the space that a search has left.

    Parameters
    ----------
    architecture : sequence of ndarray of shape (R, F) or (P,)
        Parameters of the orders 1, 2, ...
    n_fields, coupling, repeats
        See `make_space`.
    """
    kind, rank = ("full", 0) if architecture[0].ndim == 1 else ("cp", len(architecture[0]))
    space = make_space(kind, n_fields, len(architecture), rank, coupling, repeats)
    with torch.no_grad():
        for parameter, values in zip(space.architecture, architecture, strict=True):
            parameter.copy_(torch.from_numpy(values))
    return space

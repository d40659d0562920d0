"""The products of a given list of crosses, and only those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby, pairwise

import torch
from torch import Tensor, nn

from sparsectr.kernels.fused import fused
from sparsectr.nn.graph import Graph, multiply_sets, sum_over
from sparsectr.nn.linear import undrawn

Cross = tuple[int, ...]


class CrossProducts(nn.Module):
    """Multiply the embeddings of the fields of every cross, coordinate by coordinate.

    Crosses that begin with the same fields share the product of these fields: the crosses are
    the ends of paths in a tree of prefixes, computed level by level. Time and memory grow with
    the number of crosses, not with the number of sets.

    Parameters
    ----------
    crosses : sequence of tuples of int
        Field numbers of every cross, rising; the crosses by rising order.

    Notes
    -----
    Shapes: embeddings (B, F, D) to (N, B, D), in the order of ``crosses``.
    """

    all_fields: Tensor
    starts: Tensor

    def __init__(self, crosses: Sequence[Cross]) -> None:
        super().__init__()
        self.n_crosses = len(crosses)
        self.depth = max(map(len, crosses), default=0)
        prefixes: list[Cross] = []
        for level in range(1, self.depth + 1):
            shorter = {prefix: place for place, prefix in enumerate(prefixes)}
            prefixes = list(
                dict.fromkeys(cross[:level] for cross in crosses if len(cross) >= level)
            )
            places = {prefix: place for place, prefix in enumerate(prefixes)}
            self._store(f"fields_{level}", [prefix[-1] for prefix in prefixes])
            self._store(f"parents_{level}", [shorter.get(prefix[:-1], 0) for prefix in prefixes])
            self._store(
                f"ends_{level}", [places[cross] for cross in crosses if len(cross) == level]
            )
        self._store("all_fields", [field for cross in crosses for field in cross])
        self._store("starts", list(accumulate(map(len, crosses), initial=0)))

    def _store(self, name: str, numbers: list[int]) -> None:
        indices = torch.tensor(numbers, dtype=torch.int64, device="cpu")
        self.register_buffer(name, indices, persistent=False)

    @property
    def listed(self) -> tuple[Tensor, Tensor]:
        """Field numbers of all crosses, one after the other, and where each cross starts."""
        return self.all_fields, self.starts

    def crosses(self) -> list[Cross]:
        """List the fields of every cross."""
        fields, starts = (numbers.tolist() for numbers in self.listed)
        return [tuple(fields[start:end]) for start, end in pairwise(starts)]

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return the products (N, B, D) of embeddings (B, F, D)."""
        columns = embeddings.transpose(0, 1)  # (F, B, D): a gather copies whole batches
        if not self.depth:
            return columns[:0]
        products, ends = columns, []
        for level in range(1, self.depth + 1):
            factors = _select(columns, self.get_buffer(f"fields_{level}"))
            if level == 1:
                products = factors
            else:
                parents = _select(products, self.get_buffer(f"parents_{level}"))
                products = parents * factors
            last = self.get_buffer(f"ends_{level}")
            if len(last):
                ends.append(products if len(last) == len(products) else products[last])
        return torch.cat(ends) if len(ends) > 1 else ends[0]


def _select(x: Tensor, places: Tensor) -> Tensor:
    """Return x[places]. On a GPU, index_select would add its gradients up in any order."""
    return x[places] if x.is_cuda else x.index_select(0, places)


class WeightedCrosses(nn.Module):
    """Give every cross of a list one weight.

    Parameters
    ----------
    crosses : sequence of tuples of int
        See `CrossProducts`.

    Notes
    -----
    Shapes: embeddings (B, F, D) to weighted products (N, B, D).
    """

    def __init__(self, crosses: Sequence[Cross]) -> None:
        super().__init__()
        self.products = CrossProducts(crosses)
        self.weight = undrawn(len(crosses))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return the weighted products (N, B, D)."""
        return self.weight[:, None, None] * self.products(embeddings)

    def write(self, graph: Graph, embeddings: str) -> list[str]:
        """Add the weighted products to a graph, one part (B, N', D) for every order.

        Parameters
        ----------
        graph : Graph
            Takes the operators.
        embeddings : str
            Embeddings (B, F, D).
        """
        return [
            graph.add("Mul", multiply_sets(graph, embeddings, sets), weights[:, None])
            for sets, weights in self._by_order()
        ]

    def write_sum(self, graph: Graph, embeddings: str, n_fields: int) -> str | None:
        """Add the sum of the weighted products to a graph: (B, F, D) to (B, D); None of no cross.

        Crosses with the same first field are summed before they are multiplied by it: for every
        order a product of matrices, instead of as many vectors as crosses, side by side.
        """
        factors: str | Tensor | None = None
        for sets, weights in self._by_order():
            order = len(sets[0])
            rests = list(dict.fromkeys(fields[1:] for fields in sets))
            if order == 2:  # of all fields: embeddings as they are
                rests = [(field,) for field in range(n_fields)]
            place = {rest: k for k, rest in enumerate(rests)}
            matrix = weights.new_zeros(n_fields, len(rests))
            matrix[[fields[0] for fields in sets], [place[fields[1:]] for fields in sets]] = weights
            if order == 1:  # no other field: a constant factor
                factors = matrix
                continue
            products = embeddings if order == 2 else multiply_sets(graph, embeddings, rests)
            summed = graph.add("MatMul", matrix, products)
            factors = summed if factors is None else graph.add("Add", summed, factors)
        if factors is None:
            return None
        return sum_over(graph, graph.add("Mul", embeddings, factors), 1)

    def _by_order(self) -> Iterator[tuple[list[Cross], Tensor]]:
        """Yield the crosses of every order, and their weights (N',)."""
        weights = self.weight.detach()
        for _, group in groupby(self.products.crosses(), key=len):
            sets = list(group)
            yield sets, weights[: len(sets)]
            weights = weights[len(sets) :]

    def sum(self, embeddings: Tensor) -> Tensor:
        """Return the weighted products, summed over the crosses: (B, D)."""
        return sum_crosses(embeddings, self.weight, self.products)


@fused(cpu="profit.crosses", numbers=lambda embeddings, weights, _: (embeddings, weights))
def sum_crosses(embeddings: Tensor, weights: Tensor, products: CrossProducts) -> Tensor:
    """Sum the weighted products of crosses.

    Parameters
    ----------
    embeddings : Tensor of shape (B, F, D)
    weights : Tensor of shape (N,)
    products : CrossProducts
        The N crosses.

    Returns
    -------
    Tensor of shape (B, D)
    """
    found = products(embeddings)
    return (weights @ found.flatten(1)).view(found.shape[1:])

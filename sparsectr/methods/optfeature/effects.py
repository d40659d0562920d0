"""What sets of fields do through an MLP over embeddings and products of pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional

from sparsectr.nn.effects import Columns, FieldSet, columns_of, combine_parts
from sparsectr.nn.mlp import MLP

# Rows times sets that go through the layers after the first at once.
ROWS_AT_ONCE = 4096


class PairsBehindMLP:
    """Compute the logits of rows of which few columns are known, through an MLP over pairs.

    An input is a number of the embedding of one column, or a product of two. Where one column
    becomes known, its embedding and its products change: the first layer's output changes by a
    product with these columns of its weight. Where two are known, both changes add up, but for the
    one input that sees both. So a set costs no more than the layers after the first, and of every
    column an output of the first layer is kept, not its inputs.

    Parameters
    ----------
    mlp : MLP
        In evaluation mode. Its inputs are the embeddings of all columns and then the products.
    embed : callable
        Takes codes (B, C), returns embeddings (B, C, D).
    multiply : callable
        Takes two matrices of codes (B, C), returns the inputs that are products (B, P'), the first
        column of each with its code in the one matrix and the second with that in the other.
    pairs : sequence of tuples of int
        The columns of these P' products, rising.
    codes : Tensor of shape (B, C)
        Rows.
    """

    def __init__(
        self,
        mlp: MLP,
        embed: Callable[[Tensor], Tensor],
        multiply: Callable[[Tensor, Tensor], Tensor],
        pairs: Sequence[FieldSet],
        codes: Tensor,
    ) -> None:
        unknown = torch.zeros_like(codes)
        anchor, nothing = embed(unknown[:1]), multiply(unknown[:1], unknown[:1])
        changed = embed(codes) - anchor
        n_embedded = changed.shape[1] * changed.shape[2]
        self.mlp = mlp
        weight = mlp.first.weight[:, n_embedded:].T  # (P', H)
        self.nothing = mlp.first(torch.cat([anchor.flatten(1), nothing], 1))  # (1, H)
        first_known = multiply(codes, unknown)
        second_known = multiply(unknown, codes)
        together = multiply(codes, codes) - first_known - second_known + nothing  # (B, P')
        # What a column does to the first layer's output when it becomes known, (C, B, H).
        weights = mlp.first.weight[:, :n_embedded].unflatten(1, changed.shape[1:])  # (H, C, D)
        self.changes = changed.transpose(0, 1) @ weights.permute(1, 2, 0)
        first_known -= nothing
        second_known -= nothing
        ends = torch.tensor(pairs, dtype=torch.int64, device=codes.device).reshape(-1, 2)
        for products, known in ((first_known, ends[:, 0]), (second_known, ends[:, 1])):
            order = known.argsort(stable=True)
            counts = torch.bincount(known, minlength=len(self.changes)).tolist()
            for column, places in enumerate(order.split(counts)):
                self.changes[column] += products[:, places] @ weight[places]
        self.together = functional.pad(together.T, (0, 0, 0, 1))  # (P' + 1, B)
        self.weight = functional.pad(weight, (0, 0, 0, 1))  # (P' + 1, H)
        self.places = {pair: place for place, pair in enumerate(pairs)}

    def effects(self, sets: Sequence[FieldSet], columns: Columns) -> Tensor:
        """Return what P sets of fields do to the logits, (P, B, K).

        Parameters
        ----------
        sets : sequence of tuples of int
            P sets of one or more fields.
        columns : sequence of tuples of int
            The code columns of every field.
        """
        return combine_parts(
            lambda parts: self.logits([columns_of(fields, columns) for fields in parts]), sets
        )

    def logits(self, known: Sequence[tuple[int, ...]]) -> Tensor:
        """Return the logits (Q, B, K) of the rows when only some columns are known.

        Parameters
        ----------
        known : sequence of tuples of int
            Q sets of columns, each rising.
        """
        n_rows, base = self.changes.shape[1], self.mlp.after_first(self.nothing)  # (1, K)
        logits = base.expand(len(known), n_rows, -1).clone()
        n_at_once = max(1, ROWS_AT_ONCE // n_rows)
        for size in {len(some) for some in known} - {0}:
            places = [place for place, some in enumerate(known) if len(some) == size]
            for first in range(0, len(places), n_at_once):
                some = places[first : first + n_at_once]
                chosen = [known[place] for place in some]
                logits[some] = self.mlp.after_first(self._first_layer(chosen))
        return logits

    def _first_layer(self, known: Sequence[tuple[int, ...]]) -> Tensor:
        """Return the first layer's output (Q, B, H) when sets of columns of one size are known."""
        columns = torch.tensor(known, dtype=torch.int64, device=self.changes.device)
        output = self.nothing + self.changes[columns[:, 0]]
        for others in columns[:, 1:].unbind(1):
            output += self.changes[others]
        for first, second in combinations(range(columns.shape[1]), 2):
            # The last place is that of all pairs whose product is no input.
            places = [self.places.get((some[first], some[second]), -1) for some in known]
            output.addcmul_(self.together[places][:, :, None], self.weight[places][:, None])
        return output
